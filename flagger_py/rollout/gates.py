"""Gates and abort hooks: what people or other systems are asked before and while a run goes on (engine:§8, §10)."""

from enum import Enum, auto

from flagger_py.api.rollout_record import Gate
from flagger_py.rollout import alerts
from flagger_py.rollout.asking import ask, poll
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.questions import Answer, QuestionKind
from flagger_py.rollout.turn import Turn

_CLOSED_TEXT = {
    QuestionKind.CONFIRM_ROLLOUT: "Halt {canary} advancement waiting for approval {hook}",
    QuestionKind.CONFIRM_TRAFFIC_INCREASE: "Halt {canary} advancement waiting for traffic increase approval {hook}",
    QuestionKind.CONFIRM_PROMOTION: "Halt {canary} advancement waiting for promotion approval {hook}",
}


class GateState(Enum):
    """`ASKING` while the answer is on its way."""

    OPEN = auto()
    CLOSED = auto()
    ASKING = auto()


def gate(turn: Turn, kind: QuestionKind, *, poll: bool, run: str = "") -> GateState:
    """Ask a confirm gate. `poll`: ask again each interval by itself; else the next check asks again (engine:GATE-01..04).

    A gate that stays closed is told once, and stands in `rollout.gate` while it is.
    """
    if kind not in turn.plan.hooks:
        return GateState.OPEN
    answer = _poll(turn, kind, run) if poll else ask(turn, kind, run=run)
    if answer is None:
        return GateState.ASKING
    if not answer.passed:
        _remember_closed(turn, kind, answer.hooks[-1].name, run)
        return GateState.CLOSED
    for hook in answer.hooks:
        turn.tell(Severity.NORMAL, f"{kind.capitalize()} check {hook.name} passed", f"{kind}/{hook.name}/{turn.record.step}")
    turn.update(gate=None)
    return GateState.OPEN


def _poll(turn: Turn, kind: QuestionKind, run: str) -> Answer | None:
    waiting = turn.record.gate
    since = waiting.since if waiting and waiting.type == kind else None
    return poll(turn, kind, 1 + turn.polls_since(since), run=run)


def _remember_closed(turn: Turn, kind: QuestionKind, hook: str, run: str) -> None:
    turn.hold(f"{kind} gate {hook} is closed")
    if turn.record.gate and turn.record.gate.type == kind:
        return
    turn.update(gate=Gate(type=kind, name=hook, step=turn.record.step, since=turn.now))
    text = _CLOSED_TEXT[kind].format(canary=turn.plan.canary_name, hook=hook)
    turn.tell(Severity.WARNING, text, f"{run}/closed/{kind}/{hook}/{turn.record.step}/{turn.record.check_number}")
    alerts.gate_closed(turn, kind, hook, run=run)


def is_rollback_asked(turn: Turn) -> bool | None:
    """Whether a rollback hook says yes; `None` while there is no answer (engine:HOOK-11).

    Asked once per interval whatever else the run waits for: pods, a gate, a slow hook (ISS-08, engine:HAZ-40).
    """
    if QuestionKind.ROLLBACK not in turn.plan.hooks or turn.plan.skip_analysis:
        return False
    answer = poll(turn, QuestionKind.ROLLBACK, turn.polls_since(turn.record.step_started_at or turn.record.started_at))
    if answer is None:
        return None if any(key.kind is QuestionKind.ROLLBACK for key in turn.consulted) else False
    if answer.any_passed:
        turn.tell(Severity.WARNING, f"Rollback check {answer.hooks[-1].name} passed", f"rollback/{turn.record.check_number}")
    return answer.any_passed
