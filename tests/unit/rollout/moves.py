"""What can happen to a small rollout: calm moves lead on, troubles disturb it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from flagger_py.api.commands import Verb
from flagger_py.api.metadata import COMMAND
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Routes
from flagger_py.rollout.verdicts import CheckResult, HookResult
from flagger_py.rollout.views import TargetView
from tests.unit.rollout.states import State
from tests.unit.rollout.watched import Watched

Move = Callable[[Watched], None]

REVISIONS = ("v1:one", "v1:two", "v1:three")
NOT_READY = NotReady("0 of 2 pods available")
DEAD = Dead("ProgressDeadlineExceeded")
NEW_TARGET = TargetView("t-1", 1, REVISIONS[0], 2, 2, Ready())
NEW_SERVICE = TargetView("t-1", 0, REVISIONS[0], 0, 0, Ready(), has_pods=False)
CONFIG_A = {"configmap/web": "a"}
DRIFTS = (ALL_PRIMARY, ALL_CANARY)


def moves(state: State) -> Iterator[tuple[str, Move, int]]:
    """Everything that can happen now, and whether it is a trouble."""
    yield from ((name, move, 0) for name, move in calm_moves(state))
    if state.troubles_left:
        yield from ((name, move, 1) for name, move in trouble_moves(state))


def calm_moves(state: State) -> Iterator[tuple[str, Move]]:
    yield "pass", passing
    yield "tick", lambda sim: None
    for question in state.asking:
        yield f"{question.key.kind} says yes", answering(question, passed=True)
    yield from readiness_moves(state, (Ready(),))


def trouble_moves(state: State) -> Iterator[tuple[str, Move]]:
    for question in state.asking:
        yield f"{question.key.kind} says no", answering(question, passed=False)
    yield from readiness_moves(state, (NOT_READY, DEAD))
    for kept in range(3):
        yield f"crash after {kept} effects", crashing(kept)
    yield from target_moves(state)
    if state.primary:
        yield "delete the primary", lambda sim: setattr(sim, "primary", None)
    if isinstance(state.routes, Routes):
        for routes in DRIFTS:
            if routes != state.routes:
                yield f"edit the routes to {routes.primary}/{routes.canary}", editing(routes)
    yield from command_moves(state)
    yield "change the config", lambda sim: sim.configure("b" if sim.checksums == CONFIG_A else "a")


def target_moves(state: State) -> Iterator[tuple[str, Move]]:
    """What its user does to the target."""
    if state.target is None:
        return
    for revision in REVISIONS:
        if revision != state.target.revision:
            yield f"release {revision}", releasing(revision)
    yield "delete the target", lambda sim: setattr(sim, "target", None)
    if state.target.has_pods:
        yield "scale the target to zero", lambda sim: setattr(sim, "target", scaled(sim.target, 0))


def command_moves(state: State) -> Iterator[tuple[str, Move]]:
    """What changes a run. A pause only prolongs it, by as many checks as one likes: the state space would have no end."""
    if state.status.rollout and state.status.rollout.run:
        for verb in Verb:
            if verb not in (Verb.PAUSE, Verb.RESUME):
                yield f"command {verb}", commanding(verb)


def heal(sim: Watched) -> bool:
    """Take away one thing that is wrong from outside; false where nothing is."""
    if sim.target is None:
        known = sim.status.rollout.target_uid if sim.status.rollout else ""
        pods = 0 if sim.status.rollout or not sim.has_pods else 2
        sim.target = replace(
            NEW_TARGET if sim.has_pods else NEW_SERVICE, replicas=pods, available=pods, uid="t-2" if known == "t-1" else "t-1"
        )
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


def commanding(verb: Verb) -> Move:
    """A person gives the run a command, and a pass looks at it."""

    def move(sim: Watched) -> None:
        sim.edit(annotations={COMMAND: json.dumps({"id": "1", "verb": verb.value, "run": sim.record.run})})
        sim.watched_step()
        sim.edit(annotations={})

    return move


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
