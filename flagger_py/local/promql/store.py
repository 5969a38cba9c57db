"""Samples in memory: series by their labels, times in milliseconds, old samples dropped as new ones come."""

import math
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Labels: TypeAlias = Mapping[str, str]
LabelKey: TypeAlias = tuple[tuple[str, str], ...]
Matches: TypeAlias = Callable[[Labels], bool]

METRIC_NAME: Final = "__name__"
DEFAULT_RETENTION_SECONDS: Final = 420.0
"""Longer than the lookback of 5 minutes; a series of the embedded cluster gets a sample every half second."""

STALE: Final[float] = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_ABCD))[0]
"""The sample that ends a series: a NaN of its own, told apart from other NaNs by its bits."""

_STALE_BYTES: Final = struct.pack("<d", STALE)
_TRIM_EVERY: Final = 256
"""Samples of a series between two looks at its oldest ones."""


def is_stale(value: float) -> bool:
    """Whether this is the end of a series, not a measured NaN."""
    return math.isnan(value) and struct.pack("<d", value) == _STALE_BYTES


def label_key(labels: Labels) -> LabelKey:
    """What makes two label sets equal."""
    return tuple(sorted(labels.items()))


@dataclass(slots=True, eq=False)
class Series:
    """The samples of one label set, oldest first."""

    labels: Labels
    times: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def append(self, time_ms: int, value: float, oldest_ms: int) -> None:
        """Add a sample; one that is not newer than the last is dropped."""
        if self.times and time_ms <= self.times[-1]:
            return
        self.times.append(time_ms)
        self.values.append(value)
        if len(self.times) % _TRIM_EVERY == 0:
            self._trim(oldest_ms)

    def latest(self, after_ms: int, until_ms: int) -> tuple[int, float] | None:
        """The newest sample in (after, until], unless the series has ended by then."""
        place = bisect_right(self.times, until_ms) - 1
        if place < 0 or self.times[place] <= after_ms or is_stale(self.values[place]):
            return None
        return self.times[place], self.values[place]

    def between(self, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
        """The samples in (after, until], without the marks of its ends."""
        first, last = bisect_right(self.times, after_ms), bisect_right(self.times, until_ms)
        return [(time, value) for time, value in zip(self.times[first:last], self.values[first:last], strict=True) if not is_stale(value)]

    def _trim(self, oldest_ms: int) -> None:
        first = bisect_right(self.times, oldest_ms)
        if first:
            del self.times[:first]
            del self.values[:first]


class SampleStore:
    """All series. Reading it never sees half of a scrape, because a scrape is added without awaiting."""

    def __init__(self, retention_seconds: float = DEFAULT_RETENTION_SECONDS) -> None:
        self._retention_ms = int(retention_seconds * 1000)
        self._by_name: dict[str, dict[LabelKey, Series]] = {}

    def series(self, labels: Labels) -> Series:
        """The series of these labels, made where it is new."""
        known = self._by_name.setdefault(labels.get(METRIC_NAME, ""), {})
        key = label_key(labels)
        if key not in known:
            known[key] = Series(dict(labels))
        return known[key]

    def append(self, series: Series, time_ms: int, value: float) -> None:
        series.append(time_ms, value, time_ms - self._retention_ms)

    def add(self, labels: Labels, samples: Iterable[tuple[float, float]]) -> None:
        """Add samples with times in seconds: for tests and for values that are not scraped."""
        series = self.series(labels)
        for time, value in samples:
            self.append(series, round(time * 1000), value)

    def select(self, name: str, matches: Matches) -> Iterator[Series]:
        """The series whose labels match; all names are looked at where none is given."""
        groups = [self._by_name.get(name, {})] if name else list(self._by_name.values())
        return (series for group in groups for series in group.values() if matches(series.labels))

    def forget_ended(self, now_ms: int) -> None:
        """Drop the series that have had no sample for the whole retention."""
        for group in self._by_name.values():
            for key in [key for key, series in group.items() if series.times and series.times[-1] < now_ms - self._retention_ms]:
                del group[key]
