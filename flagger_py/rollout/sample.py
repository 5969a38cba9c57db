"""What a metric query gives: a value, or no data. An error is a third thing and is raised (`metrics.base.MetricError`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """One number, in the unit of the query; finite."""

    value: float


@dataclass(frozen=True, slots=True)
class NoData:
    """The query was answered with nothing: no series, only nulls, or NaN (metrics:OBS-ALL-01, EVAL-15)."""

    reason: str


Sample = Value | NoData
