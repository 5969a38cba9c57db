"""`decide`: the one entry to the core. A total function of what is observed and the time."""

from datetime import datetime

from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout import conditions
from flagger_py.rollout.adopt import adopt
from flagger_py.rollout.commands import conclude, obey
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.deletion import has_finalizer, keep_finalizer, terminate
from flagger_py.rollout.initialise import begin, initialise
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.outbox import deliver
from flagger_py.rollout.progress import progress
from flagger_py.rollout.promotion import finalising, promoting
from flagger_py.rollout.revisions import rebase_moved_hash, record_revision
from flagger_py.rollout.scaling import keep_scaler, scaler_faults
from flagger_py.rollout.settled import settled, waiting
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.upkeep import keep_primary
from flagger_py.rollout.world import Fault, World

_SETTLED = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED})
_BEFORE_INITIALIZED = frozenset({Phase.NONE, Phase.INITIALIZING, Phase.TERMINATING, Phase.TERMINATED})
_FAULT_CONDITIONS = (ConditionType.VALID, ConditionType.ROUTING_READY, ConditionType.REFERENCES_RESOLVED, ConditionType.CRD_CURRENT)


def decide(world: World, now: datetime) -> Decision:
    """What to store and to do next for one Canary.

    Held by a fault or suspended, phase, objects and traffic stay as they are; deleted, it goes its last way whatever holds it.
    Everything else is a question of the phase.
    What is due from an earlier pass is told in any case.
    """
    turn = Turn(world, now)
    deliver(turn)
    if world.is_deleting:
        _terminate(turn)
        return turn.decision()
    if not world.faults:
        keep_finalizer(turn)
    if world.faults:
        _hold_faulty(turn)
    elif world.plan.suspended:
        _hold_suspended(turn)
    elif world.frozen and turn.phase not in _SETTLED:
        turn.hold("all rollouts are frozen")
    else:
        missing = (_missing_target(world),) if world.target is None else ()
        _tell_faults(turn, (*missing, *scaler_faults(world), *world.failures))
        _dispatch(turn)
    return turn.decision()


def _dispatch(turn: Turn) -> None:
    if turn.status.rollout is None and (turn.phase is not Phase.NONE or turn.primary is not None) and not _is_fresh(turn):
        adopt(turn)
        return
    turn.mend_clocks()
    rebase_moved_hash(turn)
    command = obey(turn)
    _go_on(turn)
    conclude(turn, command)
    if turn.phase not in _BEFORE_INITIALIZED:
        keep_primary(turn)
        keep_scaler(turn)


def _go_on(turn: Turn) -> None:
    match turn.phase:
        case Phase.NONE:
            begin(turn)
        case Phase.INITIALIZING | Phase.TERMINATING | Phase.TERMINATED:
            initialise(turn)
        case Phase.INITIALIZED | Phase.SUCCEEDED | Phase.FAILED:
            settled(turn)
        case Phase.WAITING:
            waiting(turn)
        case Phase.PROGRESSING | Phase.WAITING_PROMOTION:
            progress(turn)
        case Phase.PROMOTING:
            promoting(turn)
        case Phase.FINALISING:
            finalising(turn)


def _terminate(turn: Turn) -> None:
    if has_finalizer(turn):
        _tell_faults(turn, (*turn.world.faults, *turn.world.failures))
    terminate(turn)


def _missing_target(world: World) -> Fault:
    ref = world.canary.spec.target_ref
    message = f"spec.targetRef: {ref.kind} {world.canary.metadata.namespace}/{ref.name} does not exist"
    return Fault(ConditionType.REFERENCES_RESOLVED, "TargetMissing", message)


def _is_fresh(turn: Turn) -> bool:
    """Initializing without a primary: nothing to take over, begin (engine:RST-05)."""
    if turn.phase is not Phase.INITIALIZING or turn.primary is not None or turn.world.target is None:
        return False
    record_revision(turn)
    return True


def _hold_faulty(turn: Turn) -> None:
    faults = turn.world.faults
    _tell_faults(turn, faults)
    turn.retry = any(fault.retry for fault in faults)
    turn.hold(faults[0].message)


def _tell_faults(turn: Turn, faults: tuple[Fault, ...]) -> None:
    """Each fault is a condition and one event, of several for one condition the first; a condition that no longer holds goes."""
    told = {fault.condition: fault for fault in reversed(faults)}
    turn.status = conditions.without_conditions(turn.status, *(type_ for type_ in _FAULT_CONDITIONS if type_ not in told))
    for fault in dict.fromkeys(told[fault.condition] for fault in faults):
        _tell_fault(turn, fault)


def _tell_fault(turn: Turn, fault: Fault) -> None:
    before = conditions.find(turn.status, fault.condition)
    if before is None or before.message != fault.message:
        turn.tell(Severity.ERROR, fault.message, f"fault/{fault.condition}/{turn.world.canary.metadata.generation}/{fault.message}")
    if conditions.find(turn.status, ConditionType.PROMOTED) is None:
        turn.status = conditions.promoted(turn.status, turn.plan.target_kind, turn.now)
    turn.status = conditions.with_condition(turn.status, fault.condition, "False", fault.reason, fault.message, turn.now)


def _hold_suspended(turn: Turn) -> None:
    """Nothing is read, written or asked; the event has one name per generation, so that it is told once (engine:SUS-01)."""
    _tell_faults(turn, ())
    turn.hold("suspended")
    text = f"Canary {turn.plan.canary_name} is suspended, skipping"
    turn.tell(Severity.NORMAL, text, f"suspended/{turn.world.canary.metadata.generation}")
