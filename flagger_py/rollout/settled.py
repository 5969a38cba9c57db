"""Settled phases (Initialized, Succeeded, Failed) and Waiting: keep what is there, start a run for a new revision (engine:START)."""

from flagger_py.api.rollout_record import RolloutRecord
from flagger_py.api.status import Phase
from flagger_py.rollout.deadlines import is_primary_ready, judge_primary
from flagger_py.rollout.gates import GateState, gate
from flagger_py.rollout.initialise import begin
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.promotion import leave_canary
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import NotReady
from flagger_py.rollout.revisions import record_promoted
from flagger_py.rollout.routing import route, routes_drift
from flagger_py.rollout.runs import begin_run
from flagger_py.rollout.scaling import pause
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.upkeep import keep_services, run_canary


def settled(turn: Turn) -> None:
    """Nothing to do is the common case, and costs nothing: every effect is dropped where the world shows it done."""
    _keep_in_place(turn)
    if turn.primary is None:
        _replace_primary(turn)
    elif not turn.is_new_revision:
        _stay(turn)
    elif turn.is_promoted_revision:
        record_promoted(turn)  # so that the failed revision, set again, is a new one (workloads:CHG-08)
    else:
        start(turn)


def _replace_primary(turn: Turn) -> None:
    """A deleted primary is restored; where the Canary was given another target, that one is initialised (engine:SPC-06)."""
    target = turn.world.target
    if target is not None and turn.record.target_uid not in ("", target.uid):
        kept = turn.record
        turn.record = RolloutRecord(outbox=kept.outbox, outbox_overflow=kept.outbox_overflow, command=kept.command)
        begin(turn)
    else:
        turn.hold("the primary is missing")


def _know_again(turn: Turn) -> None:
    """A target that was deleted and made again with the same revision is no new one: what has failed is not tried again by itself
    (workloads:CHG-04), and a primary that is lost later is restored, never made from it (workloads:DEP-05)."""
    target, record = turn.world.target, turn.record
    if target is None or record.target_uid in ("", target.uid):
        return
    turn.update(target_uid=target.uid, target_generation=target.generation)
    if turn.phase is Phase.FAILED:
        text = f"{turn.plan.target_name} was made again with the revision that has failed; change its pod template or retry it by hand"
        turn.tell(Severity.WARNING, text, f"made-again/{target.uid}")


def _stay(turn: Turn) -> None:
    _know_again(turn)
    _forget_start(turn)
    if not turn.record.serving_canary:
        pause(turn)
    if turn.record.serving_canary and is_primary_ready(turn):
        leave_canary(turn)
    elif turn.canary_replicas > 0 and not turn.record.serving_canary:
        text = f"{turn.plan.target_name} is scaled to {turn.canary_replicas} while nothing is rolled out; it gets no traffic"
        turn.tell(Severity.WARNING, text, f"idle/{turn.target.generation}")


def _keep_in_place(turn: Turn) -> None:
    """Services, routes and a serving canary as the record wants them; a difference is told and repaired."""
    keep_services(turn)
    if drift := routes_drift(turn):
        turn.tell(Severity.WARNING, drift, f"drift/{drift}")
    if turn.record.serving_canary and turn.desired != ALL_PRIMARY:
        run_canary(turn)
    route(turn)


def _forget_start(turn: Turn) -> None:
    if turn.record.gate:
        turn.update(gate=None)
    if turn.record.unready_since.primary and not turn.record.serving_canary:
        turn.restart_clocks()


def start(turn: Turn) -> None:
    """A new revision is there: ask the confirm-rollout gate, then begin its run (engine:START)."""
    if turn.world.frozen:
        turn.hold("all rollouts are frozen")
        return
    if not turn.world.may_start:
        turn.hold("as many runs as allowed have started")
        turn.retry = True
        return
    if turn.world.scaler.problem:
        turn.hold(turn.world.scaler.problem)
        return
    if not _primary_allows(turn):
        return
    state = gate(turn, QuestionKind.CONFIRM_ROLLOUT, poll=True, run=f"start-{turn.target.revision}-{turn.world.configs.digest}")
    if state is GateState.OPEN:
        begin_run(turn)
    elif state is GateState.CLOSED and turn.phase is not Phase.WAITING:
        turn.enter(Phase.WAITING)


def _primary_allows(turn: Turn) -> bool:
    """NotReady holds. A dead primary does not: the new revision may be its repair (engine:HAZ-12)."""
    readiness = judge_primary(turn)
    if isinstance(readiness, NotReady):
        turn.hold(f"primary not ready: {readiness.reason}")
        turn.tell(
            Severity.WARNING, f"Halt advancement, primary not ready: {readiness.reason}", f"start-{turn.target.revision}/primary-not-ready"
        )
        return False
    return True


def waiting(turn: Turn) -> None:
    """Behind the confirm-rollout gate. A revert to the promoted revision ends the wait (GATE-05, engine:REV-03)."""
    _keep_in_place(turn)
    if turn.primary is None or turn.world.target is None:
        turn.hold("the target or the primary is missing")
    elif not turn.is_promoted_revision:
        start(turn)
    elif turn.world.routes == turn.desired:
        _end_wait(turn)


def _end_wait(turn: Turn) -> None:
    record_promoted(turn)
    turn.update(gate=None)
    if turn.record.serving_canary:
        turn.enter(Phase.FAILED, "The target was set back to the revision whose promotion failed, the canary serves all traffic.")
    else:
        turn.enter(Phase.SUCCEEDED, "The target was set back to the promoted revision.")
