"""Why a query has no answer, in the two classes of Prometheus' API."""


class BadQuery(Exception):
    """The query or a parameter cannot be read: `bad_data`, HTTP 400."""


class ExecutionError(Exception):
    """The query can be read, but not answered, or uses what this evaluator does not have: `execution`, HTTP 422."""
