"""Settled phases (Initialized, Succeeded, Failed) and Waiting: keep what is there, start a run for a new revision (engine:START)."""

from flagger_py.api.rollout_record import RolloutRecord
from flagger_py.api.status import Phase
from flagger_py.rollout.effects import RestorePrimary
from flagger_py.rollout.gates import GateState, gate
from flagger_py.rollout.initialise import begin
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.promotion import resume_promotion
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import NotReady
from flagger_py.rollout.runs import begin_run
from flagger_py.rollout.traffic import Routes
from flagger_py.rollout.turn import Turn


def settled(turn: Turn) -> None:
    """Nothing to do is the common case, and costs nothing: every effect is dropped where the world shows it done."""
    if turn.primary is None:
        _replace_primary(turn)
        return
    _keep_in_place(turn)
    if turn.record.serving_canary and resume_promotion(turn):
        return
    if _is_moved_hash(turn):
        turn.record_revision(promoted_revision=_rebased(turn))
        return
    if not turn.is_new_revision:
        _forget_start(turn)
        return
    if turn.is_promoted_revision:
        _record_revert(turn)
        return
    start(turn)


def _replace_primary(turn: Turn) -> None:
    """A deleted primary is restored; where the Canary was given another target, that one is initialised (engine:SPC-06)."""
    target = turn.world.target
    if target is not None and turn.record.target_uid not in ("", target.uid):
        turn.record = RolloutRecord(outbox=turn.record.outbox)
        begin(turn)
        return
    turn.do(RestorePrimary())
    turn.hold("the primary is missing")


def _keep_in_place(turn: Turn) -> None:
    """Services and routes as the record wants them; a difference is told and repaired."""
    turn.keep_services()
    live, wanted = turn.world.routes, turn.desired
    if isinstance(live, Routes) and live != wanted:
        text = f"Routes of {turn.plan.canary_name} were changed to {live.primary}/{live.canary}, setting {wanted.primary}/{wanted.canary}"
        turn.tell(Severity.WARNING, text, f"drift/{live.primary}/{live.canary}")
    turn.route()


def _record_revert(turn: Turn) -> None:
    """What the primary carries needs no run. It is recorded, so that the failed revision set again is a new one (workloads:CHG-08)."""
    turn.record_revision(promoted_revision=turn.target.revision, promoted_configs=turn.world.configs.digest)


def _is_moved_hash(turn: Turn) -> bool:
    """Another hash of an unchanged object: our algorithm or a server default moved, not the workload (design §6)."""
    record, target = turn.record, turn.target
    same_object = (record.target_uid, record.target_generation) == (target.uid, target.generation)
    return same_object and target.revision != record.revision and not turn.configs_changed


def _rebased(turn: Turn) -> str:
    record = turn.record
    return turn.target.revision if record.promoted_revision == record.revision else record.promoted_revision


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
    if not _primary_allows(turn):
        return
    state = gate(turn, QuestionKind.CONFIRM_ROLLOUT, poll=True, run=f"start-{turn.target.revision}-{turn.world.configs.digest}")
    if state is GateState.OPEN:
        begin_run(turn)
    elif state is GateState.CLOSED and turn.phase is not Phase.WAITING:
        turn.enter(Phase.WAITING)


def _primary_allows(turn: Turn) -> bool:
    """NotReady holds. A dead primary does not: the new revision may be its repair (engine:HAZ-12)."""
    readiness = turn.judge_primary()
    if isinstance(readiness, NotReady):
        turn.hold(f"primary not ready: {readiness.reason}")
        turn.tell(
            Severity.WARNING, f"Halt advancement, primary not ready: {readiness.reason}", f"start-{turn.target.revision}/primary-not-ready"
        )
        return False
    return True


def waiting(turn: Turn) -> None:
    """Behind the confirm-rollout gate. A revert to the promoted revision ends the wait (GATE-05, engine:REV-03)."""
    if turn.primary is None:
        turn.do(RestorePrimary())
        turn.hold("the primary is missing")
        return
    _keep_in_place(turn)
    if turn.is_promoted_revision:
        if turn.world.routes != turn.desired:
            return
        _record_revert(turn)
        turn.update(gate=None)
        turn.enter(Phase.SUCCEEDED, "The target was set back to the promoted revision.")
        return
    start(turn)
