"""The end of a run that is not promoted: rolled back, or cancelled by a revert (engine:ROLLBACK, REV-03).

The intent stands in `rollout.outcome` first. The phase states a fact: it is written when traffic and pods have been seen where they belong.
"""

from enum import StrEnum

from flagger_py.api.rollout_record import MESSAGE_LIMIT, Outcome
from flagger_py.api.status import Phase
from flagger_py.rollout import alerts
from flagger_py.rollout.deadlines import judge_primary
from flagger_py.rollout.identity import flagger_hash
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.outbox import post
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.revisions import record_promoted
from flagger_py.rollout.routing import route, want
from flagger_py.rollout.runs import restart
from flagger_py.rollout.scaling import has_enough_pods
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.upkeep import run_canary, stop_canary


class Result(StrEnum):
    """`rollout.outcome.result`."""

    PROMOTED = "promoted"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PROMOTION_FAILED = "promotionFailed"


def end(turn: Turn, result: Result, reason: str, *, detail: str = "", severity: alerts.Severity = alerts.Severity.ERROR) -> None:
    """Decide how the run ends, and begin to bring it about in the same pass."""
    decide_end(turn, result, reason, detail=detail, severity=severity)
    unwind(turn)


def decide_end(turn: Turn, result: Result, reason: str, *, detail: str = "", severity: alerts.Severity = alerts.Severity.ERROR) -> None:
    """Put the end of the run into the record, and tell it.

    `detail` and `severity` are for the alert: what exactly went wrong, and how much a rollback matters.
    """
    outcome = Outcome(result=result, reason=reason[:MESSAGE_LIMIT], at=turn.now)
    turn.update(outcome=outcome, promoting=False, gate=None, paused_since=None)
    if result is Result.FAILED:
        turn.tell(Severity.WARNING, f"Rolling back {turn.plan.canary_name} {reason}", "rolling-back")
        turn.tell(Severity.WARNING, f"Canary failed! Scaling down {turn.plan.canary_name}", "failed")
        alerts.rolled_back(turn, f"{reason}: {detail}" if detail else reason, severity)
    else:
        turn.tell(Severity.NORMAL, f"Cancelled {turn.plan.canary_name}: {reason}", "cancelled")
        alerts.cancelled(turn, reason)


def unwind(turn: Turn) -> None:
    """Traffic to the primary, then the canary's pods away, then the phase. An unready primary gets no traffic: all waits for it."""
    if _is_cancelled(turn) and turn.world.target is not None and not turn.is_revert:
        restart(turn)  # the revert has been taken back meanwhile
        return
    if not _is_traffic_back(turn):
        return
    if stop_canary(turn):
        _settle(turn)


def _is_cancelled(turn: Turn) -> bool:
    return turn.record.outcome is not None and turn.record.outcome.result == Result.CANCELLED


def _is_traffic_back(turn: Turn) -> bool:
    if turn.world.routes == turn.desired == ALL_PRIMARY:
        route(turn)
        return True
    readiness = judge_primary(turn)
    if not isinstance(readiness, Ready):
        _stay_on_canary(turn, readiness.reason)
        return False
    if not has_enough_pods(turn):
        run_canary(turn)
        route(turn)
        return False
    if turn.desired != ALL_PRIMARY:
        want(turn, ALL_PRIMARY)
        turn.update(serving_canary=False)
    route(turn, urgent=True)
    if turn.world.routes == ALL_PRIMARY:
        return True
    turn.hold("traffic is going back to the primary")
    turn.retry = True
    return False


def _stay_on_canary(turn: Turn, reason: str) -> None:
    """Nothing moves to an unready primary. Where the canary is the copy that serves, the run ends with it serving (engine:HAZ-19)."""
    turn.hold(f"traffic cannot go back: primary not ready: {reason}")
    run_canary(turn)
    if turn.is_new_revision and not turn.is_revert:
        restart(turn)  # it may be the repair (engine:HAZ-12)
        return
    route(turn)
    if turn.record.serving_canary and turn.world.routes == turn.desired:
        _fail(turn, "the canary goes on serving, the primary is not ready")


def _settle(turn: Turn) -> None:
    if _is_cancelled(turn):
        turn.set_status(failed_checks=0, iterations=0)
        turn.update(step_started_at=None, gate=None)
        if turn.world.target is not None:
            record_promoted(turn)
        turn.enter(Phase.SUCCEEDED, "Canary analysis cancelled, the target runs the promoted revision.")
    else:
        _fail(turn, "")


def _fail(turn: Turn, message: str) -> None:
    turn.set_status(failed_checks=0, iterations=0, last_applied_spec=flagger_hash(turn.record.revision, turn.world.configs.digest))
    turn.restart_clocks()
    turn.update(step_started_at=None)
    turn.enter(Phase.FAILED, message and f"Canary analysis failed, {message}.")
    post_rollout(turn)


def post_rollout(turn: Turn) -> None:
    """The post-rollout hooks are due: at least once, even after a crash (engine:HAZ-27)."""
    if QuestionKind.POST_ROLLOUT in turn.plan.hooks:
        post(turn, QuestionKind.POST_ROLLOUT, f"{turn.record.run}-post-rollout")
