"""Reports what a pass did: notices become events, transitions become the `flagger_*` metrics (metrics:REC-*)."""

from dataclasses import dataclass

from flagger_py.api import effective
from flagger_py.api.canary import Canary
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.controller.events import EventRecorder
from flagger_py.controller.exported import AnalysisStatus, ExportedMetrics, Subject
from flagger_py.objects.resource import Ref
from flagger_py.rollout.identity import configs_digest, flagger_hash
from flagger_py.rollout.notices import Notice, Severity
from flagger_py.rollout.outcomes import Result
from flagger_py.rollout.traffic import Routes
from flagger_py.rollout.world import World


@dataclass(frozen=True, slots=True)
class PassReporter:
    """One for all Canaries."""

    events: EventRecorder
    exported: ExportedMetrics

    def report(self, before: CanaryStatus, canary: Canary, world: World, notices: tuple[Notice, ...]) -> None:
        """Tell what this pass has changed; `canary` carries the stored status, `before` is the one before it."""
        self.events.record(canary, notices, checksum=_checksum(canary, world))
        subject = Subject(canary.spec.target_ref.name, canary.namespace)
        self.exported.add(f"{canary.namespace}/{canary.name}", subject)
        self.exported.phase(subject, canary.status.phase)
        if isinstance(world.routes, Routes):
            self.exported.routes(subject, world.routes)
        if canary.status.phase != before.phase:
            self._count(canary, subject)

    def analysed(self, canary: Canary, seconds: float) -> None:
        """An analysis took this long (metrics:REC-12)."""
        self.exported.analysed(Subject(canary.spec.target_ref.name, canary.namespace), seconds)

    def measured(self, canary: Canary, metric: str, value: float) -> None:
        """A check has read this value (metrics:REC-06)."""
        self.exported.measured(Subject(canary.spec.target_ref.name, canary.namespace), metric, value)

    def warned(self, canary: Canary, message: str, key: str) -> None:
        """Something is wrong that no pass has noticed: it goes on in the background."""
        record = canary.status.rollout
        checksum = flagger_hash(record.revision if record else "", configs_digest(canary.status.tracked_configs))
        self.events.record(canary, (Notice(Severity.WARNING, message, key),), checksum=checksum)

    def forget(self, ref: Ref) -> None:
        """The Canary is gone, and its series with it."""
        self.exported.remove(f"{ref.namespace}/{ref.name}")

    def _count(self, canary: Canary, subject: Subject) -> None:
        record = canary.status.rollout
        if record is None or record.outcome is None:
            return
        if canary.status.phase is Phase.FAILED:
            self.exported.failed(subject, effective.strategy(canary))
        elif canary.status.phase is Phase.SUCCEEDED and record.outcome.result == Result.PROMOTED:
            status = AnalysisStatus.SKIPPED if effective.is_analysis_skipped(canary) else AnalysisStatus.COMPLETED
            self.exported.succeeded(subject, effective.strategy(canary), status)


def _checksum(canary: Canary, world: World) -> str:
    """The revision under test and its configs (engine:HOOK-03)."""
    record = canary.status.rollout
    return flagger_hash(record.revision if record else "", world.configs.digest)
