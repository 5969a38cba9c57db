"""A run under way: readiness, the first step, checks, and the next weight (engine:TICK-20..30, §6.1, §7).

Order of what is looked at: abort before anything else (engine:HAZ-40), a revert or newer revision, readiness, then the step's clock.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from flagger_py.api.effective import Strategy
from flagger_py.api.rollout_record import MESSAGE_LIMIT, Check, CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout import alerts, strategies
from flagger_py.rollout.asking import ask
from flagger_py.rollout.deadlines import is_primary_ready, judge_canary, judge_primary
from flagger_py.rollout.effects import Promote
from flagger_py.rollout.gates import GateState, gate, is_rollback_asked
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.outcomes import Result, end, unwind
from flagger_py.rollout.promotion import enter_promoting, is_carried
from flagger_py.rollout.questions import Answer, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady
from flagger_py.rollout.routing import mend_step_clock, route, routes_drift, want
from flagger_py.rollout.runs import restart
from flagger_py.rollout.scaling import has_enough_pods, hold_primary
from flagger_py.rollout.traffic import ALL_PRIMARY, Pending, Routes
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.upkeep import keep_services, run_canary
from flagger_py.rollout.verdicts import CheckResult

PENDING_GRACE: Final = timedelta(seconds=1)
"""How long a gateway may take to accept a weight without the step's clock being stopped: two status writes less on each step."""
SETTLING: Final = timedelta(seconds=2)
"""How long the canary is ready before its first traffic: a gateway hears of endpoints and of weights on different ways, in any order."""


def progress(turn: Turn) -> None:
    """One look at a run in Progressing or WaitingPromotion."""
    keep_services(turn)
    if turn.record.outcome:
        unwind(turn)
    elif turn.record.promoting and is_carried(turn):
        enter_promoting(turn)
    elif turn.is_new_revision:
        _revert_or_restart(turn)
    elif turn.status.failed_checks >= turn.plan.threshold and not turn.plan.skip_analysis:
        end(turn, Result.FAILED, f"failed checks threshold reached {turn.status.failed_checks}")
    else:
        _go_on(turn)


def _revert_or_restart(turn: Turn) -> None:
    if turn.is_revert:
        end(turn, Result.CANCELLED, "the target was set back to the promoted revision")
        return
    restart(turn)


def _go_on(turn: Turn) -> None:
    """The run itself, unless a rollback hook or a dead canary ends it."""
    is_abort_asked = is_rollback_asked(turn)
    if is_abort_asked:
        end(turn, Result.FAILED, "manual rollback by webhook", severity=alerts.Severity.WARN)
        return
    if turn.record.step == 0:
        _reset_traffic(turn)
    is_live, is_held = _is_live(turn), _is_held(turn)
    may_go_on = is_live and not is_held
    if may_go_on and not turn.record.promoting:
        _take_step(turn, is_abort_known=is_abort_asked is not None)
    if turn.record.outcome:
        return
    run_canary(turn)
    route(turn)
    if may_go_on and turn.record.promoting:
        turn.do(Promote(turn.record.revision, turn.stored_checksums))
        turn.hold("the primary is being given the revision")


def _take_step(turn: Turn, *, is_abort_known: bool) -> None:
    if turn.skips_step:
        _skip_step(turn)
    elif turn.record.paused_since and (turn.plan.skip_analysis or turn.record.step == 0):
        _stay_paused(turn)
        turn.wake(turn.now + turn.plan.interval)
    elif turn.plan.skip_analysis:
        begin_promotion(turn)
    elif turn.record.step == 0:
        _first_step(turn)
    else:
        _check_step(turn, is_abort_known=is_abort_known)


def _skip_step(turn: Turn) -> None:
    """The next stage, or the promotion, whatever hook, check or gate it waits for."""
    turn.skips_step = False
    turn.update(pre_rollout=True, gate=None)
    following = strategies.next_stage(turn.plan, turn.record.step, turn.desired)
    if following is None:
        begin_promotion(turn)
    else:
        _enter_stage(turn, following)


def _stay_paused(turn: Turn) -> None:
    turn.hold("paused by hand")


def _reset_traffic(turn: Turn) -> None:
    """Before the first step all traffic belongs to the primary; an unready one gets no more than it has (engine:HAZ-12)."""
    live = turn.world.routes
    if is_primary_ready(turn):
        if turn.desired != ALL_PRIMARY and has_enough_pods(turn):
            want(turn, ALL_PRIMARY)
    elif isinstance(live, Routes) and live.primary < turn.desired.primary:
        want(turn, live)


def _is_live(turn: Turn) -> bool:
    """Whether the routes carry what is wanted. The step's clock runs only while they do (design §4)."""
    live = turn.world.routes
    if live == turn.desired:
        if turn.record.step_started_at is None:
            turn.update(step_started_at=turn.now)
        mend_step_clock(turn)
        return True
    turn.retry = True
    if drift := routes_drift(turn):
        turn.tell(Severity.WARNING, drift, f"drift/{turn.record.step}/{turn.record.check_number}")
        turn.hold("the routes are being repaired")
    elif isinstance(live, Pending):
        turn.hold(f"routing: {live.reason}")
        if turn.step_age < PENDING_GRACE:
            return False
    turn.update(step_started_at=None)
    return False


def _is_held(turn: Turn) -> bool:
    """Whether something is not ready. A dead canary ends the run; a dead primary does not hold it (engine:HAZ-12)."""
    match judge_canary(turn), judge_primary(turn):
        case Dead(reason), _:
            end(turn, Result.FAILED, f"canary {turn.plan.target_name} not ready: {reason}")
        case NotReady(reason), _:
            _tell_hold(turn, "canary", turn.plan.target_name, reason)
        case _, NotReady(reason):
            _tell_hold(turn, "primary", turn.plan.target_name.replace(".", "-primary.", 1), reason)
        case _ if turn.primary is None:
            turn.hold("the primary is being restored")
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
    following = strategies.next_stage(turn.plan, 0, turn.desired)
    if following is None:
        begin_promotion(turn)
    elif _is_settled(turn):
        _advance(turn, following)


def _is_settled(turn: Turn) -> bool:
    """Whether gateways had the time to hear of the canary's pods."""
    since = turn.world.canary_ready_since
    if since is None or not since <= turn.now < since + SETTLING:
        return True
    turn.hold("gateways are hearing of the canary's pods")
    turn.wake(since + SETTLING)
    return False


def _pass_pre_rollout(turn: Turn) -> bool:
    if turn.record.check_number and not turn.interval_is_over():
        return False
    if not turn.record.check_number:
        turn.tell(Severity.NORMAL, f"Starting canary analysis for {turn.plan.target_name}", "starting")
    if QuestionKind.PRE_ROLLOUT in turn.plan.hooks:
        answer = ask(turn, QuestionKind.PRE_ROLLOUT)
        if answer is None:
            return False
        if not answer.passed:
            _count_failure(turn, answer, kind="pre-rollout")
            return False
        for hook in answer.hooks:
            turn.tell(Severity.NORMAL, f"Pre-rollout check {hook.name} passed", f"pre-rollout/{hook.name}")
    turn.update(pre_rollout=True)
    return True


def _check_step(turn: Turn, *, is_abort_known: bool) -> None:
    """The weight has been live: at the end of the interval ask the rollback hooks and the analysis, and judge both at once."""
    if not turn.interval_is_over():
        return
    answer = ask(turn, QuestionKind.ANALYSIS) if turn.plan.has_analysis else Answer()
    if answer is None or not is_abort_known:
        return
    following = strategies.next_stage(turn.plan, turn.record.step, turn.desired)
    if turn.plan.holds_on_error and _is_only_unreachable(answer):
        _wait_for_provider(turn, answer)
    elif not answer.passed:
        _count_failure(turn, answer, kind="rollout")
    elif turn.record.paused_since:
        _record_check(turn, answer)
        _stay_paused(turn)
    elif following is None:
        _confirm_promotion(turn, answer)
    else:
        _advance(turn, following, answer=answer)


def _is_only_unreachable(answer: Answer) -> bool:
    """Whether nothing has failed but the way to a metric provider."""
    failed = [check.result for check in answer.checks if not check.passed]
    return bool(failed) and set(failed) == {CheckOutcome.UNREACHABLE} and all(hook.passed for hook in answer.hooks)


def _wait_for_provider(turn: Turn, answer: Answer) -> None:
    """The check is made again after an interval: it says nothing about the version, for or against it."""
    number = f"{turn.record.step}/{turn.record.check_number}"
    _record_check(turn, answer)
    for name, text in _failures(answer, ""):
        turn.tell(Severity.WARNING, text, f"unreachable/{number}/{name}")
    turn.hold("a metric provider cannot be reached")


def _count_failure(turn: Turn, answer: Answer, *, kind: str) -> None:
    """One more failed check, whatever failed; at the threshold the run ends at once (engine:ANL-10, ANL-12)."""
    _record_check(turn, answer)
    failed = turn.status.failed_checks + 1
    turn.set_status(failed_checks=failed)
    number = f"{turn.record.step}/{turn.record.check_number}"
    halt, detail = f"Halt {turn.plan.canary_name} advancement ", ""
    for name, text in _failures(answer, f"{halt}{kind}"):
        turn.tell(Severity.WARNING, text, f"check/{number}/{name}")
        detail = detail or text.removeprefix(halt)
    if failed >= turn.plan.threshold:
        end(turn, Result.FAILED, f"failed checks threshold reached {failed}", detail=detail)


def _failures(answer: Answer, halt: str) -> Iterator[tuple[str, str]]:
    """Name and text of what failed, hooks before checks."""
    for hook in answer.hooks:
        if not hook.passed:
            yield hook.name, f"{halt} check {hook.name} failed {hook.message}".rstrip()
    for check in answer.checks:
        if not check.passed:
            yield check.name, check.message


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


def _advance(turn: Turn, following: Routes, *, answer: Answer | None = None) -> None:
    """The next stage, if its gate lets it. The check that led here is counted in the same write; without one the gate polls itself."""
    kind = strategies.gate_before(turn.plan, turn.desired, following)
    state = gate(turn, kind, poll=answer is None) if kind else GateState.OPEN
    if state is GateState.ASKING:
        return
    if answer is not None:
        _record_check(turn, answer)
    if state is GateState.CLOSED:
        if kind is QuestionKind.CONFIRM_PROMOTION and turn.phase is not Phase.WAITING_PROMOTION:
            turn.enter(Phase.WAITING_PROMOTION)
        return
    _enter_stage(turn, following)


def _enter_stage(turn: Turn, following: Routes) -> None:
    turn.update(step=turn.record.step + 1, check_number=0)
    if turn.phase is Phase.WAITING_PROMOTION:
        turn.enter(Phase.PROGRESSING)
    want(turn, following)
    if turn.plan.strategy is not Strategy.WEIGHTED:
        turn.set_status(iterations=turn.record.step)
    turn.wake(turn.now + turn.plan.interval)
    turn.tell(Severity.NORMAL, strategies.describe(turn.plan, turn.record.step, turn.desired), f"stage/{turn.record.step}")


def _confirm_promotion(turn: Turn, answer: Answer) -> None:
    state = gate(turn, QuestionKind.CONFIRM_PROMOTION, poll=False)
    if state is GateState.ASKING:
        return
    _record_check(turn, answer)
    if state is GateState.OPEN:
        begin_promotion(turn)
    elif turn.phase is not Phase.WAITING_PROMOTION:
        turn.enter(Phase.WAITING_PROMOTION)


def begin_promotion(turn: Turn) -> None:
    """Store the intent before the primary is touched (engine:HAZ-09)."""
    hold_primary(turn)
    turn.update(promoting=True, paused_since=None)
    turn.tell(
        Severity.NORMAL,
        f"Copying {turn.plan.target_name} template spec to {turn.plan.target_name.replace('.', '-primary.', 1)}",
        "copying",
    )
