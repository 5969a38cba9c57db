"""The target's autoscaler and the primary's copy: which has the say, and pods enough for traffic that goes back (workloads:§4).

While the canary takes traffic, the primary's autoscaler takes pods away from the primary. Before traffic goes back, the primary gets as
many pods again as it had when it carried everything (AS-05, engine:HAZ-38, HAZ-41); its autoscaler leaves it these for a while, since
what it measures lags behind.
"""

from datetime import timedelta
from typing import Final

from flagger_py.api.rollout_record import PrimaryHold
from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.deadlines import is_raise_over, judge_primary
from flagger_py.rollout.effects import KeepPrimaryScaler, PauseScaler, RaisePrimary, RemoveFormerScaler, ResumeScaler
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.turn import RUN_PHASES, Turn
from flagger_py.rollout.views import CopyState
from flagger_py.rollout.world import Fault, World

HOLD: Final = timedelta(minutes=5)
"""For how long the primary's autoscaler leaves it the pods that it was given: Kubernetes' own window before it takes pods away."""

_PROMOTED: Final = frozenset({Phase.PROMOTING, Phase.FINALISING})
"""The primary carries the revision: what belongs to it, it gets."""
_SETTLED: Final = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED})


def scaler_faults(world: World) -> tuple[Fault, ...]:
    """An autoscaler that is missing or cannot be copied (workloads:AS-07)."""
    if not world.scaler.problem:
        return ()
    return (Fault(ConditionType.REFERENCES_RESOLVED, "AutoscalerUnusable", world.scaler.problem),)


def is_copy_missing(turn: Turn) -> bool:
    """Whether the primary has no autoscaler though it is to have one; if so, it is asked for. An unusable one is waited for (AS-07)."""
    scaler = turn.world.scaler
    if scaler.problem:
        turn.hold(scaler.problem)
        return True
    if scaler.ref and scaler.copy is CopyState.MISSING:
        _keep_copy(turn)
        turn.hold("the primary's autoscaler is being created")
        return True
    return False


def resume(turn: Turn) -> None:
    """Give the target's autoscaler the say, where it was taken from it."""
    if turn.world.scaler.is_paused:
        turn.do(ResumeScaler())


def pause(turn: Turn) -> None:
    """Take the say from the target's autoscaler, where it would start pods for nobody."""
    if turn.world.scaler.is_paused is False:
        turn.do(PauseScaler())


def note_start(turn: Turn) -> None:
    """Remember how many pods carry all traffic as a run begins."""
    if turn.world.scaler.ref and turn.primary is not None:
        turn.update(primary_replicas=turn.primary.replicas)


def has_enough_pods(turn: Turn) -> bool:
    """Whether the primary has the pods for the traffic that is on the canary; if not, it is given them.

    It is waited for only so long, but for a promotion.
    """
    if turn.primary is None or not turn.world.scaler.ref or turn.desired.canary == 0 or turn.primary.replicas >= _needed(turn):
        return True
    hold_primary(turn)
    if is_raise_over(turn):
        return True
    judge_primary(turn)  # it says when the raise has been waited for long enough
    turn.hold(f"the primary is being raised to {_needed(turn)} pods")
    return False


def hold_primary(turn: Turn) -> None:
    """From now on the primary has as many pods as all traffic takes, and keeps them until it has that traffic."""
    primary = turn.primary
    if primary is not None and turn.world.scaler.ref and turn.desired.canary > 0:
        _hold(turn, _needed(turn))


def _hold(turn: Turn, replicas: int) -> None:
    hold, primary = turn.record.hold, turn.primary
    if primary is None or (hold is not None and hold.replicas >= replicas and not _is_hold_over(turn, hold)):
        return
    if primary.replicas >= replicas and turn.world.scaler.live.least >= replicas:
        return  # nobody takes them away
    if hold is None or is_raise_over(turn):
        turn.update(hold=PrimaryHold(replicas=replicas, available=primary.available, since=turn.now))
    else:
        turn.update(hold=hold.model_copy(update={"replicas": replicas}))


def _needed(turn: Turn) -> int:
    """As many as it had when the run began, or as the canary has, within what its autoscaler allows (workloads:AS-05)."""
    scaler, current = turn.world.scaler, turn.primary.replicas if turn.primary else 0
    wanted = max(current, turn.canary_replicas, turn.record.primary_replicas)
    most = max(scaler.live.most, scaler.wanted.most)
    return max(current, min(wanted, most)) if most else wanted


def keep_scaler(turn: Turn) -> None:
    """Repair in every turn: the copy, and the pods that the primary is to have. Its effects come last, and wait for no other."""
    _release(turn)
    if turn.world.scaler.has_former:
        turn.do(RemoveFormerScaler(turn.record.autoscaler))
        return
    _note_copy(turn)
    if turn.primary is None or not turn.world.scaler.ref:
        return
    if turn.phase in RUN_PHASES and turn.primary.replicas == 0:
        _hold(turn, 1)  # KEDA has taken all its pods away, and the run needs something to compare with
    if not turn.world.scaler.problem:
        _keep_copy(turn)
    if turn.record.hold and turn.primary.replicas < turn.record.hold.replicas:
        turn.do(RaisePrimary(turn.record.hold.replicas))
    if turn.world.scaler.remark:
        turn.tell(Severity.WARNING, turn.world.scaler.remark, f"autoscaler/{turn.world.scaler.digest}")


def _note_copy(turn: Turn) -> None:
    scaler = turn.world.scaler
    has_copy = bool(scaler.ref) and not scaler.problem and scaler.copy is not CopyState.MISSING
    if has_copy and turn.record.autoscaler != scaler.ref:
        turn.update(autoscaler=scaler.ref)
    elif not scaler.ref and turn.record.autoscaler:
        turn.update(autoscaler="")


def _keep_copy(turn: Turn) -> None:
    scaler = turn.world.scaler
    least = min(turn.record.hold.replicas, max(scaler.live.most, scaler.wanted.most)) if turn.record.hold else 0
    whole = turn.phase in _PROMOTED or (turn.phase in _SETTLED and not turn.is_new_revision)
    if _differs(turn, max(least, scaler.wanted.least), whole=whole):
        turn.do(KeepPrimaryScaler(scaler.digest, least if least > scaler.wanted.least else 0, whole))


def _differs(turn: Turn, least: int, *, whole: bool) -> bool:
    scaler = turn.world.scaler
    if scaler.copy in (CopyState.MISSING, CopyState.PAUSED):
        return True
    if not whole:
        return scaler.live.least < least or scaler.live.most < scaler.wanted.most
    is_dated = scaler.copy is CopyState.DATED and turn.phase in _PROMOTED
    return scaler.copy is CopyState.DIFFERS or is_dated or scaler.live.least != least


def _release(turn: Turn) -> None:
    """The autoscaler has the say again, once the primary has had its traffic for a while."""
    hold = turn.record.hold
    if hold is None:
        return
    is_going_back = turn.record.promoting or turn.phase in _PROMOTED or (turn.phase in RUN_PHASES and turn.record.outcome is not None)
    if is_going_back:
        return
    if _is_hold_over(turn, hold):
        turn.update(hold=None)
    else:
        turn.wake(hold.since + HOLD)


def _is_hold_over(turn: Turn, hold: PrimaryHold) -> bool:
    return turn.now >= hold.since + HOLD
