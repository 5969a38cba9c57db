"""From a passed analysis to a primary that serves: Promoting, Finalising, Succeeded, and the promotion that fails (engine:SHIFT)."""

from flagger_py.api.rollout_record import MESSAGE_LIMIT, Outcome
from flagger_py.api.status import Phase
from flagger_py.rollout import alerts, strategies
from flagger_py.rollout.deadlines import judge_canary, judge_primary
from flagger_py.rollout.effects import PruneConfigs
from flagger_py.rollout.identity import promotion_id
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.outcomes import Result, post_rollout
from flagger_py.rollout.readiness import Dead, NotReady, Ready
from flagger_py.rollout.revisions import publish_hashes
from flagger_py.rollout.routing import mend_step_clock, route, want
from flagger_py.rollout.scaling import has_enough_pods
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Routes
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.upkeep import keep_services, run_canary, stop_canary


def is_carried(turn: Turn) -> bool:
    """Whether the primary carries the record's revision and configs."""
    uid = turn.world.canary.metadata.uid
    wanted = promotion_id(uid, turn.record.revision, turn.stored_configs_digest)
    return turn.primary is not None and turn.primary.promotion_id == wanted


def enter_promoting(turn: Turn) -> None:
    """The primary carries the revision: that is what Promoting says, and the truth about what is promoted (engine:HAZ-15)."""
    turn.update(promoted_revision=turn.record.revision, promoted_configs=turn.stored_configs_digest, gate=None, step_started_at=None)
    turn.restart_clocks()
    turn.set_status(iterations=0)
    turn.enter(Phase.PROMOTING)
    promoting(turn)


def promoting(turn: Turn) -> None:
    """The primary rolls to the revision; traffic goes back to it once it is Ready. A dead canary does not undo that (engine:HAZ-15)."""
    keep_services(turn)
    readiness = judge_primary(turn)
    match readiness:
        case Dead(reason):
            _fail_promotion(turn, reason)
        case NotReady(reason):
            route(turn)
            turn.hold(f"primary not ready: {reason}")
        case Ready():
            if turn.record.serving_canary:
                _take_back(turn)
            turn.update(outcome=None)
            _shift(turn)


def _take_back(turn: Turn) -> None:
    """The primary has recovered: its first stage comes at once, from the traffic that the canary really has got (engine:HAZ-19)."""
    if isinstance(turn.world.routes, Routes):
        want(turn, turn.world.routes)
    turn.update(serving_canary=False, step_started_at=None)


def _shift(turn: Turn) -> None:
    if turn.desired != ALL_PRIMARY:
        _next_stage(turn)
    route(turn)
    if turn.world.routes != turn.desired:
        turn.hold("traffic is going back to the primary")
        turn.retry = True
    elif turn.desired == ALL_PRIMARY:
        turn.update(step_started_at=turn.now)
        turn.enter(Phase.FINALISING)
        turn.wake(turn.now + turn.plan.interval)


def _next_stage(turn: Turn) -> None:
    """A dead canary keeps no traffic until its stage comes."""
    run_canary(turn)
    if isinstance(judge_canary(turn), Dead):
        want(turn, ALL_PRIMARY)
    elif has_enough_pods(turn) and _is_stage_due(turn):
        want(turn, strategies.promotion_routes(turn.plan, turn.desired))
    else:
        return
    _tell_shift(turn)


def _is_stage_due(turn: Turn) -> bool:
    """The first stage goes at once, the next ones an interval apart, each after the one before it is live."""
    mend_step_clock(turn)
    is_over = turn.interval_is_over()
    return turn.record.step_started_at is None or (turn.world.routes == turn.desired and is_over)


def _tell_shift(turn: Turn) -> None:
    if turn.desired == ALL_PRIMARY and not turn.plan.step_weight_promotion:
        turn.tell(Severity.NORMAL, "Routing all traffic to primary", "all-to-primary")
    else:
        text = f"Advance {turn.plan.canary_name} primary weight {turn.desired.primary}"
        turn.tell(Severity.NORMAL, text, f"primary-weight/{turn.desired.primary}")


def _fail_promotion(turn: Turn, reason: str) -> None:
    """The primary does not come up with the new revision: the canary, which runs it well, serves all users (engine:FAILED-PROMOTION)."""
    can_serve = turn.plan.routes_weights and isinstance(judge_canary(turn), Ready)
    run_canary(turn)
    _tell_failure(turn, f"{reason}; {'all traffic goes to the canary' if can_serve else 'no other version can serve'}")
    if not can_serve:
        route(turn)
        turn.hold(f"promotion failed and no version is ready: {reason}")
        return
    if turn.desired.primary:
        want(turn, ALL_CANARY)
    turn.update(serving_canary=True)
    route(turn, urgent=True)
    if turn.world.routes != turn.desired:
        turn.hold("traffic is going to the canary")
        turn.retry = True
        return
    turn.update(step_started_at=None, promoting=False)
    turn.enter(Phase.FAILED, f"Promotion failed, the canary {turn.plan.target_kind} serves all traffic.")
    post_rollout(turn)


def _tell_failure(turn: Turn, reason: str) -> None:
    """One alert however often the pass is repeated: the outcome stands in the record from here until the primary recovers."""
    turn.tell(Severity.ERROR, f"Promotion of {turn.plan.target_name} failed, primary not ready: {reason}", "promotion-failed")
    if turn.record.outcome is None:
        turn.update(outcome=Outcome(result=Result.PROMOTION_FAILED, reason=reason[:MESSAGE_LIMIT], at=turn.now))
        alerts.promotion_failed(turn, reason)


def leave_canary(turn: Turn) -> None:
    """After a failed promotion: the primary has recovered (workloads:RDY-12). Go on with the promotion, if it carries what was to be
    promoted; a newer revision that has failed meanwhile only gives its traffic back."""
    record = turn.record
    if (record.promoted_revision, record.promoted_configs) == (record.revision, turn.stored_configs_digest):
        _resume(turn)
        return
    if turn.desired != ALL_PRIMARY and has_enough_pods(turn):
        want(turn, ALL_PRIMARY)
    route(turn, urgent=True)
    if turn.world.routes != ALL_PRIMARY:
        turn.hold("traffic is going back to the primary")
        turn.retry = True
    elif stop_canary(turn):
        turn.update(serving_canary=False)
        turn.enter(Phase.FAILED)


def _resume(turn: Turn) -> None:
    turn.update(promoting=True)
    turn.restart_clocks()
    turn.enter(Phase.PROMOTING)
    turn.tell(Severity.NORMAL, f"Primary of {turn.plan.target_name} has recovered, resuming the promotion", "promotion-resumed")
    promoting(turn)


def finalising(turn: Turn) -> None:
    """All traffic is on the primary; the canary's pods finish what they serve for one interval, then go (drain)."""
    keep_services(turn)
    primary = judge_primary(turn)
    if turn.record.serving_canary and isinstance(primary, Ready):
        turn.enter(Phase.PROMOTING)  # it has failed and recovered before the canary had its traffic
        promoting(turn)
        return
    if isinstance(primary, Dead):
        _fail_promotion(turn, primary.reason)
        return
    route(turn)
    if turn.world.routes != ALL_PRIMARY or not isinstance(primary, Ready):
        turn.hold("the primary does not serve all traffic")
        turn.retry = True
        return
    if not turn.interval_is_over():
        return
    if stop_canary(turn):
        _succeed(turn)
    else:
        turn.do(PruneConfigs())


def _succeed(turn: Turn) -> None:
    skipped = turn.plan.skip_analysis
    turn.update(
        outcome=Outcome(result=Result.PROMOTED, reason="skipped" if skipped else "completed", at=turn.now),
        promoting=False,
        step_started_at=None,
        gate=None,
    )
    turn.restart_clocks()
    turn.set_status(canary_weight=0, iterations=0)
    publish_hashes(turn)
    turn.enter(Phase.SUCCEEDED)
    post_rollout(turn)
    text = "Promotion completed! Canary analysis was skipped for" if skipped else "Promotion completed! Scaling down"
    turn.tell(Severity.NORMAL, f"{text} {turn.plan.target_name}", "completed")
    alerts.promoted(turn)
