"""The template language of metric queries: the part of Go's `text/template` that queries use (metrics:TPL-10..15).

Text between `{{` and `}}` is an action. There are no loops, no data (`.`) and no way to Python objects: an action can read the
eight values, choose (`if`), compare and format. What Go has and we do not is refused by name when the template is parsed.
"""

from flagger_py.metrics.template.errors import TemplateError
from flagger_py.metrics.template.evaluate import TemplateValues, evaluate
from flagger_py.metrics.template.parser import parse

__all__ = ["TemplateError", "TemplateValues", "check", "render"]


def render(query: str, values: TemplateValues) -> str:
    """The query with its actions carried out. Values are inserted as they are: nothing is quoted (TPL-14). Raises `TemplateError`."""
    return evaluate(parse(query), values)


def check(query: str) -> None:
    """Return if the template can be parsed. Raises `TemplateError`; a missing variable shows only when it is rendered."""
    parse(query)
