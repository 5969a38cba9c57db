"""One pass of one Canary: observe, decide, store the status, tell, bring about, ask (design §4)."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.status import CanaryStatus, ConditionType
from flagger_py.controller.admission import Admission, second_owner
from flagger_py.controller.apply import EffectFailed, Hands, apply
from flagger_py.controller.clock import Clock
from flagger_py.controller.contests import Circumstance, Contests
from flagger_py.controller.dry_run import NotedObjects
from flagger_py.controller.fleet import Fleet
from flagger_py.controller.observe import Situation, observe
from flagger_py.controller.ports import Ports, Settings, open_ports
from flagger_py.controller.questions import Questions
from flagger_py.controller.restoring import Remains, look_at, open_remains
from flagger_py.controller.status_writer import write_status
from flagger_py.controller.told import Told
from flagger_py.controller.written import RecordedObjects
from flagger_py.kube.cluster import Cluster, ClusterObjects
from flagger_py.objects.errors import Conflict
from flagger_py.objects.plugins import PluginError
from flagger_py.objects.resource import CANARY, Manifest, Ref
from flagger_py.rollout.decide import decide
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.effects import Effect, SetTraffic, comes_before_status, is_relied_on, relies_on_earlier
from flagger_py.rollout.notices import Notice
from flagger_py.rollout.plan import plan_of
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import asked
from flagger_py.rollout.world import Fault, World
from flagger_py.workloads.base import TargetMoved, WorkloadError

log = structlog.get_logger(__name__)


class Reporter(Protocol):
    """Tells people what a pass did: events, event webhooks, exported metrics."""

    def report(self, before: CanaryStatus, canary: Canary, world: World, notices: tuple[Notice, ...]) -> None: ...


@dataclass(frozen=True, slots=True)
class PassResult:
    """When to look again, besides on a change: at a time, with back-off, or at once."""

    wake_at: datetime | None = None
    retry: bool = False
    again: bool = False
    seconds: float | None = None
    """At the latest."""


GONE = None
"""The Canary does not exist any more."""


@dataclass(slots=True)
class Memory:
    """What is remembered of one Canary between passes. Losing it costs a repetition, nothing else."""

    objects: ClusterObjects
    questions: Questions
    recorded: RecordedObjects
    """The same objects, for workload and router."""
    contests: Contests
    ports: Ports | None = None
    ports_for: tuple[str, str, str] = ("", "", "")
    remains: Remains | None = None
    """Once the Canary is being deleted."""
    canary_ready_since: datetime | None = None
    routes_changed_at: datetime | None = None
    failures: tuple[Fault, ...] = ()
    told: Told = field(default_factory=Told)
    listed: list[str] | None = None
    """What `-observe-only` has shown last."""


@dataclass(frozen=True, slots=True)
class PassRunner:
    """Runs passes. Holds what all Canaries share."""

    cluster: Cluster
    settings: Settings
    admission: Admission
    clock: Clock
    reporter: Reporter
    fleet: Fleet
    max_concurrent_starts: int = 0
    """0: no limit."""
    frozen: bool = False
    observe_only: bool = False
    has_global_notifier: bool = False

    async def run(self, ref: Ref, memory: Memory) -> PassResult | None:
        """One pass; `GONE` where the Canary does not exist. Raises `ApiError` where the API server is the cause."""
        manifest = await self.cluster.read(ref, _unrecorded)
        if manifest is None:
            return GONE
        canary, faults = self._admit(manifest)
        self.fleet.note(ref, manifest)
        faults = faults or self._shared_target(ref, canary)
        world = await self._world(ref, canary, faults, memory)
        decision = decide(world, self.clock.now())
        if self.observe_only:
            await self._list_writes(manifest, canary, decision, memory)
            return PassResult()
        try:
            for effect in filter(comes_before_status, decision.effects):
                await self._bring_one_about(effect, canary, memory)
            canary = await self._store(manifest, canary, decision, memory)
            self.reporter.report(world.canary.status, canary, world, memory.told.news(decision.notices))
            failures = await self._bring_about(decision, canary, memory)
            if _changes_weights(decision, world):
                memory.routes_changed_at = self.clock.now()
        except EffectFailed as error:
            log.warning("status_held_back", reason=str(error))
            return PassResult(retry=True)
        except (Conflict, TargetMoved) as error:
            log.info("pass_dropped", reason=str(error))
            await memory.objects.get(ref)
            return PassResult(again=True)
        memory.questions.follow(decision, canary, memory.objects)
        again = failures != memory.failures
        memory.failures = failures
        return PassResult(decision.wake_at, retry=decision.retry or bool(failures), again=again, seconds=memory.contests.seconds_to_wait)

    def _admit(self, manifest: Manifest) -> tuple[Canary, tuple[Fault, ...]]:
        """The Canary as a model, and the faults that it has by itself.

        It is parsed for each pass: that takes a hundredth of a pass, and to keep it 15 KiB of each Canary (measured).
        """
        canary, undecodable = self.admission.parse(manifest)
        return canary, undecodable or self.admission.faults(canary)

    def _shared_target(self, ref: Ref, canary: Canary) -> tuple[Fault, ...]:
        older = self.fleet.older_owner(ref) if canary.metadata.deletion_timestamp is None else None
        return (second_owner(canary, older.name),) if older else ()

    async def _world(self, ref: Ref, canary: Canary, faults: tuple[Fault, ...], memory: Memory) -> World:
        ports = None
        if not faults and canary.metadata.deletion_timestamp is None:
            try:
                ports = self._ports(canary, memory)
            except (PluginError, WorkloadError) as error:
                faults = (Fault(ConditionType.VALID, "Invalid", str(error)),)
        capabilities = ports.capabilities if ports else Capabilities()
        plan = plan_of(
            canary,
            minimum_interval=self.admission.minimum_interval,
            capabilities=capabilities,
            has_global_notifier=self.has_global_notifier,
        )
        if canary.metadata.deletion_timestamp is not None:
            return await self._world_of_deleted(World(canary=canary, plan=plan, faults=faults), memory)
        if ports is None or plan.suspended:
            return World(canary=canary, plan=plan, faults=faults)
        questions, may_start = memory.questions, self._may_start(ref)
        situation = Situation(plan, questions.answers, questions.asking, memory.failures, may_start=may_start, frozen=self.frozen)
        return self._with_what_was_noticed(await observe(canary, ports, situation), memory)

    def _with_what_was_noticed(self, world: World, memory: Memory) -> World:
        """With the moments since which the target has pods, all of them ready, and the routes have their weights.

        By our clock, so that no other's can be wrong.
        """
        is_ready = world.target is not None and world.target.replicas > 0 and isinstance(world.target.readiness, Ready)
        memory.canary_ready_since = (memory.canary_ready_since or self.clock.now()) if is_ready else None
        return replace(world, canary_ready_since=memory.canary_ready_since, routes_changed_at=memory.routes_changed_at)

    async def _world_of_deleted(self, world: World, memory: Memory) -> World:
        """With everything that can still be looked at. Of one that never had the target, nothing is its own."""
        world = replace(world, answers=memory.questions.answers, asking=memory.questions.asking, failures=memory.failures)
        if self.fleet.older_owner(Ref(CANARY, world.canary.namespace, world.canary.name)):
            return world
        memory.remains = open_remains(world.canary, memory.recorded, self.settings)
        seen = await look_at(world.canary, memory.remains)
        return replace(world, target=seen.target, primary=seen.primary, scaler=seen.scaler, restoration=seen.restoration)

    def _may_start(self, ref: Ref) -> bool:
        return self.max_concurrent_starts <= 0 or self.fleet.starting_besides(ref) < self.max_concurrent_starts

    def _ports(self, canary: Canary, memory: Memory) -> Ports:
        wanted = (canary.spec.provider, canary.spec.target_ref.kind, canary.spec.target_ref.api_version)
        if memory.ports is None or memory.ports_for != wanted:
            memory.ports = open_ports(canary, memory.recorded, self.settings)
            memory.ports_for = wanted
        return memory.ports

    async def _store(self, manifest: Manifest, canary: Canary, decision: Decision, memory: Memory) -> Canary:
        if decision.status is canary.status:
            return canary
        written = await write_status(memory.objects, manifest, decision.status)
        metadata = canary.metadata.model_copy(update={"resource_version": written["metadata"]["resourceVersion"]})
        log.info("status_written", phase=decision.status.phase.value, weight=decision.status.canary_weight)
        return canary.model_copy(update={"status": decision.status, "metadata": metadata})

    async def _bring_about(self, decision: Decision, canary: Canary, memory: Memory) -> tuple[Fault, ...]:
        """Effects in order, up to the first that fails: the later ones may rely on it. One that others undo waits for its turn."""
        faults: list[Fault] = []
        has_failed = False
        for effect in decision.effects:
            if comes_before_status(effect) or (has_failed and relies_on_earlier(effect)):
                continue
            if (fault := await memory.contests.fault(effect)) is not None:
                faults.append(fault)
                continue
            try:
                await self._bring_one_about(effect, canary, memory)
            except EffectFailed as error:
                log.warning("effect_failed", effect=type(effect).__name__, reason=str(error))
                faults.append(error.fault)
                has_failed = has_failed or is_relied_on(effect)
        return tuple(faults)

    async def _bring_one_about(self, effect: Effect, canary: Canary, memory: Memory) -> None:
        memory.recorded.take()
        await apply(effect, canary, Hands(memory.recorded, memory.ports, memory.remains))
        memory.contests.brought_about(effect, Circumstance.of(canary), memory.recorded.take())

    async def _list_writes(self, manifest: Manifest, canary: Canary, decision: Decision, memory: Memory) -> None:
        """What `-observe-only` shows: the writes of this pass, none of which is sent."""
        noted = NotedObjects(memory.objects)
        if decision.status is not canary.status:
            await write_status(noted, manifest, decision.status)
        hands = Hands(
            noted,
            open_ports(canary, noted, self.settings) if memory.ports else None,
            open_remains(canary, noted, self.settings) if memory.remains else None,
        )
        for effect in decision.effects:
            try:
                await apply(effect, canary, hands)
            except (EffectFailed, TargetMoved) as error:
                noted.writes.append(f"{type(effect).__name__} would fail: {error}")
        if noted.writes != memory.listed:
            memory.listed = noted.writes
            log.info("would_write", phase=decision.status.phase.value, writes=noted.writes, reason=decision.reason)


def _changes_weights(decision: Decision, world: World) -> bool:
    before = asked(world.routes)
    return any(isinstance(effect, SetTraffic) and effect.traffic.routes != before for effect in decision.effects)


def _unrecorded(_: Ref) -> None:
    """Changes of a Canary wake its own task anyway."""
