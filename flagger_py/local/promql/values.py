"""What a query gives: a scalar, a text, an instant vector or a range vector, and how each is written in JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isinf, isnan
from typing import Any, TypeAlias

from flagger_py.local.promql.store import Labels


@dataclass(frozen=True, slots=True)
class Scalar:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Element:
    """One series of an instant vector; `time_ms` is that of its sample."""

    labels: Labels
    value: float
    time_ms: int


@dataclass(frozen=True, slots=True)
class Vector:
    elements: Sequence[Element]


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of one series in (start, end], times in milliseconds."""

    labels: Labels
    points: Sequence[tuple[int, float]]
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Matrix:
    windows: Sequence[Window]


Result: TypeAlias = Scalar | Text | Vector | Matrix


def data_of(result: Result, time_ms: int) -> Mapping[str, Any]:
    """The `data` of an answer of `/api/v1/query`."""
    time = time_ms / 1000
    match result:
        case Scalar(value):
            return {"resultType": "scalar", "result": [time, number(value)]}
        case Text(text):
            return {"resultType": "string", "result": [time, text]}
        case Vector(elements):
            found: list[Any] = [{"metric": element.labels, "value": [time, number(element.value)]} for element in elements]
            return {"resultType": "vector", "result": found}
        case Matrix(windows):
            found = [{"metric": window.labels, "values": [[at / 1000, number(value)] for at, value in window.points]} for window in windows]
            return {"resultType": "matrix", "result": found}


def number(value: float) -> str:
    """A value as Prometheus writes it: never with an exponent."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")
