"""Answers a PromQL query at one moment."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import promql_parser as syntax

from flagger_py.local.promql import histogram
from flagger_py.local.promql.errors import BadQuery, ExecutionError
from flagger_py.local.promql.functions import OF_VALUE, OVER_TIME, clamp, largest, mean, rounded, smallest
from flagger_py.local.promql.matching import Grouping, selector, without_name
from flagger_py.local.promql.operators import SETS, Operation
from flagger_py.local.promql.store import LabelKey, Labels, SampleStore, label_key
from flagger_py.local.promql.values import Element, Matrix, Result, Scalar, Text, Vector, Window

LOOKBACK_MS: Final = 300_000
"""How old a sample may be to stand for its series (Prometheus' `query.lookback-delta`)."""
_MAX_DEPTH: Final = 100

AGGREGATIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "sum": lambda values: sum(values) if any(map(math.isinf, values)) else _exact_sum(values),
    "avg": mean,
    "min": smallest,
    "max": largest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
}


def evaluate(query: str, store: SampleStore, time_ms: int) -> Result:
    """The value of a query at a time. Raises `BadQuery` and `ExecutionError`."""
    try:
        expression = syntax.parse(query)
    except ValueError as error:
        raise BadQuery(f"parse error: {error}") from error
    return _Evaluation(store, time_ms).of(expression, 0)


class _Evaluation:
    def __init__(self, store: SampleStore, time_ms: int) -> None:
        self._store = store
        self._time_ms = time_ms

    def of(self, expression: Any, depth: int) -> Result:
        if depth > _MAX_DEPTH:
            raise ExecutionError(f"more than {_MAX_DEPTH} levels deep")
        match expression:
            case syntax.ParenExpr():
                return self.of(expression.expr, depth + 1)
            case syntax.UnaryExpr():
                return self._negated(self.of(expression.expr, depth + 1))
            case syntax.BinaryExpr():
                return self._binary(expression, depth)
            case syntax.AggregateExpr():
                return self._aggregated(expression, depth)
            case syntax.Call():
                return self._call(expression, depth)
            case _:
                return self._leaf(expression)

    def _leaf(self, expression: Any) -> Result:
        match expression:
            case syntax.NumberLiteral():
                return Scalar(expression.val)
            case syntax.StringLiteral():
                return Text(expression.val)
            case syntax.VectorSelector():
                return self._instant(expression)
            case syntax.MatrixSelector():
                return self._range(expression)
            case _:
                raise ExecutionError(f"{_kind(expression)} is not supported by this evaluator")

    def _instant(self, expression: syntax.VectorSelector) -> Vector:
        moment = self._moment(expression)
        name, matches = selector(expression)
        latest = ((series.labels, series.latest(moment - LOOKBACK_MS, moment)) for series in self._store.select(name, matches))
        return Vector([Element(labels, sample[1], sample[0]) for labels, sample in latest if sample])

    def _range(self, expression: syntax.MatrixSelector) -> Matrix:
        end = self._moment(expression.vector_selector)
        start = end - _milliseconds(expression.range)
        name, matches = selector(expression.vector_selector)
        windows = [Window(series.labels, series.between(start, end), start, end) for series in self._store.select(name, matches)]
        return Matrix([window for window in windows if window.points])

    def _moment(self, expression: syntax.VectorSelector) -> int:
        """The time that `@` and `offset` lead to; `start()` and `end()` are both the query's own time."""
        at = expression.at.at if expression.at else None
        moment = round(at.timestamp() * 1000) if at else self._time_ms
        return moment - (_milliseconds(expression.offset) if expression.offset else 0)

    def _negated(self, value: Result) -> Result:
        match value:
            case Scalar(number):
                return Scalar(-number)
            case Vector(elements):
                return Vector([Element(without_name(element.labels), -element.value, element.time_ms) for element in elements])
            case _:
                raise ExecutionError("only numbers can be negated")

    def _binary(self, expression: syntax.BinaryExpr, depth: int) -> Result:
        operation = Operation.of(expression)
        left, right = self.of(expression.lhs, depth + 1), self.of(expression.rhs, depth + 1)
        match left, right:
            case (Scalar(), Scalar()) if operation.symbol not in SETS:
                return operation.of_scalars(left.value, right.value)
            case (Vector(), Scalar()) if operation.symbol not in SETS:
                return operation.of_scalar(left, right.value, scalar_is_left=False)
            case (Scalar(), Vector()) if operation.symbol not in SETS:
                return operation.of_scalar(right, left.value, scalar_is_left=True)
            case (Vector(), Vector()):
                return operation.of_vectors(left, right)
            case _:
                raise BadQuery(f"the operator {operation.symbol} cannot stand between these operands")

    def _aggregated(self, expression: syntax.AggregateExpr, depth: int) -> Vector:
        name = str(expression.op)
        if name not in AGGREGATIONS or expression.param is not None:
            raise ExecutionError(f"the aggregation {name} is not supported by this evaluator; it has {', '.join(AGGREGATIONS)}")
        grouping = Grouping.of_aggregation(expression.modifier)
        groups: dict[LabelKey, tuple[Labels, list[float]]] = {}
        for element in self._vector(expression.expr, depth).elements:
            labels = grouping.apply(element.labels)
            groups.setdefault(label_key(labels), (labels, []))[1].append(element.value)
        compute = AGGREGATIONS[name]
        return Vector([Element(labels, compute(values), self._time_ms) for labels, values in groups.values()])

    def _call(self, call: syntax.Call, depth: int) -> Result:
        name, arguments = call.func.name, call.args
        if name in OVER_TIME:
            return self._over_time(name, self.of(arguments[0], depth + 1))
        if name in OF_VALUE:
            return self._mapped(self._vector(arguments[0], depth), OF_VALUE[name])
        match name:
            case "histogram_quantile":
                return self._quantile(self._scalar(arguments[0], depth), self._vector(arguments[1], depth))
            case "vector":
                return Vector([Element({}, self._scalar(arguments[0], depth), self._time_ms)])
            case "scalar":
                elements = self._vector(arguments[0], depth).elements
                return Scalar(elements[0].value if len(elements) == 1 else math.nan)
            case "time":
                return Scalar(self._time_ms / 1000)
            case "timestamp":
                found = self._vector(arguments[0], depth).elements
                return _distinct([Element(without_name(each.labels), each.time_ms / 1000, each.time_ms) for each in found])
            case "sort" | "sort_desc":
                elements = self._vector(arguments[0], depth).elements
                return Vector(sorted(elements, key=_order(descending=name == "sort_desc")))
            case "clamp" | "clamp_min" | "clamp_max" | "round":
                return self._with_numbers(name, arguments, depth)
            case _:
                raise ExecutionError(f"the function {name} is not supported by this evaluator; it has {', '.join(FUNCTIONS)}")

    def _with_numbers(self, name: str, arguments: Sequence[Any], depth: int) -> Vector:
        vector, numbers = self._vector(arguments[0], depth), [self._scalar(argument, depth) for argument in arguments[1:]]
        match name, numbers:
            case "clamp", [low, high]:
                return self._mapped(vector, lambda value: clamp(value, low, high)) if low <= high else Vector([])
            case "clamp_min", [low]:
                return self._mapped(vector, lambda value: clamp(value, low, math.inf))
            case "clamp_max", [high]:
                return self._mapped(vector, lambda value: clamp(value, -math.inf, high))
            case _:
                nearest = numbers[0] if numbers else 1.0
                return self._mapped(vector, lambda value: rounded(value, nearest))

    def _over_time(self, name: str, matrix: Result) -> Vector:
        if not isinstance(matrix, Matrix):
            raise ExecutionError(f"{name} needs a range of samples, as in x[5m]")
        compute = OVER_TIME[name]
        keeps_name = name == "last_over_time"
        found = []
        for window in matrix.windows:
            if (value := compute(window)) is not None:
                labels = window.labels if keeps_name else without_name(window.labels)
                found.append(Element(labels, value, self._time_ms))
        return _distinct(found)

    def _mapped(self, vector: Vector, compute: Callable[[float], float]) -> Vector:
        found = [Element(without_name(element.labels), compute(element.value), element.time_ms) for element in vector.elements]
        return _distinct(found)

    def _quantile(self, q: float, vector: Vector) -> Vector:
        """Series without a readable `le` are left out."""
        grouping = Grouping(frozenset({"le"}), keeps=False)
        groups: dict[LabelKey, tuple[Labels, list[tuple[float, float]]]] = {}
        for element in vector.elements:
            if (bound := _bound(element.labels.get("le", ""))) is not None:
                labels = grouping.apply(element.labels)
                groups.setdefault(label_key(labels), (labels, []))[1].append((bound, element.value))
        return Vector([Element(labels, histogram.quantile(q, buckets), self._time_ms) for labels, buckets in groups.values()])

    def _vector(self, expression: Any, depth: int) -> Vector:
        value = self.of(expression, depth + 1)
        if not isinstance(value, Vector):
            raise ExecutionError("an instant vector is needed here")
        return value

    def _scalar(self, expression: Any, depth: int) -> float:
        value = self.of(expression, depth + 1)
        if not isinstance(value, Scalar):
            raise ExecutionError("a scalar is needed here")
        return value.value


FUNCTIONS: Final = (
    *OVER_TIME,
    *OF_VALUE,
    *("histogram_quantile", "vector", "scalar", "time", "timestamp", "sort", "sort_desc", "clamp", "clamp_min", "clamp_max", "round"),
)
"""What can be called."""


def _exact_sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _order(*, descending: bool) -> Callable[[Element], tuple[bool, float]]:
    """NaN comes last either way."""
    return lambda element: (math.isnan(element.value), -element.value if descending else element.value)


def _distinct(elements: list[Element]) -> Vector:
    if len({label_key(element.labels) for element in elements}) != len(elements):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return Vector(elements)


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _kind(expression: object) -> str:
    return {"SubqueryExpr": "a subquery"}.get(type(expression).__name__, type(expression).__name__)
