"""What is repaired in every turn: Services, the primary, the canary's pods."""

from flagger_py.rollout.effects import EnsureApex, EnsureServices, RestartPods, RestorePrimary, ScaleTargetToZero, ScaleTargetUp
from flagger_py.rollout.scaling import pause, resume
from flagger_py.rollout.turn import Turn


def keep_services(turn: Turn) -> None:
    """Repair the three Services where they differ."""
    services = turn.world.services
    if not (services.canary and services.primary):
        turn.do(EnsureServices())
    if not services.apex:
        turn.do(EnsureApex())


def keep_primary(turn: Turn) -> None:
    """Restore a primary that was deleted. The last effect of a turn: where it cannot be done, the others have been."""
    if turn.primary is None:
        turn.do(RestorePrimary())


def run_canary(turn: Turn) -> None:
    """See that the canary has pods that have read the configs of this run, and its autoscaler the say (workloads:AS-04, CHG-06)."""
    if turn.world.target is None:
        return
    resume(turn)
    if turn.target.is_at_zero:
        turn.do(ScaleTargetUp(turn.world.scaler.start_replicas))
        turn.update(restart_pods=False)  # those that start now read the configs as they are
    elif turn.is_restart_due and turn.world.routes == turn.desired:
        turn.do(RestartPods(turn.occasion))


def stop_canary(turn: Turn) -> bool:
    """Whether the canary has no pods and nothing that would start some; if not, they are taken away (workloads:AS-04)."""
    pause(turn)
    is_paused = turn.world.scaler.is_paused is not False
    if turn.canary_replicas > 0:
        turn.do(ScaleTargetToZero())
    elif is_paused or turn.world.target is None:
        return True
    turn.hold("the canary is being scaled to zero")
    return False
