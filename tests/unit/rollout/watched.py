"""A simulation that holds every effect to the properties of design §3."""

from flagger_py.api.rollout_record import RolloutRecord
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.rollout.deadlines import LONGEST_RAISE
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.effects import (
    CreatePrimary,
    Effect,
    Promote,
    RemoveFinalizer,
    RestoreApex,
    RestorePrimary,
    RevertRoutes,
    ScaleTargetToZero,
    SetTraffic,
)
from flagger_py.rollout.identity import configs_digest
from flagger_py.rollout.readiness import NotReady, Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Routes
from flagger_py.rollout.turn import UNKNOWN_REVISION
from tests.unit.rollout.simulation import Simulation

SETTLED = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)

NEEDS_TARGET = (Phase.NONE, Phase.INITIALIZING, Phase.WAITING)


class Watched(Simulation):
    """Looks at each effect before it is applied, and can lose effects."""

    lose_from: int | None = None
    """How many effects a pass brings about before it crashes; `None`: all of them."""
    applied: int = 0
    is_gateway_slow: bool = False
    """What is routed stays pending."""

    def apply(self, effect: Effect) -> None:
        self.applied += 1
        if self.lose_from is not None and self.applied > self.lose_from:
            return
        self._check(effect)
        if not (self.is_gateway_slow and isinstance(effect, SetTraffic)):
            super().apply(effect)

    def settle(self, limit: int = 60) -> None:
        for _ in range(limit):
            before = self._moment()
            self.watched_step()
            if before == self._moment():
                return
        raise AssertionError(f"does not settle: {self.status}")

    def watched_step(self) -> Decision:
        """One pass, with its decision held against what was seen before it."""
        status, routes = self.status, self.routes
        replicas = self.target.replicas if self.target else 0
        decision = self.step()
        self._check_wake(decision)
        if decision.status.phase is not status.phase:
            self._check_fact(decision.status, routes, replicas)
        return decision

    def phase(self) -> Phase:
        """A call, because type checkers take a property for unchanged."""
        return self.status.phase

    @property
    def status(self) -> CanaryStatus:
        return self.canary.status

    @property
    def record(self) -> RolloutRecord:
        assert self.status.rollout
        return self.status.rollout

    def _check(self, effect: Effect) -> None:
        match effect:
            case SetTraffic(traffic):
                self._check_raise(traffic.routes)
            case Promote(revision, _):
                assert self.record.promoting, "a promotion is stored before the primary is touched"
                assert revision == self.record.revision
            case CreatePrimary() | RestorePrimary():
                assert self.primary is None
            case ScaleTargetToZero():
                assert self.routes == ALL_PRIMARY, "no pods go while they have traffic"
            case RestoreApex() | RevertRoutes() | RemoveFinalizer():
                self._check_restoration(effect)
            case _:
                pass

    def _check_raise(self, wanted: Routes) -> None:
        live = (self.routes.primary, self.routes.canary) if isinstance(self.routes, Routes) else (0, 0)
        if wanted.canary > live[1]:
            assert self.target, "no traffic to a canary that does not exist"
            assert isinstance(self.target.readiness, Ready), "a weight is raised only while the version is Ready"
            assert self.target.is_available
            read = self.configs_of_pods
            assert read in (None, configs_digest(self.status.tracked_configs)), "its pods have read the configs of the run"
        if wanted.primary > live[0]:
            assert self.primary, "no traffic to a primary that does not exist"
            assert isinstance(self.primary.readiness, Ready) or self._has_waited_for_pods(), "a weight is raised only while it is Ready"

    def _has_waited_for_pods(self) -> bool:
        """A primary that is given more pods is ready before they are, at the end of the time that they have (workloads:AS-05)."""
        hold, primary = self.record.hold, self.primary
        if hold is None or primary is None or not isinstance(primary.readiness, NotReady) or self.record.promoting:
            return False
        is_over = self.now >= hold.since + min(self.plan.interval, LONGEST_RAISE) or self.target is None or self.target.available < 1
        return is_over and primary.available >= max(hold.available, 1)

    def _check_restoration(self, effect: Effect) -> None:
        """Users go to the target only while it can serve, and the primary goes only when nobody is left on it."""
        if not self.plan.revert_on_deletion or (isinstance(effect, RemoveFinalizer) and effect.unconditional):
            return
        if self.target and self.primary and isinstance(self.primary.readiness, Ready) and not self.forbidden:
            assert isinstance(self.target.readiness, Ready), "no traffic to a target that is not ready"
            assert self.target.is_available
        if not isinstance(effect, RestoreApex) and not self.restoration and not self.forbidden:
            assert not self.services.apex, "the apex leads to the target before the routes lead to the apex"
        if isinstance(effect, RemoveFinalizer) and not self.restoration:
            assert self.reverted or not isinstance(self.routes, Routes), "the primary goes after the routes"

    def _check_wake(self, decision: Decision) -> None:
        """Every state that is not settled or held moves by itself; without a target there may be only its appearance to wait for."""
        if (self.plan.suspended or self.frozen or self.faults) and not self.canary.metadata.deletion_timestamp:
            return
        if self.gone or (self.canary.metadata.deletion_timestamp and not self.canary.metadata.finalizers):
            return
        if decision.status.phase in SETTLED or (self.target is None and decision.status.phase in NEEDS_TARGET):
            return
        moves = decision.questions or decision.effects or decision.retry or decision.wake_at or self.asking
        assert moves, f"nothing wakes {decision.status.phase}: {decision.reason}"

    def _check_fact(self, status: CanaryStatus, routes: object, replicas: int) -> None:
        """A phase that states a fact is written only when a pass has observed it (design §4); arguments are as they were before it."""
        record = status.rollout
        if record is None:
            return
        match status.phase:
            case Phase.INITIALIZED | Phase.SUCCEEDED:
                assert routes == ALL_PRIMARY
                assert replicas == 0 or record.outcome is None, "the canary's pods are gone"
                assert self.primary is None or self._is_promoted(record)
            case Phase.FINALISING:
                assert routes == ALL_PRIMARY
            case Phase.FAILED if record.serving_canary:
                assert routes == ALL_CANARY
            case Phase.FAILED:
                assert (routes, replicas) == (ALL_PRIMARY, 0), "no traffic on the canary and no pods of it after a rollback"
            case Phase.PROMOTING:
                assert self._is_promoted(record)
            case _:
                pass

    def _is_promoted(self, record: RolloutRecord) -> bool:
        """Whether the primary carries what the record says; that of a take-over may not know it."""
        return record.promoted_revision in (self.primary_revision, UNKNOWN_REVISION)
