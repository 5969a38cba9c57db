"""A run under way: readiness, the first step, checks, and the next weight (engine:TICK-20..30, §6.1, §7).

Order of what is looked at: abort before anything else (engine:HAZ-40), a revert or newer revision, readiness, then the step's clock.
"""

from datetime import datetime

from flagger_py.api.rollout_record import MESSAGE_LIMIT, Check
from flagger_py.api.status import Phase
from flagger_py.rollout import strategies
from flagger_py.rollout.effects import Promote, RestorePrimary
from flagger_py.rollout.gates import GateState, gate, has_abort_in_hold, is_rollback_asked
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.outcomes import Result, end, unwind
from flagger_py.rollout.promotion import enter_promoting, is_carried
from flagger_py.rollout.questions import Answer, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Ready
from flagger_py.rollout.runs import restart
from flagger_py.rollout.traffic import ALL_PRIMARY, Pending, Routes
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.verdicts import CheckResult


def progress(turn: Turn) -> None:
    """One look at a run in Progressing or WaitingPromotion."""
    turn.keep_services()
    if turn.record.outcome:
        unwind(turn)
    elif turn.record.promoting and is_carried(turn):
        enter_promoting(turn)
    elif turn.is_new_revision:
        _revert_or_restart(turn)
    elif turn.status.failed_checks >= turn.plan.threshold and not turn.plan.skip_analysis:
        end(turn, Result.FAILED, f"failed checks threshold reached {turn.status.failed_checks}")
    elif turn.record.promoting:
        _promote(turn)
    else:
        _analyse(turn)


def _revert_or_restart(turn: Turn) -> None:
    if turn.is_promoted_revision and not turn.record.serving_canary:
        end(turn, Result.CANCELLED, "the target was set back to the promoted revision")
        return
    restart(turn)


def _analyse(turn: Turn) -> None:
    """The run itself: hold what is not ready, else go through the step."""
    if _is_reset_pending(turn) and isinstance(turn.judge_primary(), Ready):
        turn.want(ALL_PRIMARY)
    turn.run_canary()
    if _repair(turn) or _is_held(turn):
        turn.route()
        if turn.record.outcome is None and has_abort_in_hold(turn):
            end(turn, Result.FAILED, "manual rollback by webhook")
        return
    if turn.plan.skip_analysis:
        _begin_promotion(turn)
    elif turn.record.step == 0:
        _first_step(turn)
    else:
        _check_step(turn)
    turn.route()


def _is_reset_pending(turn: Turn) -> bool:
    return turn.record.step == 0 and turn.desired != ALL_PRIMARY


def _repair(turn: Turn) -> bool:
    """Routes that differ from what is wanted: restart the step's clock before they are repaired (design §4)."""
    live = turn.world.routes
    if isinstance(live, Pending) or live == turn.desired:
        return False
    turn.update(step_started_at=turn.now)
    turn.tell(Severity.WARNING, _drift_text(turn, live), f"drift/{turn.record.step}/{turn.record.check_number}")
    turn.hold("the routes are being repaired")
    turn.wake(turn.now + turn.plan.interval)
    return True


def _drift_text(turn: Turn, live: Routes) -> str:
    wanted = turn.desired
    return (
        f"Routes of {turn.plan.canary_name} stand at {live.primary}/{live.canary} instead of {wanted.primary}/{wanted.canary}, "
        "setting them again"
    )


def _is_held(turn: Turn) -> bool:
    """Whether something is not ready. A dead canary ends the run; a dead primary does not hold it (engine:HAZ-12)."""
    canary = turn.judge_canary()
    primary = turn.judge_primary()
    if turn.primary is None:
        turn.do(RestorePrimary())
    match canary, primary:
        case Dead(reason), _:
            end(turn, Result.FAILED, f"canary {turn.plan.target_name} not ready: {reason}")
        case NotReady(reason), _:
            _tell_hold(turn, "canary", turn.plan.target_name, reason)
        case _, NotReady(reason):
            _tell_hold(turn, "primary", turn.plan.target_name.replace(".", "-primary.", 1), reason)
        case _ if isinstance(turn.world.routes, Pending):
            turn.hold(f"routing: {turn.world.routes.reason}")
            turn.retry = True
        case _:
            return False
    return True


def _tell_hold(turn: Turn, version: str, name: str, reason: str) -> None:
    turn.hold(f"{version} not ready: {reason}")
    if turn.record.step or turn.record.check_number:
        turn.tell(
            Severity.WARNING,
            f"Halt advancement {name} {reason}",
            f"not-ready/{version}/{turn.record.step}/{turn.record.check_number}",
        )


def _first_step(turn: Turn) -> None:
    """Canary ready and no weight yet: pre-rollout hooks, passed once per run (ISS-06), then the first weight."""
    if not turn.record.pre_rollout and not _pass_pre_rollout(turn):
        return
    _advance(turn, poll=True)


def _pass_pre_rollout(turn: Turn) -> bool:
    if turn.record.check_number and not turn.interval_is_over():
        return False
    if not turn.record.check_number:
        turn.tell(Severity.NORMAL, f"Starting canary analysis for {turn.plan.target_name}", "starting")
    if QuestionKind.PRE_ROLLOUT in turn.plan.hooks:
        answer = turn.ask(QuestionKind.PRE_ROLLOUT)
        if answer is None:
            return False
        if not answer.passed:
            _count_failure(turn, answer, kind="pre-rollout")
            return False
        for hook in answer.hooks:
            turn.tell(Severity.NORMAL, f"Pre-rollout check {hook.name} passed", f"pre-rollout/{hook.name}")
    turn.update(pre_rollout=True)
    return True


def _check_step(turn: Turn) -> None:
    """The weight has been live: at the end of the interval ask the rollback hooks and the analysis, and judge both at once."""
    if not turn.interval_is_over():
        return
    abort = is_rollback_asked(turn)
    answer = turn.ask(QuestionKind.ANALYSIS) if turn.plan.has_analysis else Answer()
    if abort:
        end(turn, Result.FAILED, "manual rollback by webhook")
    elif abort is None or answer is None:
        return
    elif not answer.passed:
        _count_failure(turn, answer, kind="rollout")
    elif strategies.is_at_end(turn.plan, turn.desired):
        _confirm_promotion(turn, answer)
    else:
        _advance(turn, poll=False, answer=answer)


def _count_failure(turn: Turn, answer: Answer, *, kind: str) -> None:
    """One more failed check, whatever failed; at the threshold the run ends at once (engine:ANL-10, ANL-12)."""
    _record_check(turn, answer)
    failed = turn.status.failed_checks + 1
    turn.set_status(failed_checks=failed)
    number = turn.record.check_number
    for hook in answer.hooks:
        if not hook.passed:
            text = f"Halt {turn.plan.canary_name} advancement {kind} check {hook.name} failed {hook.message}".rstrip()
            turn.tell(Severity.WARNING, text, f"check/{number}/{hook.name}")
    for check in answer.checks:
        if not check.passed:
            turn.tell(Severity.WARNING, check.message, f"check/{number}/{check.name}")
    if failed >= turn.plan.threshold:
        end(turn, Result.FAILED, f"failed checks threshold reached {failed}")


def _record_check(turn: Turn, answer: Answer) -> None:
    """Counter, results and next deadline in one write, so that a check never counts twice (design §3)."""
    kept = {check.name: check for check in turn.record.checks}
    kept |= {result.name: _stored(result, turn.now) for result in answer.checks}
    turn.update(check_number=turn.record.check_number + 1, step_started_at=turn.now, checks=tuple(kept.values()))
    turn.wake(turn.now + turn.plan.interval)


def _stored(result: CheckResult, at: datetime) -> Check:
    return Check(
        name=result.name,
        value=result.value,
        bound=result.bound,
        result=result.result.value,
        message=result.message[:MESSAGE_LIMIT],
        at=at,
    )


def _advance(turn: Turn, *, poll: bool, answer: Answer | None = None) -> None:
    """The next weight, if the traffic gate lets it. The check that led here is counted in the same write."""
    state = gate(turn, QuestionKind.CONFIRM_TRAFFIC_INCREASE, poll=poll)
    if state is GateState.ASKING:
        return
    if answer is not None:
        _record_check(turn, answer)
    if state is GateState.CLOSED:
        return
    turn.update(step=turn.record.step + 1)
    turn.want(strategies.next_routes(turn.plan, turn.desired))
    turn.wake(turn.now + turn.plan.interval)
    turn.tell(Severity.NORMAL, f"Advance {turn.plan.canary_name} canary weight {turn.desired.canary}", f"weight/{turn.record.step}")


def _confirm_promotion(turn: Turn, answer: Answer) -> None:
    state = gate(turn, QuestionKind.CONFIRM_PROMOTION, poll=False)
    if state is GateState.ASKING:
        return
    _record_check(turn, answer)
    if state is GateState.OPEN:
        _begin_promotion(turn)
    elif turn.phase is not Phase.WAITING_PROMOTION:
        turn.enter(Phase.WAITING_PROMOTION)


def _begin_promotion(turn: Turn) -> None:
    """Store the intent before the primary is touched (engine:HAZ-09)."""
    turn.update(promoting=True)
    turn.tell(
        Severity.NORMAL,
        f"Copying {turn.plan.target_name} template spec to {turn.plan.target_name.replace('.', '-primary.', 1)}",
        "copying",
    )
    _promote(turn)


def _promote(turn: Turn) -> None:
    turn.run_canary()
    turn.route()
    turn.do(Promote(turn.record.revision, turn.stored_checksums))
    turn.hold("the primary is being given the revision")
