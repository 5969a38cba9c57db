"""The outbox: what people must be told even if the process ends between a decision and its delivery (engine:HAZ-27, design §5).

A decision puts its notifications into status, in the one patch that stores the decision. From then on every pass asks for them like
any other question: a child task sends, passes go on meanwhile, and an answer, whichever it is, takes the entry out.
"""

from typing import Any, Final

from flagger_py.api.rollout_record import OutboxEntry, newest_that_fit
from flagger_py.api.status import ConditionType
from flagger_py.rollout.asking import ask
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.verdicts import HookResult

_UNREADABLE: Final = frozenset({ConditionType.VALID, ConditionType.CRD_CURRENT})
"""Faults with which the spec cannot be trusted to say who is told, or the status cannot be written: the entries wait."""


def deliver(turn: Turn) -> None:
    """Ask for what is due since an earlier pass, and drop what has its answer."""
    if not turn.record.outbox or any(fault.condition in _UNREADABLE for fault in turn.world.faults):
        return
    kept = tuple(entry for entry in turn.record.outbox if not _is_done(turn, entry))
    if len(kept) != len(turn.record.outbox):
        turn.update(outbox=kept)


def _is_done(turn: Turn, entry: OutboxEntry) -> bool:
    answer = ask(turn, QuestionKind(entry.kind), run=entry.id, phase=entry.phase)
    turn.reason = ""  # nothing is held by it
    if answer is None:
        return False
    for result in answer.hooks:
        _tell(turn, entry, result)
    return True


def _tell(turn: Turn, entry: OutboxEntry, result: HookResult) -> None:
    key = f"{entry.id}/{result.name}"
    if entry.kind != QuestionKind.ALERT:
        said = "passed" if result.passed else f"failed {result.message}".rstrip()
        turn.tell(Severity.NORMAL if result.passed else Severity.WARNING, f"Post-rollout hook {result.name} {said}", key)
    elif not result.passed:
        turn.tell(Severity.WARNING, f"Alert {result.name} was not sent: {result.message}", key)


def post(turn: Turn, kind: str, entry_id: str, **facts: Any) -> None:
    """Put a notification that must not be lost into the outbox; the oldest go first when it is full, and are counted."""
    entry = OutboxEntry(id=entry_id, kind=kind, **{"phase": turn.phase, **facts}, at=turn.now)
    entries = (*turn.record.outbox, entry)
    kept = newest_that_fit(entries)
    turn.update(outbox=kept)
    if lost := len(entries) - len(kept):
        turn.update(outbox_overflow=turn.record.outbox_overflow + lost)
        text = f"{turn.record.outbox_overflow} notifications of {turn.plan.canary_name} were given up unsent: the outbox is full"
        turn.tell(Severity.WARNING, text, f"outbox-overflow/{turn.record.outbox_overflow}")
