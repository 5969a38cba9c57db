"""`histogram_quantile` over classic histograms: cumulative buckets with their upper bound in the label `le`."""

import math
from collections.abc import Iterable
from typing import Final

_SMALL_DELTA: Final = 1e-12
"""Relative difference of two bucket counts that is taken for the noise of adding floats, not for a reset."""


def quantile(q: float, buckets: Iterable[tuple[float, float]]) -> float:
    """The value below which a share `q` of the observations lies, by linear interpolation inside a bucket.

    `buckets` are pairs of upper bound and cumulative count, in any order. NaN without a `+Inf` bucket, without a second
    bucket, or without observations. In the last bucket the answer is the bound below it.
    """
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    bounds, counts = _cumulative(buckets)
    if len(bounds) < 2 or not math.isinf(bounds[-1]) or not counts[-1] > 0:
        return math.nan
    rank = q * counts[-1]
    place = next((index for index, count in enumerate(counts[:-1]) if count >= rank), len(bounds) - 1)
    if place == len(bounds) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    if not inside:  # only the first bucket can be empty and hold the rank: 0 / 0
        return math.nan
    return start + (bounds[place] - start) * ((rank - below) / inside)


def _cumulative(buckets: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Bounds in order and counts that never fall; buckets of one bound are added up."""
    merged: dict[float, float] = {}
    for bound, count in buckets:
        merged[bound] = merged.get(bound, 0.0) + count
    bounds = sorted(merged)
    counts: list[float] = []
    for bound in bounds:
        count = merged[bound]
        before = counts[-1] if counts else count
        is_noise = abs(count - before) <= _SMALL_DELTA * abs(count + before) / 2
        counts.append(before if is_noise or count < before else count)
    return bounds, counts
