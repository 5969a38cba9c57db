"""Which alerts are due (metrics:ALR-11, engine:§11.2): one for each thing that happens, in the outbox with the decision that made it so.

Flagger repeats an alert as often as the step that comes after it fails (HAZ-28), and is silent when a canary never gets ready (HAZ-14).
"""

from collections.abc import Mapping
from typing import Final

from flagger_py.api.analysis import Severity
from flagger_py.api.rollout_record import MESSAGE_LIMIT
from flagger_py.api.status import Phase
from flagger_py.rollout.outbox import post
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.turn import Turn

__all__ = ["Severity", "cancelled", "gate_closed", "initialised", "promoted", "promotion_failed", "rolled_back", "run_started"]

_GATES: Final[Mapping[QuestionKind, tuple[Phase, str]]] = {
    QuestionKind.CONFIRM_ROLLOUT: (Phase.WAITING, "Canary is waiting for approval to start"),
    QuestionKind.CONFIRM_TRAFFIC_INCREASE: (Phase.PROGRESSING, "Canary is waiting for approval of the traffic increase"),
    QuestionKind.CONFIRM_PROMOTION: (Phase.WAITING_PROMOTION, "Canary is waiting for approval of the promotion"),
}
"""The phase in which it waits, and what people are told."""


def initialised(turn: Turn) -> None:
    """The primary serves, rollouts can begin."""
    _post(turn, Severity.INFO, "initialised", f"New {turn.plan.target_kind} detected, initialization completed.", details=True)


def run_started(turn: Turn) -> None:
    """A new revision was let in. A newer one that supersedes it is no alert, as in Flagger."""
    _post(turn, Severity.INFO, "new-revision", "New revision detected, progressing canary analysis.", details=True)


def gate_closed(turn: Turn, kind: QuestionKind, hook: str, *, run: str) -> None:
    """A gate holds the rollout: told once for each time that it closes, unless the hook is muted (engine:HOOK-09)."""
    if (kind, hook) not in turn.plan.muted_gates:
        phase, text = _GATES[kind]
        _post(turn, Severity.WARN, f"closed-{kind}", f"{text}: gate {hook} is closed.", scope=run, phase=phase)


def rolled_back(turn: Turn, cause: str, severity: Severity) -> None:
    """A run ends without its revision, whatever the cause (engine:HAZ-14, ISS-01)."""
    _post(turn, severity, "rolled-back", f"Canary analysis failed, rolling back: {cause}", phase=Phase.FAILED)


def cancelled(turn: Turn, reason: str) -> None:
    """The target was set back. No failure (engine:REV-03), but people were told of the beginning."""
    _post(turn, Severity.INFO, "cancelled", f"Canary analysis cancelled: {reason}", phase=Phase.SUCCEEDED)


def promoted(turn: Turn) -> None:
    """The primary serves the new revision."""
    analysis = "was skipped" if turn.plan.skip_analysis else "completed successfully"
    _post(turn, Severity.INFO, "promoted", f"Canary analysis {analysis}, promotion finished.")


def promotion_failed(turn: Turn, reason: str) -> None:
    """The primary does not come up with the new revision."""
    _post(turn, Severity.ERROR, "promotion-failed", f"Promotion failed, primary not ready: {reason}", phase=Phase.FAILED)


def _post(turn: Turn, severity: Severity, topic: str, message: str, *, scope: str = "", phase: str = "", details: bool = False) -> None:
    """Into the outbox, if anybody wants to be told. The time makes the id that of this happening, should the topic come again."""
    if turn.plan.alerts_from is None or not turn.plan.alerts_from.takes(severity):
        return
    scope = scope or turn.record.run or turn.record.revision
    entry_id = f"{scope}-{topic}-{int(turn.now.timestamp())}"
    facts = {"phase": phase or turn.phase, "severity": severity, "message": message[:MESSAGE_LIMIT], "details": details}
    post(turn, QuestionKind.ALERT, entry_id, **facts)
