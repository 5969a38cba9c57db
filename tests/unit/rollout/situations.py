"""The situations that the rules are about, each held to the properties of design §3 on every pass."""

from collections.abc import Callable
from dataclasses import replace

from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.rollout.verdicts import CheckResult, HookResult
from tests.unit.rollout.simulation import weighted_plan
from tests.unit.rollout.watched import Watched

ONE, TWO, THREE = "v1:one", "v1:two", "v1:three"
NOT_READY = NotReady("0 of 2 pods available")
DEAD = Dead("it exceeded its own progress deadline")
EVERY_HOOK = frozenset(
    {
        QuestionKind.CONFIRM_ROLLOUT,
        QuestionKind.PRE_ROLLOUT,
        QuestionKind.CONFIRM_TRAFFIC_INCREASE,
        QuestionKind.CONFIRM_PROMOTION,
        QuestionKind.ROLLBACK,
        QuestionKind.POST_ROLLOUT,
    }
)
PROVIDERS = (QuestionKind.ANALYSIS, QuestionKind.AVAILABILITY)

Answering = Callable[[Question], Answer | None]


def saying(**said: bool | None) -> Answering:
    """Answers by kind (`confirm_rollout=False`), `None` for none; else all say yes, but for the rollback hooks."""
    told = {name.replace("_", "-"): value for name, value in said.items()}

    def answer(question: Question) -> Answer | None:
        kind = question.key.kind
        passed = told.get(kind.value, kind is not QuestionKind.ROLLBACK)
        return None if passed is None else answer_of(kind, passed=passed)

    return answer


def answer_of(kind: QuestionKind, *, passed: bool) -> Answer:
    """What hooks of this kind, or metric providers, say."""
    if kind in PROVIDERS:
        return Answer(
            checks=(CheckResult("request-success-rate", 50.0, ">= 99", CheckOutcome.PASS if passed else CheckOutcome.FAIL, "low"),)
        )
    return Answer(hooks=(HookResult(kind.value, passed, "" if passed else "no"),))


def initialised(answer: Answering | None = None, /, **plan: object) -> Watched:
    """Revision one is on the primary, the target is at zero."""
    simulation = Watched(plan=weighted_plan(**plan), answer=answer or saying())
    simulation.settle()
    assert simulation.phase() is Phase.INITIALIZED
    return simulation


def started(answer: Answering | None = None, /, **plan: object) -> Watched:
    """Revision two has its first 20 % (or waits for what keeps it from them)."""
    simulation = initialised(answer, **plan)
    simulation.release(TWO)
    simulation.settle()
    return simulation


def promoting(primary: Readiness, **plan: object) -> Watched:
    """Revision two is on the primary, which is like this; the canary has 40 %."""
    simulation = started(**plan)
    simulation.new_primary_readiness = primary
    simulation.advance()
    simulation.advance()
    assert simulation.primary_revision == TWO
    return simulation


def promotion_failed() -> Watched:
    """The primary does not come up with revision two: the canary serves all."""
    simulation = promoting(DEAD)
    assert simulation.phase() is Phase.FAILED
    assert simulation.record.serving_canary
    return simulation


def canary_becomes(simulation: Watched, readiness: Readiness) -> None:
    assert simulation.target
    available = simulation.target.replicas if isinstance(readiness, Ready) else 0
    simulation.target = replace(simulation.target, readiness=readiness, available=available)


def primary_becomes(simulation: Watched, readiness: Readiness) -> None:
    assert simulation.primary
    simulation.new_primary_readiness = readiness
    simulation.primary = replace(simulation.primary, readiness=readiness)


def scale_target(simulation: Watched, replicas: int) -> None:
    """Somebody else does it."""
    assert simulation.target
    generation = simulation.target.generation + 1
    simulation.target = replace(simulation.target, replicas=replicas, available=replicas, generation=generation)


def lose_effects(simulation: Watched, kept: int = 0) -> None:
    """One pass that stores its status, brings about so many effects, and dies."""
    simulation.applied, simulation.lose_from = 0, kept
    simulation.watched_step()
    simulation.lose_from = None
    simulation.crash()


def asked(simulation: Watched, kind: QuestionKind) -> int:
    """How often a question of this kind was put to hooks or providers."""
    return sum(question.key.kind is kind for question in simulation.asked)
