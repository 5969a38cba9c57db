"""The controller's own metrics, `flagger_*`, as Flagger exports them (metrics:REC-01..17): dashboards and alerts are written for these.

Values are kept as plain numbers and written out when Prometheus asks: 1.1 KiB per Canary, where the client's own metric objects take 7,
and a deleted Canary's series go with its entry.
Label `name` is the target's name, not the Canary's (REC-09). Unlike Flagger's, the series of a deleted Canary go (REC-15).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flagger_py.api.effective import Strategy
from flagger_py.api.status import Phase
from flagger_py.rollout.traffic import Routes

BUCKETS: Final = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
"""Prometheus' default buckets for Go, in its spelling (`le="1"`, not `le="1.0"`); those of the Python client differ (REC-16)."""

_STATUS: Final[Mapping[Phase, int]] = MappingProxyType({Phase.PROGRESSING: 0, Phase.FAILED: 2})


class AnalysisStatus(StrEnum):
    """Label `analysis_status`: skipped only for a success with `skipAnalysis` (operations:OPS-10)."""

    COMPLETED = "completed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Subject:
    """What the series are about: a target workload."""

    name: str
    namespace: str


@dataclass(slots=True)
class _Series:
    """Everything that is exported of one target."""

    canaries: set[str] = field(default_factory=set)
    """The Canaries that use it: two only while the refused one of a pair exists."""
    status: int | None = None
    routes: Routes | None = None
    analysis: dict[str, float] = field(default_factory=dict)
    successes: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    durations: list[int] = field(default_factory=list)
    """Observations per bucket, not cumulated; empty before the first one."""
    duration_sum: float = 0.0


class ExportedMetrics(Collector):
    """Every series of the process, in a registry of its own. Values for a target that no Canary uses (any more) are dropped."""

    def __init__(self, version: str, mesh_provider: str) -> None:
        self.registry = CollectorRegistry()
        self._info = (version, mesh_provider)
        self._series: dict[Subject, _Series] = {}
        self._subjects: dict[str, Subject] = {}
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.registry.register(self)

    def add(self, canary: str, subject: Subject) -> None:
        """Take note of a Canary (`namespace/name`) and its target, which may have changed."""
        if self._subjects.get(canary) != subject:
            self.remove(canary)
            self._subjects[canary] = subject
            self._series.setdefault(subject, _Series()).canaries.add(canary)

    def remove(self, canary: str) -> None:
        """Drop the series of a Canary that is gone, but for those of a target that another Canary still uses (REC-15)."""
        if subject := self._subjects.pop(canary, None):
            self._series[subject].canaries.discard(canary)
            if not self._series[subject].canaries:
                del self._series[subject]

    def phase(self, subject: Subject, phase: Phase) -> None:
        """Where a rollout stands (REC-10)."""
        if series := self._series.get(subject):
            series.status = _STATUS.get(phase, 1)

    def routes(self, subject: Subject, routes: Routes) -> None:
        """The traffic after a change of routes, or as it was read back (REC-11)."""
        if series := self._series.get(subject):
            series.routes = routes

    def analysed(self, subject: Subject, seconds: float) -> None:
        """One analysis took this long: not a whole rollout, whatever the name suggests (REC-12)."""
        if series := self._series.get(subject):
            counts = series.durations or [0] * len(BUCKETS)
            counts[next(index for index, bound in enumerate(BUCKETS) if seconds <= float(bound))] += 1
            series.durations = counts
            series.duration_sum += seconds

    def measured(self, subject: Subject, metric: str, value: float) -> None:
        """The value of a metric check: a success rate in percent, a duration in seconds, else as it was queried (REC-06)."""
        if series := self._series.get(subject):
            series.analysis[metric] = value

    def succeeded(self, subject: Subject, strategy: Strategy, status: AnalysisStatus) -> None:
        """A revision was promoted (REC-13)."""
        if series := self._series.get(subject):
            series.successes[strategy, status] += 1

    def failed(self, subject: Subject, strategy: Strategy) -> None:
        """A revision was rolled back, or its promotion failed; `completed` even where the analysis is skipped (REC-14)."""
        if series := self._series.get(subject):
            series.failures[strategy, AnalysisStatus.COMPLETED] += 1

    def render(self) -> bytes:
        """The text exposition. May be called in a thread, while values change."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """All `flagger_*` metrics; called by the registry."""
        known = list(self._series.items())  # a copy, taken in one step: the loop goes on adding and removing
        info = GaugeMetricFamily("flagger_info", "Version and default provider of the controller.", labels=["version", "mesh_provider"])
        info.add_metric(self._info, 1)
        yield info
        total = GaugeMetricFamily("flagger_canary_total", "Canaries by namespace.", labels=["namespace"])
        for namespace, count in Counter(subject.namespace for subject in list(self._subjects.values())).items():
            total.add_metric([namespace], count)
        yield total
        yield from _gauges(known)
        yield _durations(known)
        yield _runs("flagger_canary_successes", "Rollouts that were promoted.", [(subject, one.successes) for subject, one in known])
        yield _runs("flagger_canary_failures", "Rollouts that did not end well.", [(subject, one.failures) for subject, one in known])


def _gauges(known: list[tuple[Subject, _Series]]) -> Iterator[Metric]:
    status = GaugeMetricFamily("flagger_canary_status", "0: progressing, 2: failed, 1: anything else.", labels=["name", "namespace"])
    weight = GaugeMetricFamily("flagger_canary_weight", "Traffic of a workload in percent.", labels=["workload", "namespace"])
    analysis = GaugeMetricFamily("flagger_canary_metric_analysis", "Last value of a metric check.", labels=["name", "namespace", "metric"])
    for subject, series in known:
        if series.status is not None:
            status.add_metric([subject.name, subject.namespace], series.status)
        if routes := series.routes:
            weight.add_metric([f"{subject.name}-primary", subject.namespace], routes.primary)
            weight.add_metric([subject.name, subject.namespace], routes.canary)
        for metric, value in list(series.analysis.items()):
            analysis.add_metric([subject.name, subject.namespace, metric], value)
    yield from (status, weight, analysis)


def _durations(known: list[tuple[Subject, _Series]]) -> Metric:
    family = HistogramMetricFamily("flagger_canary_duration_seconds", "Duration of one analysis.", labels=["name", "namespace"])
    for subject, series in known:
        if series.durations:
            buckets = list(zip(BUCKETS, accumulate(series.durations), strict=True))
            family.add_metric([subject.name, subject.namespace], buckets, series.duration_sum)
    return family


def _runs(name: str, text: str, counts: list[tuple[Subject, Counter[tuple[str, str]]]]) -> Metric:
    # Declared without the `_total` that the client appends (REC-16).
    family = CounterMetricFamily(name, text, labels=["name", "namespace", "deployment_strategy", "analysis_status"])
    for subject, by_outcome in counts:
        for (strategy, status), count in list(by_outcome.items()):
            family.add_metric([subject.name, subject.namespace, strategy, status], count)
    return family
