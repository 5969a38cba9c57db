"""The small state space of a rollout as a graph: every state that a number of disturbances can lead to, each visited once."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from flagger_py.api.canary import Canary
from flagger_py.api.status import Phase
from flagger_py.rollout.plan import Plan
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.views import TargetView
from tests.unit.rollout.moves import DEAD, NEW_TARGET, REVISIONS, Move, answer_to, heal, is_calm, moves
from tests.unit.rollout.simulation import manifest
from tests.unit.rollout.states import Key, State, aged, freeze, key_of
from tests.unit.rollout.watched import SETTLED, Watched


@dataclass
class StateSpace:
    """Explores breadth-first. `checked` gets each state once; every move is held to the properties by `Watched`."""

    plan: Plan
    troubles: int
    limit: int
    canary: Canary = field(default_factory=manifest)
    target: TargetView = NEW_TARGET
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
            for name, move, cost in moves(self.states[key]):
                following = self._go(key, name, move, cost)
                if key_of(following) not in self.states:
                    assert len(self.states) < self.limit, f"more than {self.limit} states"
                    queue.append(self._visit(following, key, name))

    def roots(self) -> Iterator[tuple[str, State]]:
        """A Canary that nobody has seen yet, one that is initialised and gets a new revision, and one whose promotion has failed."""
        sim = Watched(
            plan=self.plan,
            target=self.target,
            has_pods=self.target.has_pods,
            answer=lambda question: answer_to(question.key, passed=is_calm(question)),
        )
        yield "new", freeze(sim, self.troubles)
        sim.settle()
        sim.release(REVISIONS[1])
        yield "released", freeze(sim, self.troubles)
        sim.new_primary_readiness = DEAD
        while not sim.record.serving_canary:
            sim.settle()
            sim.canary = sim.canary.model_copy(update={"status": aged(sim.status, self.plan.interval, 2 * self.plan.progress_deadline)})
        yield "promotion failed", freeze(sim, self.troubles)

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
            has_pods=self.target.has_pods,
            primary=state.primary,
            primary_revision=state.primary_revision,
            snapshots=state.snapshots,
            services=state.services,
            routes=state.routes,
            checksums={"configmap/web": state.config} if state.config else {},
            configs_of_pods=state.configs_of_pods,
            answers={key: answer_to(key, passed=passed) for key, passed in state.answers},
            asking={question.key: question for question in state.asking},
            answer=lambda _: None,
        )


CONFIG_A = {"configmap/web": "a"}
