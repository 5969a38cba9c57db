"""Functions over the samples of one series in a window, and over values; as Prometheus 3 computes them."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from flagger_py.local.promql.values import Window

OverTime: TypeAlias = Callable[[Window], float | None]
"""A window's value, or `None` where it gives no result."""

_NEAR_EDGE: Final = 1.1
"""A first or last sample that is at most so many average distances from the window's edge stands for what lies beyond it too."""


def extrapolated(window: Window, *, is_counter: bool, is_rate: bool) -> float | None:
    """The increase over the whole window, from the samples inside it; divided by the window's length for a rate.

    The samples rarely lie on the edges, so the increase is stretched to them, but not beyond half a sample's distance where the
    series began or ended inside the window, and not to before a counter was zero.
    """
    points = window.points
    if len(points) < 2:
        return None
    increase = points[-1][1] - points[0][1] + (_lost_in_resets(points) if is_counter else 0.0)
    sampled = (points[-1][0] - points[0][0]) / 1000
    distance = sampled / (len(points) - 1)
    before = _reach((points[0][0] - window.start_ms) / 1000, distance)
    after = _reach((window.end_ms - points[-1][0]) / 1000, distance)
    if is_counter and increase > 0 and points[0][1] >= 0:
        before = min(before, sampled * (points[0][1] / increase))
    factor = (sampled + before + after) / sampled
    if is_rate:
        factor /= (window.end_ms - window.start_ms) / 1000
    return increase * factor


def _reach(gap: float, distance: float) -> float:
    return distance / 2 if gap >= distance * _NEAR_EDGE else gap


def _lost_in_resets(points: Sequence[tuple[int, float]]) -> float:
    pairs = pairwise(points)
    return math.fsum(earlier for (_, earlier), (_, later) in pairs if later < earlier)


def instant(window: Window, *, is_rate: bool) -> float | None:
    """From the last two samples: `irate` (a reset counts from zero) or `idelta`."""
    if len(window.points) < 2:
        return None
    (earlier_ms, earlier), (later_ms, later) = window.points[-2:]
    if not is_rate:
        return later - earlier
    increase = later if later < earlier else later - earlier
    return increase / ((later_ms - earlier_ms) / 1000)


def _of_values(compute: Callable[[Sequence[float]], float]) -> OverTime:
    return lambda window: compute([value for _, value in window.points]) if window.points else None


def largest(values: Sequence[float]) -> float:
    """NaN only where there is nothing else."""
    numbers = [value for value in values if not math.isnan(value)]
    return max(numbers) if numbers else math.nan


def smallest(values: Sequence[float]) -> float:
    """NaN only where there is nothing else."""
    numbers = [value for value in values if not math.isnan(value)]
    return min(numbers) if numbers else math.nan


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _changes(values: Sequence[float]) -> float:
    pairs = pairwise(values)
    return float(sum(1 for earlier, later in pairs if later != earlier and not (math.isnan(earlier) and math.isnan(later))))


def _resets(values: Sequence[float]) -> float:
    return float(sum(1 for earlier, later in pairwise(values) if later < earlier))


OVER_TIME: Final[Mapping[str, OverTime]] = {
    "rate": lambda window: extrapolated(window, is_counter=True, is_rate=True),
    "increase": lambda window: extrapolated(window, is_counter=True, is_rate=False),
    "delta": lambda window: extrapolated(window, is_counter=False, is_rate=False),
    "irate": lambda window: instant(window, is_rate=True),
    "idelta": lambda window: instant(window, is_rate=False),
    "changes": _of_values(_changes),
    "resets": _of_values(_resets),
    "avg_over_time": _of_values(mean),
    "min_over_time": _of_values(smallest),
    "max_over_time": _of_values(largest),
    "sum_over_time": _of_values(sum),
    "count_over_time": _of_values(lambda values: float(len(values))),
    "last_over_time": _of_values(lambda values: values[-1]),
    "present_over_time": _of_values(lambda _: 1.0),
}
"""Functions of a range vector, by name."""


def _guarded(compute: Callable[[float], float], at_pole: float = math.nan) -> Callable[[float], float]:
    """IEEE results where Python's `math` raises: `at_pole` for zero, NaN outside the domain, infinity beyond all floats."""

    def apply(value: float) -> float:
        try:
            return compute(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return at_pole if value == 0 else math.nan

    return apply


def _whole(compute: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(compute(value)) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return math.nan if math.isnan(value) else float((value > 0) - (value < 0))


OF_VALUE: Final[Mapping[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _guarded(math.exp),
    "ln": _guarded(math.log, -math.inf),
    "log2": _guarded(math.log2, -math.inf),
    "log10": _guarded(math.log10, -math.inf),
    "sqrt": _guarded(math.sqrt),
    "sgn": _sign,
}
"""Functions of each value of an instant vector, by name."""


def clamp(value: float, low: float, high: float) -> float:
    """`value` between the bounds; NaN stays NaN."""
    return value if math.isnan(value) else max(low, min(high, value))


def rounded(value: float, nearest: float) -> float:
    """To a multiple of `nearest`; halves go up."""
    if not math.isfinite(value) or nearest == 0:
        return value if nearest else math.nan
    inverse = 1.0 / nearest
    return math.floor(value * inverse + 0.5) / inverse
