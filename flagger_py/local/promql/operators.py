"""Binary operators: between scalars, a vector and a scalar, and two vectors."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import promql_parser as syntax

from flagger_py.local.promql.errors import ExecutionError
from flagger_py.local.promql.matching import Grouping, included, without_name
from flagger_py.local.promql.store import LabelKey, Labels, label_key
from flagger_py.local.promql.values import Element, Scalar, Vector

Compute = Callable[[float, float], float]


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _modulo(left: float, right: float) -> float:
    return math.fmod(left, right) if right and math.isfinite(left) else math.nan


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


ARITHMETIC: Final[Mapping[str, Compute]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
}
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS: Final = ("and", "or", "unless")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its modifiers. A comparison filters, or with `bool` gives 0 and 1."""

    symbol: str
    grouping: Grouping
    returns_bool: bool
    cardinality: syntax.VectorMatchCardinality
    group_labels: tuple[str, ...]

    @classmethod
    def of(cls, expression: syntax.BinaryExpr) -> "Operation":
        symbol, modifier = str(expression.op), expression.modifier
        if symbol not in ARITHMETIC and symbol not in COMPARISONS and symbol not in SETS:
            raise ExecutionError(f"the operator {symbol} is not supported by this evaluator")
        if modifier is None:
            return cls(symbol, Grouping(keeps=False), False, syntax.VectorMatchCardinality.OneToOne, ())
        if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
            raise ExecutionError("`fill` is not supported by this evaluator")
        labels = tuple(modifier.group_labels or ())
        return cls(symbol, Grouping.of_matching(modifier.matching), modifier.return_bool, modifier.card, labels)

    def of_scalars(self, left: float, right: float) -> Scalar:
        if self.symbol in ARITHMETIC:
            return Scalar(ARITHMETIC[self.symbol](left, right))
        return Scalar(float(COMPARISONS[self.symbol](left, right)))

    def of_scalar(self, vector: Vector, scalar: float, *, scalar_is_left: bool) -> Vector:
        """The vector's elements, each with the scalar; the element's own value is what a filter keeps."""
        found = []
        for element in vector.elements:
            pair = (scalar, element.value) if scalar_is_left else (element.value, scalar)
            if (value := self._value(*pair, kept=element.value)) is not None:
                found.append(Element(self._labels(element.labels), value, element.time_ms))
        return Vector(found)

    def of_vectors(self, left: Vector, right: Vector) -> Vector:
        """Raises `ExecutionError` where it is not clear which elements belong together."""
        if self.symbol in SETS:
            return self._set(left, right)
        if self.cardinality == syntax.VectorMatchCardinality.OneToMany:
            return self._paired(many=right, one=left, one_is_left=True)
        return self._paired(many=left, one=right, one_is_left=False)

    def _value(self, left: float, right: float, kept: float) -> float | None:
        if self.symbol in ARITHMETIC:
            return ARITHMETIC[self.symbol](left, right)
        holds = COMPARISONS[self.symbol](left, right)
        if self.returns_bool:
            return float(holds)
        return kept if holds else None

    def _labels(self, labels: Labels) -> Labels:
        """A filter keeps the metric's name, since it keeps the metric's value."""
        return labels if self.symbol in COMPARISONS and not self.returns_bool else without_name(labels)

    def _set(self, left: Vector, right: Vector) -> Vector:
        in_left = {self.grouping.key(element.labels) for element in left.elements}
        in_right = {self.grouping.key(element.labels) for element in right.elements}
        match self.symbol:
            case "and":
                return Vector([element for element in left.elements if self.grouping.key(element.labels) in in_right])
            case "unless":
                return Vector([element for element in left.elements if self.grouping.key(element.labels) not in in_right])
            case _:
                added = [element for element in right.elements if self.grouping.key(element.labels) not in in_left]
                return Vector([*left.elements, *added])

    def _paired(self, many: Vector, one: Vector, *, one_is_left: bool) -> Vector:
        partners = self._unique(one)
        is_one_to_one = self.cardinality == syntax.VectorMatchCardinality.OneToOne
        found: list[Element] = []
        seen: set[LabelKey] = set()
        for element in many.elements:
            key = self.grouping.key(element.labels)
            partner = partners.get(key)
            if partner is None:
                continue
            if is_one_to_one and key in seen:
                raise ExecutionError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
            seen.add(key)
            left, right = (partner, element) if one_is_left else (element, partner)
            if (value := self._value(left.value, right.value, kept=left.value)) is not None:
                found.append(Element(self._joined(element.labels, partner.labels, is_one_to_one), value, element.time_ms))
        _distinct([element.labels for element in found])
        return Vector(found)

    def _unique(self, one: Vector) -> Mapping[LabelKey, Element]:
        partners: dict[LabelKey, Element] = {}
        for element in one.elements:
            key = self.grouping.key(element.labels)
            if key in partners:
                raise ExecutionError(f"found duplicate series for the match group {dict(key)}; many-to-many matching not allowed")
            partners[key] = element
        return partners

    def _joined(self, labels: Labels, one_side: Labels, is_one_to_one: bool) -> Labels:
        kept = self._labels(labels)
        if is_one_to_one:
            return {name: value for name, value in kept.items() if (name in self.grouping.names) is self.grouping.keeps}
        return included(kept, one_side, self.group_labels)


def _distinct(labels: Sequence[Labels]) -> None:
    if len({label_key(each) for each in labels}) != len(labels):
        raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")
