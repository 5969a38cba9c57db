"""A cluster as plain values: applies the effects of `decide` at once, so that whole rollouts run in a loop without any I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from flagger_py.api.canary import Canary
from flagger_py.api.metadata import FINALIZER
from flagger_py.api.status import ConditionType
from flagger_py.rollout.decide import decide
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.effects import (
    AddFinalizer,
    Adopt,
    CreatePrimary,
    Effect,
    EnsureApex,
    EnsureServices,
    FinalizerEffect,
    KeepPrimaryScaler,
    NudgeRoutes,
    PauseScaler,
    Promote,
    PruneConfigs,
    RaisePrimary,
    RemoveFinalizer,
    RemoveFormerScaler,
    RestartPods,
    RestorationEffect,
    RestoreApex,
    RestorePrimary,
    RestoreTarget,
    ResumeScaler,
    RevertRoutes,
    ScalerEffect,
    ScaleTargetToZero,
    ScaleTargetUp,
    SetTraffic,
    is_relied_on,
    relies_on_earlier,
)
from flagger_py.rollout.identity import configs_digest, promotion_id
from flagger_py.rollout.plan import Plan
from flagger_py.rollout.questions import Answer, Question, QuestionKey
from flagger_py.rollout.readiness import NotReady, Readiness, Ready
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.rollout.views import (
    NO_SCALER,
    Back,
    CopyState,
    Lost,
    Owed,
    Part,
    PrimaryView,
    ReplicaLimits,
    RestorationView,
    ScalerView,
    ServicesView,
    TargetView,
)
from flagger_py.rollout.world import NOT_LOOKED_AT, NOTHING_YET, ConfigsView, Fault, FirstContact, World

START = datetime(2026, 1, 1, tzinfo=UTC)
UID = "0b5c-canary"
SECOND = timedelta(seconds=1)

PASSING = Answer()


def weighted_plan(**changes: object) -> Plan:
    """Steps 20, 40 with an interval of 10 s and a threshold of 2."""
    plan = Plan(
        interval=10 * SECOND,
        threshold=2,
        max_weight=40,
        steps=(20, 40),
        progress_deadline=60 * SECOND,
        canary_name="web.test",
        target_name="web.test",
    )
    return replace(plan, **changes)  # type: ignore[arg-type]  # names are checked by replace itself


def manifest() -> Canary:
    """A Canary without a status."""
    return Canary.model_validate(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web", "namespace": "test", "uid": UID, "generation": 1},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80},
                "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 20, "maxWeight": 40},
            },
        }
    )


@dataclass
class Simulation:
    """Mutable; `step` is one pass. Answers come from `answer`, at once; `None` leaves the question open."""

    plan: Plan = field(default_factory=weighted_plan)
    canary: Canary = field(default_factory=manifest)
    now: datetime = START
    target: TargetView | None = field(default_factory=lambda: TargetView("t-1", 1, "v1:one", 2, 2, Ready()))
    primary: PrimaryView | None = None
    canary_ready_since: datetime | None = None
    routes_changed_at: datetime | None = None
    checksums: Mapping[str, str] | None = field(default_factory=dict)
    services: ServicesView = NOTHING_YET
    scaler: ScalerView = NO_SCALER
    routes: Routes | Pending = NOT_LOOKED_AT
    faults: tuple[Fault, ...] = ()
    failures: tuple[Fault, ...] = ()
    frozen: bool = False
    has_pods: bool = True
    """False for a Service: it has neither pods nor a generation."""
    may_start: bool = True
    first_contact: FirstContact | None = None
    answer: Callable[[Question], Answer | None] = lambda _: PASSING
    answers: dict[QuestionKey, Answer] = field(default_factory=dict)
    asking: dict[QuestionKey, Question] = field(default_factory=dict)
    new_primary_readiness: Readiness = field(default_factory=Ready)
    primary_revision: str = ""
    configs_of_pods: str | None = None
    """The digest of the configs that the canary's pods have read; `None`: of those that there are now."""
    snapshots: tuple[tuple[str, str], ...] = ()
    """Revision and configs digest of each ControllerRevision, newest last."""
    decisions: list[Decision] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    forbidden: frozenset[type[Effect]] = frozenset()
    """Effects that the cluster refuses."""
    restoration: RestorationView | None = None
    """Instead of what follows from the apex Service and the routes, which here were there before the Canary."""
    reverted: bool = False
    gone: bool = False
    """The Canary is deleted, and nothing keeps it any more."""

    def world(self) -> World:
        return World(
            canary=self.canary,
            plan=self.plan,
            faults=self.faults,
            target=self.target,
            primary=self.primary,
            canary_ready_since=self.canary_ready_since,
            routes_changed_at=self.routes_changed_at,
            configs=ConfigsView(self.checksums),
            services=self.services,
            scaler=self.scaler,
            routes=self.routes,
            first_contact=self.first_contact,
            restoration=self.restoration or self._restoration(),
            answers=self.answers,
            asking=frozenset(self.asking),
            frozen=self.frozen,
            failures=self.failures,
            may_start=self.may_start,
        )

    def step(self) -> Decision:
        """Observe, decide, store, apply, answer."""
        decision = decide(self.world(), self.now)
        self.decisions.append(decision)
        self.canary = self.canary.model_copy(update={"status": decision.status})
        self.answers = {key: answer for key, answer in self.answers.items() if key in decision.consulted}
        self._bring_about(decision)
        self._follow(decision)
        return decision

    def _restoration(self) -> RestorationView:
        apex: Part = Owed("it selects the primary's pods") if self.services.apex else Back()
        routes: Part = Owed("they lead to the primary") if isinstance(self.routes, Routes) and not self.reverted else Back()
        return RestorationView(apex=apex, routes=routes)

    def _bring_about(self, decision: Decision) -> None:
        """What the shell does: up to the first effect that fails, but for those that do not rely on others."""
        failures: tuple[Fault, ...] = ()
        has_failed = False
        for effect in decision.effects:
            if has_failed and relies_on_earlier(effect):
                continue
            if type(effect) in self.forbidden:
                text = f"{type(effect).__name__} is forbidden"
                failures = (*failures, Fault(ConditionType.REFERENCES_RESOLVED, "Forbidden", text, retry=True))
                has_failed = has_failed or is_relied_on(effect)
            else:
                self.apply(effect)
        if self.forbidden or failures:
            self.failures = failures

    def _follow(self, decision: Decision) -> None:
        """What the shell's `Questions` does: drop what is not looked at, ask what is new."""
        self.asking = {key: question for key, question in self.asking.items() if key in decision.consulted}
        for question in decision.questions:
            if question.key not in self.asking:
                self.asked.append(question)
                self.asking[question.key] = question
        for key, question in list(self.asking.items()):
            if (answer := self.answer(question)) is not None:
                self.answers[key] = answer
                del self.asking[key]

    def crash(self) -> None:
        """Lose all memory: another process goes on."""
        self.answers.clear()
        self.asking.clear()

    def settle(self, limit: int = 60) -> None:
        """Pass until a pass changes nothing at this moment."""
        for _ in range(limit):
            before = self._moment()
            self.step()
            if before == self._moment():
                return
        raise AssertionError(f"does not settle: {self.canary.status}")

    def _moment(self) -> tuple[object, ...]:
        return (
            self.canary.status,
            self.target,
            self.primary,
            self.scaler,
            self.routes,
            self.services,
            dict(self.answers),
            dict(self.asking),
        )

    def advance(self, seconds: float = 10) -> None:
        """Let time go by, then pass until all is quiet."""
        self.now += timedelta(seconds=seconds)
        self.settle()

    def initialise(self) -> "Simulation":
        self.settle()
        return self

    def release(self, revision: str) -> None:
        """Set the target to another revision, which starts its pods anew."""
        assert self.target is not None
        self.configs_of_pods = configs_digest(self.checksums)
        self.target = replace(self.target, revision=revision, generation=self.target.generation + self.has_pods)

    @property
    def weight(self) -> int:
        assert isinstance(self.routes, Routes)
        return self.routes.canary

    @property
    def messages(self) -> list[str]:
        return [notice.message for decision in self.decisions for notice in decision.notices]

    def apply(self, effect: Effect) -> None:
        match effect:
            case EnsureServices():
                self.services = replace(self.services, canary=True, primary=True)
            case EnsureApex():
                self.services = replace(self.services, apex=True)
            case CreatePrimary(revision, checksums) | Promote(revision, checksums):
                assert self.target is not None
                if self.target.revision != revision or dict(self.checksums or {}) != dict(checksums):
                    return
                self.promote(revision, configs_digest(checksums))
            case RestorePrimary():
                self._restore()
            case SetTraffic(traffic):
                self.routes = traffic.routes
            case ScaleTargetUp() | RestartPods() | ScaleTargetToZero():
                self._apply_to_pods(effect)
            case PruneConfigs() | Adopt() | NudgeRoutes():
                pass
            case _:
                self._apply_other(effect)

    def _apply_other(self, effect: ScalerEffect | RestorationEffect | FinalizerEffect) -> None:
        match effect:
            case ResumeScaler() | PauseScaler() | KeepPrimaryScaler() | RaisePrimary() | RemoveFormerScaler():
                self._apply_to_scalers(effect)
            case _:
                self._apply_at_the_end(effect)

    def _apply_to_scalers(self, effect: ScalerEffect) -> None:
        match effect:
            case ResumeScaler() | PauseScaler():
                self.scaler = replace(self.scaler, is_paused=isinstance(effect, PauseScaler))
            case KeepPrimaryScaler(_, least, whole):
                live, wanted = self.scaler.live, self.scaler.wanted
                low = max(wanted.least, least) if whole else max(live.least, wanted.least, least)
                most = wanted.most if whole else max(live.most, wanted.most)
                state = CopyState.IN_STEP if whole or self.scaler.copy is not CopyState.DIFFERS else CopyState.DIFFERS
                self.scaler = replace(self.scaler, copy=state, live=ReplicaLimits(min(low, most), most))
            case RaisePrimary(count):
                assert self.primary is not None
                if count > self.primary.replicas:
                    missing = NotReady(f"of {count} pods some are missing")
                    readiness = missing if isinstance(self.primary.readiness, Ready) else self.primary.readiness
                    self.primary = replace(self.primary, replicas=count, readiness=readiness)
            case RemoveFormerScaler():
                self.scaler = replace(self.scaler, has_former=False)
            case _:
                assert_never(effect)

    def start_pods(self) -> None:
        """The pods that the primary was given are ready."""
        assert self.primary is not None
        self.primary = replace(self.primary, available=self.primary.replicas, readiness=Ready())

    def _apply_to_pods(self, effect: ScaleTargetUp | RestartPods | ScaleTargetToZero) -> None:
        """Pods that start read the configs as they are."""
        assert self.target is not None
        self.target = replace(self.target, generation=self.target.generation + 1)
        self.configs_of_pods = configs_digest(self.checksums)
        match effect:
            case ScaleTargetUp(replicas):
                self.target = replace(self.target, replicas=replicas or 2, available=replicas or 2)
            case RestartPods(occasion):
                self.target = replace(self.target, restarted_for=occasion)
            case ScaleTargetToZero():
                self.target = replace(self.target, replicas=0, available=0, restarted_for="")

    def _apply_at_the_end(self, effect: RestorationEffect | FinalizerEffect) -> None:
        match effect:
            case RestoreTarget():
                self._restore_target()
            case RestoreApex():
                self.services = replace(self.services, apex=False)
            case RevertRoutes(only_prepare):
                self.reverted = self.reverted or not only_prepare
            case AddFinalizer():
                self.edit(finalizers=(*self.canary.metadata.finalizers, FINALIZER))
            case RemoveFinalizer():
                self.edit(finalizers=tuple(name for name in self.canary.metadata.finalizers if name != FINALIZER))
                self.gone = self.canary.metadata.deletion_timestamp is not None
            case _:
                assert_never(effect)

    def configure(self, checksum: str) -> None:
        """Change the config; pods that run go on with what they have read."""
        if self.configs_of_pods is None:
            self.configs_of_pods = configs_digest(self.checksums)
        self.checksums = {"configmap/web": checksum}

    def edit(self, **metadata: object) -> None:
        """Change the metadata of the Canary."""
        self.canary = self.canary.model_copy(update={"metadata": self.canary.metadata.model_copy(update=metadata)})

    def delete(self) -> None:
        """Somebody deletes the Canary; a finalizer keeps it."""
        self.edit(deletion_timestamp=self.now)
        self.gone = not self.canary.metadata.finalizers

    def lose_sight(self, reason: str) -> None:
        """Nothing that belongs to the Canary can be looked at."""
        self.target = self.primary = None
        self.restoration = RestorationView(workloads=Lost(reason), apex=Lost(reason), routes=Lost(reason))

    def _restore_target(self) -> None:
        if self.target is not None:
            replicas = max(self.target.replicas, self.primary.replicas if self.primary else 1, 1)
            self.target = replace(self.target, replicas=replicas, available=replicas, generation=self.target.generation + 1)

    def promote(self, revision: str, configs: str) -> None:
        """As the workload does: the snapshot first; nothing where the primary carries it."""
        if self.primary is not None and self.primary.promotion_id == promotion_id(UID, revision, configs):
            return
        self.snapshots = (*(kept for kept in self.snapshots if kept != (revision, configs)), (revision, configs))
        self._carry(revision, configs)

    def _restore(self) -> None:
        record = self.canary.status.rollout
        assert record
        carried = (record.promoted_revision, record.promoted_configs)
        if carried in self.snapshots and not record.promoting:
            self._carry(*carried)
        elif self.snapshots:
            self._carry(*self.snapshots[-1])

    def _carry(self, revision: str, configs: str) -> None:
        self.primary_revision = revision
        replicas = self.primary.replicas if self.primary and self.scaler.ref else 2
        self.primary = PrimaryView(replicas, replicas, self.new_primary_readiness, promotion_id(UID, revision, configs), self.has_pods)
