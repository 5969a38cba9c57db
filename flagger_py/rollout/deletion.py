"""The end of a Canary with `revertOnDeletion`: what was there before is put back while users are served (engine:§12, workloads:§1.5).

The stages come in this order: the target has pods that are ready, then the apex Service and the routes lead to them. Last, when the
primary's pods had time to finish what they serve, the finalizer goes, and the primary is garbage-collected (ISS-10, routers:UPS-15).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from flagger_py.api.metadata import FINALIZER, SKIP_REVERT
from flagger_py.api.rollout_record import Deletion
from flagger_py.api.status import Phase
from flagger_py.rollout.deadlines import is_primary_ready
from flagger_py.rollout.effects import AddFinalizer, Effect, RemoveFinalizer, RestoreApex, RestoreTarget, RevertRoutes
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.readiness import Dead, NotReady
from flagger_py.rollout.turn import UNKNOWN_REVISION, Turn
from flagger_py.rollout.views import Awaited, Back, Lost, Owed, Part, RestorationView, TargetView

DEADLINE: Final = timedelta(minutes=5)
"""How long a stage may stand still before the Canary is let go: a cluster that is half gone must not hold it for ever (engine:FIN-08)."""
LONGEST_DRAIN: Final = timedelta(seconds=30)
"""Kubernetes' own default for a pod that is told to end; a shorter `analysis.interval` is enough, as at the end of a promotion."""

PREPARATION: Final = timedelta(seconds=3)
"""For how long a gateway knows what the routes will lead to before they do: Envoy needs tenths of a second for a new Service."""


class Stage(StrEnum):
    """What is waited for."""

    TARGET = "target"
    APEX = "apex"
    ROUTES = "routes"
    DRAIN = "drain"


_WAITS_FOR: Final[Mapping[Stage, str]] = {
    Stage.TARGET: "{target} to be ready",
    Stage.APEX: "its Service to lead to {target} again",
    Stage.ROUTES: "the routes to be as they were",
    Stage.DRAIN: "the primary's connections to end",
}
_EFFECTS: Final[Mapping[Stage, Effect]] = {
    Stage.TARGET: RestoreTarget(),
    Stage.APEX: RestoreApex(),
    Stage.ROUTES: RevertRoutes(),
}
_RANKS: Final = {stage.value: rank for rank, stage in enumerate(Stage)}


def has_finalizer(turn: Turn) -> bool:
    return FINALIZER in turn.world.canary.metadata.finalizers


def keep_finalizer(turn: Turn) -> None:
    """The finalizer is there exactly while `revertOnDeletion` is true (engine:FIN-01), be the Canary suspended or not (SUS-01)."""
    if turn.plan.revert_on_deletion and not has_finalizer(turn):
        turn.do(AddFinalizer())
    elif has_finalizer(turn) and not turn.plan.revert_on_deletion:
        turn.do(RemoveFinalizer())


def terminate(turn: Turn) -> None:
    """One look at a Canary that is being deleted. Neither an invalid spec nor `suspend` holds it (engine:HAZ-07, FIN-07)."""
    restoration = turn.world.restoration
    if not has_finalizer(turn):
        turn.hold("the Canary is being deleted, and nothing of ours keeps it")
    elif not turn.plan.revert_on_deletion or restoration is None:
        turn.do(RemoveFinalizer())
    elif turn.world.canary.metadata.annotations.get(SKIP_REVERT) == "true":
        _let_go(turn, f"the annotation {SKIP_REVERT} asks for it", _left(turn, restoration))
    else:
        _restore(turn, restoration)


def _restore(turn: Turn, view: RestorationView) -> None:
    if turn.phase is not Phase.TERMINATING:
        _begin(turn)
    obstacle = next(_obstacles(turn, view), None)
    if obstacle is None:
        _drain(turn, view, _enter(turn, Stage.DRAIN))
        return
    stage, part = obstacle
    since = _enter(turn, stage)
    if turn.now >= since + DEADLINE and _is_hopeless(turn, stage, part, since):
        _give_up(turn, view)
        return
    if isinstance(part, Owed):
        turn.do(_effect(turn, stage, since))
    turn.retry = turn.retry or isinstance(part, Lost)
    _wait(turn, stage, part.reason, since)


def _effect(turn: Turn, stage: Stage, since: datetime) -> Effect:
    if stage is Stage.ROUTES and turn.primary is not None and turn.now < since + PREPARATION:
        turn.wake(since + PREPARATION)
        return RevertRoutes(only_prepare=True)
    return _EFFECTS[stage]


def _begin(turn: Turn) -> None:
    turn.tell(Severity.NORMAL, f"Terminating canary {turn.plan.canary_name}", "terminating")
    turn.set_status(canary_weight=0, iterations=0)
    target, record = turn.world.target, turn.record
    if target is not None and record.promoted_revision not in ("", UNKNOWN_REVISION, target.revision):
        text = f"{turn.plan.target_name} is at a revision that was not promoted; all users get it once the Canary is gone"
        turn.tell(Severity.WARNING, text, "terminating/unpromoted")


def _obstacles(turn: Turn, view: RestorationView) -> Iterator[tuple[Stage, Owed | Awaited | Lost]]:
    """What is not back, in the order in which it is put back."""
    for stage, part in ((Stage.TARGET, _target(turn, view)), (Stage.APEX, view.apex), (Stage.ROUTES, view.routes)):
        if not isinstance(part, Back):
            yield stage, part


def _target(turn: Turn, view: RestorationView) -> Part:
    """Whether the target can serve in the place of the primary. One that does not exist is as its user wants it (ISS-09)."""
    target = turn.world.target
    if isinstance(view.workloads, Lost):
        return view.workloads
    if target is None:
        return Back()
    scaler = turn.world.scaler
    if scaler.is_hidden:
        return Lost(scaler.problem)
    if scaler.is_paused:
        return Owed(f"{scaler.ref.replace('/', ' ')} of {turn.plan.target_name} is paused")
    if _lacks_pods(turn, target):
        return Owed(f"{turn.plan.target_name} has {target.replicas} pods")
    if turn.primary is None:
        return Back()  # there is nothing that could serve while the target gets ready
    if isinstance(target.readiness, NotReady | Dead):
        return Awaited(f"{turn.plan.target_name} is not ready: {target.readiness.reason}")
    return Back() if target.is_available else Awaited(f"{turn.plan.target_name} has no pod that is available")


def _lacks_pods(turn: Turn, target: TargetView) -> bool:
    """Fewer than serve now. After an interval, what an autoscaler or somebody else leaves is enough."""
    if target.is_at_zero:
        return True
    stored = turn.record.deletion
    is_enough = (stored is not None and stored.stage != Stage.TARGET) or turn.now >= _since(turn) + turn.plan.interval
    return not is_enough and target.has_pods and turn.primary is not None and target.replicas < turn.primary.replicas


def _enter(turn: Turn, stage: Stage) -> datetime:
    """Go to a stage, or stay at the furthest that was reached: it never goes back, so that the deletion comes to an end."""
    turn.enter(Phase.TERMINATING, f"Canary is being deleted, waiting for {_WAITS_FOR[stage].format(target=turn.plan.target_name)}.")
    stored = turn.record.deletion
    is_further = stored is None or _RANKS[stage] > _RANKS.get(stored.stage, -1)
    if is_further and not turn.world.faults:
        turn.update(deletion=Deletion(stage=stage, since=turn.now), gate=None, paused_since=None)
    return _since(turn)


def _since(turn: Turn) -> datetime:
    """Since when the furthest stage lasts. Where no record can be stored: since the deletion."""
    if turn.world.faults:
        return min(turn.world.canary.metadata.deletion_timestamp or turn.now, turn.now)
    stored = turn.record.deletion
    return turn.now if stored is None else min(stored.since, turn.now)


def _is_hopeless(turn: Turn, stage: Stage, part: Part, since: datetime) -> bool:
    """Whether more time is not likely to help. While the primary serves, a target that does not get ready is waited for (ACC-12).

    What has still to be done may not have been tried for long, because no controller ran.
    """
    if isinstance(part, Owed):
        return bool(turn.world.failures) or turn.now >= since + 2 * DEADLINE
    return not (stage is Stage.TARGET and isinstance(part, Awaited) and is_primary_ready(turn))


def _wait(turn: Turn, stage: Stage, reason: str, since: datetime) -> None:
    turn.hold(f"{stage}: {reason}")
    if turn.now < since + DEADLINE:
        turn.wake(since + DEADLINE)
        return
    turn.retry = True
    text = f"The deletion of {turn.plan.canary_name} waits: {reason}. Mend it, or set the annotation {SKIP_REVERT}=true to go without"
    turn.tell(Severity.WARNING, text, f"terminating/{stage}/late")


def _drain(turn: Turn, view: RestorationView, since: datetime) -> None:
    """All is back as far as can be seen; a router that cannot say so is asked to put it back in any case."""
    turn.do(RestoreApex(), RevertRoutes())
    end = since + min(turn.plan.interval, LONGEST_DRAIN)
    if turn.world.failures and turn.now >= since + DEADLINE:
        _give_up(turn, view)
    elif turn.primary is not None and not turn.world.faults and turn.now < end:
        turn.hold("the primary's pods finish what they serve")
        turn.wake(end)
    else:
        if not turn.world.failures:
            turn.tell(Severity.NORMAL, f"Terminated canary {turn.plan.canary_name}", "terminated")
        turn.do(RemoveFinalizer())
        turn.retry = True


def _give_up(turn: Turn, view: RestorationView) -> None:
    """What can be put back is; the rest is told."""
    turn.effects.clear()
    turn.do(*_EFFECTS.values())
    _let_go(turn, f"nothing has moved for {int(DEADLINE.total_seconds() // 60)} minutes", _left(turn, view))


def _let_go(turn: Turn, why: str, left: str) -> None:
    text = f"Canary {turn.plan.canary_name} is let go, because {why}"
    turn.tell(Severity.WARNING, f"{text}; not put back: {left}" if left else text, "terminating/let-go")
    turn.do(RemoveFinalizer(unconditional=True))
    turn.retry = True


def _left(turn: Turn, view: RestorationView) -> str:
    parts = [part.reason for _, part in _obstacles(turn, view)]
    return "; ".join(dict.fromkeys((*parts, *(fault.message for fault in turn.world.failures))))
