"""The small state space of a rollout as a graph: every state that a number of disturbances can lead to, each visited once.

Time is relative: a tick moves the stored times into the past, so that equal moments of different hours are one state.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import BaseModel

from flagger_py.api.canary import Canary
from flagger_py.api.rollout_record import CheckOutcome, UnreadySince
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.rollout.plan import Plan
from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Pending, Routes
from flagger_py.rollout.verdicts import CheckResult, HookResult
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from tests.unit.rollout.simulation import START, manifest
from tests.unit.rollout.watched import SETTLED, Watched

REVISIONS = ("v1:one", "v1:two", "v1:three")
NOT_READY = NotReady("0 of 2 pods available")
DEAD = Dead("ProgressDeadlineExceeded")
READINESS: tuple[Readiness, ...] = (Ready(), NOT_READY, DEAD)
NEW_TARGET = TargetView("t-1", 1, REVISIONS[0], 2, 2, Ready())


@dataclass(frozen=True, slots=True)
class State:
    """One moment, as far as it matters for what comes."""

    status: CanaryStatus
    target: TargetView | None
    primary: PrimaryView | None
    primary_revision: str
    snapshots: tuple[tuple[str, str], ...]
    services: ServicesView
    routes: Routes | Pending
    config: str
    answers: tuple[tuple[QuestionKey, bool], ...]
    asking: tuple[Question, ...]
    troubles_left: int


Key = tuple[object, ...]
Move = Callable[[Watched], None]


def key_of(state: State) -> Key:
    """Hashable, and cheaper than the models in it."""
    return (
        _plain(state.status),
        state.target,
        state.primary,
        state.primary_revision,
        state.snapshots,
        state.services,
        state.routes,
        state.config,
        state.answers,
        tuple(question.key for question in state.asking),
        state.troubles_left,
    )


def _plain(value: object) -> Hashable:
    """Models and dicts as tuples: much cheaper than their JSON."""
    if isinstance(value, BaseModel):
        return tuple([each if type(each) in _LEAVES else _plain(each) for each in vars(value).values()])
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    assert isinstance(value, Hashable)
    return value


_LEAVES = frozenset({str, int, bool, type(None), datetime, tuple, Phase})


@dataclass
class StateSpace:
    """Explores breadth-first. `checked` gets each state once; every move is held to the properties by `Watched`."""

    plan: Plan
    troubles: int
    limit: int
    drifts: tuple[Routes, ...] = (ALL_PRIMARY, ALL_CANARY)
    canary: Canary = field(default_factory=manifest)
    transitions: int = 0
    came_from: dict[Key, tuple[Key | None, str]] = field(default_factory=dict)
    states: dict[Key, State] = field(default_factory=dict)
    good: set[Key] = field(default_factory=set)

    def explore(self) -> None:
        """Visit every state; raises `AssertionError` with the way to the first bad one."""
        queue = deque(self._visit(first, None, name) for name, first in self.roots())
        while queue:
            key = queue.popleft()
            self.check_all_heals(key)
            for name, move, cost in self.moves(self.states[key]):
                following = self._go(key, name, move, cost)
                if key_of(following) not in self.states:
                    assert len(self.states) < self.limit, f"more than {self.limit} states"
                    queue.append(self._visit(following, key, name))

    def roots(self) -> Iterator[tuple[str, State]]:
        """A Canary that nobody has seen yet, one that is initialised and gets a new revision, and one whose promotion has failed."""
        sim = Watched(plan=self.plan, target=NEW_TARGET, answer=lambda question: answer_to(question.key, passed=is_calm(question)))
        yield "new", freeze(sim, self.troubles)
        sim.settle()
        sim.release(REVISIONS[1])
        yield "released", freeze(sim, self.troubles)
        sim.new_primary_readiness = DEAD
        while not sim.record.serving_canary:
            sim.settle()
            sim.canary = sim.canary.model_copy(update={"status": aged(sim.status, self.plan.interval, 2 * self.plan.progress_deadline)})
        yield "promotion failed", freeze(sim, self.troubles)

    def moves(self, state: State) -> Iterator[tuple[str, Move, int]]:
        """Everything that can happen now, and whether it is a trouble."""
        yield from ((name, move, 0) for name, move in self.calm_moves(state))
        if state.troubles_left:
            yield from ((name, move, 1) for name, move in self.trouble_moves(state))

    def calm_moves(self, state: State) -> Iterator[tuple[str, Move]]:
        yield "pass", passing
        yield "tick", lambda sim: None
        for question in state.asking:
            yield f"{question.key.kind} says yes", answering(question, passed=True)
        yield from readiness_moves(state, (Ready(),))

    def trouble_moves(self, state: State) -> Iterator[tuple[str, Move]]:
        for question in state.asking:
            yield f"{question.key.kind} says no", answering(question, passed=False)
        yield from readiness_moves(state, (NOT_READY, DEAD))
        for kept in range(3):
            yield f"crash after {kept} effects", crashing(kept)
        if state.target:
            for revision in REVISIONS:
                if revision != state.target.revision:
                    yield f"release {revision}", releasing(revision)
            yield "delete the target", lambda sim: setattr(sim, "target", None)
            yield "scale the target to zero", lambda sim: setattr(sim, "target", scaled(sim.target, 0))
        if state.primary:
            yield "delete the primary", lambda sim: setattr(sim, "primary", None)
        if isinstance(state.routes, Routes):
            for routes in self.drifts:
                if routes != state.routes:
                    yield f"edit the routes to {routes.primary}/{routes.canary}", editing(routes)
        yield "change the config", lambda sim: setattr(sim, "checksums", {"configmap/web": "b" if sim.checksums == CONFIG_A else "a"})

    def check_all_heals(self, key: Key) -> None:
        """Once nothing disturbs it any more, the newest revision is settled rightly."""
        try:
            self._check_all_heals(key)
        except Exception as error:
            raise AssertionError(f"{error}, while it heals after {self.way_to(key)}") from error

    def _check_all_heals(self, key: Key) -> None:
        way: list[Key] = []
        state = self.states[key]
        for _ in range(80):
            way.append(key_of(state))
            if way[-1] in self.good:
                break
            sim = self.thaw(state)
            if heal(sim):
                state = freeze(sim, 0)
                continue
            before = key_of(freeze(sim, 0))
            sim.watched_step()
            after = freeze(sim, 0)
            if key_of(after) == before:
                if sim.status.phase in SETTLED and not sim.asking:
                    self._check_end(sim)
                    break
                after = self._ticked(after)
            state = after
        else:
            raise AssertionError(f"does not settle: {sim.status.phase} {sim.decisions[-1].reason}")
        self.good.update(way)

    def _check_end(self, sim: Watched) -> None:
        assert sim.target
        assert sim.routes == ALL_PRIMARY
        assert sim.target.replicas == 0
        assert sim.record.revision == sim.target.revision, "the newest revision has had its run"
        assert dict(sim.status.tracked_configs or {}) == dict(sim.checksums or {})
        if sim.status.phase is not Phase.FAILED:
            assert sim.primary_revision == sim.record.promoted_revision == sim.target.revision
        assert sim.primary_revision == sim.record.promoted_revision, "what the status says is promoted is on the primary"

    def _go(self, key: Key, name: str, move: Move, cost: int) -> State:
        self.transitions += 1
        state = self.states[key]
        if name == "tick":
            return self._ticked(state)
        sim = self.thaw(state)
        try:
            move(sim)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{name}\n{self.way_to(key)}") from error
        return freeze(sim, state.troubles_left - cost)

    def _visit(self, state: State, parent: Key | None, move: str) -> Key:
        key = key_of(state)
        self.states[key] = state
        self.came_from[key] = (parent, move)
        return key

    def _ticked(self, state: State) -> State:
        return replace(state, status=aged(state.status, self.plan.interval, 2 * self.plan.progress_deadline))

    def way_to(self, key: Key) -> str:
        """The moves from the first state to this one."""
        moves: list[str] = []
        parent: Key | None = key
        while parent is not None:
            parent, move = self.came_from[parent]
            moves.append(move)
        return " -> ".join(reversed(moves))

    def thaw(self, state: State) -> Watched:
        """A simulation that stands at a state."""
        return Watched(
            plan=self.plan,
            canary=self.canary.model_copy(update={"status": state.status}),
            target=state.target,
            primary=state.primary,
            primary_revision=state.primary_revision,
            snapshots=state.snapshots,
            services=state.services,
            routes=state.routes,
            checksums={"configmap/web": state.config} if state.config else {},
            answers={key: answer_to(key, passed=passed) for key, passed in state.answers},
            asking={question.key: question for question in state.asking},
            answer=lambda _: None,
        )


CONFIG_A = {"configmap/web": "a"}


def freeze(sim: Watched, troubles_left: int) -> State:
    """The state that a simulation stands at."""
    target = sim.target
    generation = target.generation if target else 0
    return State(
        status=canonical(sim.status, generation),
        target=target and replace(target, generation=2),
        primary=sim.primary,
        primary_revision=sim.primary_revision,
        snapshots=sim.snapshots[-3:],
        services=sim.services,
        routes=sim.routes,
        config=(sim.checksums or {}).get("configmap/web", ""),
        answers=tuple(sorted(((key, answer.is_yes(key.kind)) for key, answer in sim.answers.items()), key=str)),
        asking=tuple(sorted(sim.asking.values(), key=lambda question: str(question.key))),
        troubles_left=troubles_left,
    )


def canonical(status: CanaryStatus, generation: int) -> CanaryStatus:
    """Without what only people read, and with generations told apart only as far as decisions do."""
    changes: dict[str, object] = {"conditions": (), "last_transition_time": None, "last_applied_spec": "", "last_promoted_spec": ""}
    if (record := status.rollout) is not None:
        seen = 2 if record.target_generation == generation else 1
        outcome = record.outcome and record.outcome.model_copy(update={"at": START, "reason": ""})
        changes["rollout"] = record.model_copy(update={"checks": (), "outcome": outcome, "target_generation": seen})
    return status.model_copy(update=changes)


def aged(status: CanaryStatus, by: timedelta, oldest: timedelta) -> CanaryStatus:
    """The status after some time, as `START` stays the present; what is as old as matters grows no older, but goes to and fro."""
    record = status.rollout
    if record is None:
        return status

    def older(moment: datetime | None) -> datetime | None:
        aged_by = by if moment and moment > START - oldest else -by
        return moment and moment - aged_by

    changes: dict[str, object] = {name: older(getattr(record, name)) for name in ("started_at", "step_started_at")}
    since = record.unready_since
    changes["unready_since"] = UnreadySince(primary=older(since.primary), canary=older(since.canary))
    changes["gate"] = record.gate and record.gate.model_copy(update={"since": older(record.gate.since)})
    return status.model_copy(update={"rollout": record.model_copy(update=changes)})


def heal(sim: Watched) -> bool:
    """Take away one thing that is wrong from outside; false where nothing is."""
    if sim.target is None:
        known = sim.status.rollout.target_uid if sim.status.rollout else ""
        pods = 0 if sim.status.rollout else 2
        sim.target = replace(NEW_TARGET, replicas=pods, available=pods, uid="t-2" if known == "t-1" else "t-1")
    elif not isinstance(sim.target.readiness, Ready) or sim.target.available != sim.target.replicas:
        sim.target = replace(sim.target, readiness=Ready(), available=sim.target.replicas)
    elif sim.primary and not isinstance(sim.primary.readiness, Ready):
        sim.primary = replace(sim.primary, readiness=Ready())
    elif sim.asking:
        question = next(iter(sim.asking.values()))
        answering(question, passed=is_calm(question))(sim)
    else:
        return False
    return True


def readiness_moves(state: State, values: tuple[Readiness, ...]) -> Iterator[tuple[str, Move]]:
    """The versions that exist become Ready, NotReady or Dead."""
    for value in values:
        name = type(value).__name__
        if state.target and (state.target.readiness != value or (value == Ready() and state.target.available != state.target.replicas)):
            yield f"canary {name}", canary_becomes(value)
        if state.primary and state.primary.readiness != value:
            yield f"primary {name}", primary_becomes(value)


def canary_becomes(readiness: Readiness) -> Move:
    def move(sim: Watched) -> None:
        assert sim.target
        available = sim.target.replicas if isinstance(readiness, Ready) else 0
        sim.target = replace(sim.target, readiness=readiness, available=available)

    return move


def primary_becomes(readiness: Readiness) -> Move:
    def move(sim: Watched) -> None:
        assert sim.primary
        sim.primary = replace(sim.primary, readiness=readiness)

    return move


def passing(sim: Watched) -> None:
    sim.watched_step()


def releasing(revision: str) -> Move:
    return lambda sim: sim.release(revision)


def editing(routes: Routes) -> Move:
    return lambda sim: setattr(sim, "routes", routes)


def crashing(kept: int) -> Move:
    def move(sim: Watched) -> None:
        sim.lose_from = kept
        sim.watched_step()
        sim.lose_from = None
        sim.crash()

    return move


def is_calm(question: Question) -> bool:
    """Whether yes is the answer that disturbs nothing."""
    return question.key.kind is not QuestionKind.ROLLBACK


def answering(question: Question, *, passed: bool) -> Move:
    def move(sim: Watched) -> None:
        del sim.asking[question.key]
        sim.answers[question.key] = answer_to(question.key, passed=passed)

    return move


def answer_to(key: QuestionKey, *, passed: bool) -> Answer:
    """An answer that says yes, or one that does not."""
    if key.kind in (QuestionKind.ANALYSIS, QuestionKind.AVAILABILITY):
        failed = CheckResult("request-success-rate", 1.0, ">= 99", CheckOutcome.FAIL, "Halt")
        return Answer(checks=() if passed else (failed,))
    return Answer(hooks=(HookResult(key.kind.value, passed),))


def scaled(target: TargetView | None, replicas: int) -> TargetView:
    assert target
    return replace(target, replicas=replicas, available=replicas, generation=target.generation + 1)
