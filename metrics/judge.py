"""Whether a value passes its bounds, and the words for it (metrics:EVAL-10..17). Pure."""

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from flagger_py.api.analysis import REQUEST_DURATION, SUCCESS_RATE, ThresholdRange
from flagger_py.api.durations import format_duration
from flagger_py.metrics.numbers import shortest_float

_LONGEST = 8.6e16
"""Milliseconds that a `timedelta` can hold; a longer duration is printed as this one."""


class CheckKind(StrEnum):
    """What is measured: it decides units, wording, and which way the deprecated `threshold` points."""

    SUCCESS_RATE = SUCCESS_RATE
    DURATION = REQUEST_DURATION
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive limits; `None` on a side means any value passes there."""

    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`breach` is empty where the value passed, else like `success rate 50.00% < 99%`."""

    breach: str
    bound: str
    """The limits in words: `>= 99%`, `<= 500ms`, `>= 1 and <= 2`."""
    recorded: float
    """What the gauge `flagger_canary_metric_analysis` gets: percent, seconds, or the raw value (metrics:REC-06)."""

    @property
    def passed(self) -> bool:
        return not self.breach


def bounds(kind: CheckKind, threshold: float | None, threshold_range: ThresholdRange | None) -> Bounds:
    """The limits of a check, for a duration in whole milliseconds (EVAL-12, EVAL-13).

    A range hides `threshold`, even an empty one. Neither given means a threshold of 0 (EVAL-14).
    """
    if threshold_range is not None:
        limits = Bounds(threshold_range.min, threshold_range.max)
    elif kind is CheckKind.SUCCESS_RATE:
        limits = Bounds(lowest=threshold or 0.0)
    else:
        limits = Bounds(highest=threshold or 0.0)
    return Bounds(_whole(limits.lowest), _whole(limits.highest)) if kind is CheckKind.DURATION else limits


def judge(kind: CheckKind, name: str, value: float, limits: Bounds) -> Verdict:
    """Hold a finite value against its limits; the lower one comes first. `name` is the metric's, for a custom check.

    A duration is cut to whole milliseconds before (EVAL-10).
    """
    measured = float(math.trunc(value)) if kind is CheckKind.DURATION else value
    breach = ""
    if limits.lowest is not None and measured < limits.lowest:
        breach = f"{_subject(kind, name)} {_value(kind, measured)} < {_limit(kind, limits.lowest)}"
    elif limits.highest is not None and measured > limits.highest:
        breach = f"{_subject(kind, name)} {_value(kind, measured)} > {_limit(kind, limits.highest)}"
    return Verdict(breach, describe(kind, limits), measured / 1000 if kind is CheckKind.DURATION else measured)


def describe(kind: CheckKind, limits: Bounds) -> str:
    """The limits in words; empty where every value passes."""
    words = [f">= {_limit(kind, limits.lowest)}"] if limits.lowest is not None else []
    if limits.highest is not None:
        words.append(f"<= {_limit(kind, limits.highest)}")
    return " and ".join(words)


def _whole(limit: float | None) -> float | None:
    return None if limit is None else float(math.trunc(limit))


def _subject(kind: CheckKind, name: str) -> str:
    return {CheckKind.SUCCESS_RATE: "success rate", CheckKind.DURATION: "request duration", CheckKind.CUSTOM: name}[kind]


def _value(kind: CheckKind, value: float) -> str:
    match kind:
        case CheckKind.SUCCESS_RATE:
            return f"{value:.2f}%"
        case CheckKind.DURATION:
            return _duration(value)
        case CheckKind.CUSTOM:
            return f"{value:.2f}"


def _limit(kind: CheckKind, limit: float) -> str:
    match kind:
        case CheckKind.SUCCESS_RATE:
            return f"{shortest_float(limit)}%"
        case CheckKind.DURATION:
            return _duration(limit)
        case CheckKind.CUSTOM:
            return shortest_float(limit)


def _duration(milliseconds: float) -> str:
    return format_duration(timedelta(milliseconds=max(min(milliseconds, _LONGEST), -_LONGEST)))
