"""Readiness by our own clock: a version that is not ready for `progressDeadlineSeconds` is dead (workloads:RDY-04, RDY-10)."""

from datetime import datetime, timedelta
from typing import Final

from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.rollout.turn import RUN_PHASES, Turn
from flagger_py.rollout.views import PrimaryView

NEW_POD: Final = timedelta(seconds=30)
"""As long a Deployment takes to replace a pod at least, on a node that has the image."""
LONGEST_RAISE: Final = timedelta(seconds=60)
"""For how long users stay on a version that is rolled back, while a primary that was made smaller gets its pods."""


def judge_canary(turn: Turn) -> Readiness:
    """The target's readiness, `Dead` after `progressDeadlineSeconds` (workloads:RDY-04). Without a pod it is not (HAZ-25)."""
    if turn.world.target is not None and turn.world.target.is_at_zero and turn.desired.canary == 0:
        note_unready(turn, "canary", None)  # not started yet, and nobody misses it: its deadline begins with its pods
        return NotReady("no pod of the canary is wanted yet")
    return _judge(turn, "canary", _seen_canary(turn))


def _seen_canary(turn: Turn) -> Readiness:
    target = turn.world.target
    if target is None:
        return Dead(f"{turn.plan.target_kind} {turn.plan.target_name} does not exist")
    if target.is_at_zero or (isinstance(target.readiness, Ready) and not target.is_available):
        return NotReady("no pod of the canary is available")
    if turn.is_restart_due:
        return NotReady("its pods have still to start anew with the changed configs")
    return target.readiness


def is_canary_ready(turn: Turn) -> bool:
    return isinstance(_seen_canary(turn), Ready)


def judge_primary(turn: Turn) -> Readiness:
    """The primary's readiness, likewise; the deadline starts when it is first seen unready (workloads:RDY-10)."""
    if turn.record.hold is not None and not is_raise_over(turn):
        turn.wake(turn.record.hold.since + raise_limit(turn))
    return _judge(turn, "primary", _seen_primary(turn))


def _seen_primary(turn: Turn) -> Readiness:
    primary = turn.primary
    if primary is None:
        return NotReady("the primary does not exist")
    if turn.phase in RUN_PHASES and isinstance(primary.readiness, Ready) and not primary.is_available:
        return NotReady("no pod of the primary is available")
    if isinstance(primary.readiness, NotReady) and _is_raised_enough(turn, primary):
        return Ready()
    return primary.readiness


def raise_limit(turn: Turn) -> timedelta:
    """For how long a primary that gets more pods is waited for, while traffic goes back to it."""
    return min(turn.plan.interval, LONGEST_RAISE)


def is_raise_over(turn: Turn) -> bool:
    """Whether the pods that the primary was given have been waited for as long as they may be.

    A canary that serves nobody is no place to wait, and a promotion is in no hurry.
    """
    hold, target = turn.record.hold, turn.world.target
    if hold is None or (turn.record.promoting and not turn.record.serving_canary):
        return False
    return target is None or not target.is_available or turn.now >= hold.since + raise_limit(turn)


def _is_raised_enough(turn: Turn, primary: PrimaryView) -> bool:
    """A cluster without room for more pods must not keep users on a version that is rolled back (workloads:AS-05)."""
    hold, record = turn.record.hold, turn.record
    if hold is None or turn.phase not in RUN_PHASES or not is_raise_over(turn):
        return False
    is_going_back = record.outcome is not None or (record.step == 0 and turn.desired.canary > 0)
    return is_going_back and primary.available >= max(hold.available, 1)


def is_primary_ready(turn: Turn) -> bool:
    return isinstance(_seen_primary(turn), Ready)


def _judge(turn: Turn, version: str, seen: Readiness) -> Readiness:
    since = getattr(turn.record.unready_since, version)
    if isinstance(seen, Ready):
        note_unready(turn, version, None)
        return seen
    if since is None:
        since = turn.now
        note_unready(turn, version, since)
    limit, name = _limit(turn, version)
    deadline = since + limit
    if isinstance(seen, Dead):
        turn.retry = True
        return seen
    if turn.now >= deadline:
        turn.retry = True
        return Dead(f"{seen.reason} for more than {int(limit.total_seconds())}s ({name})")
    turn.wake(deadline)
    return seen


def _limit(turn: Turn, version: str) -> tuple[timedelta, str]:
    """How long a version may be unready, and what says so. Users who meet no pod at all do not wait for `progressDeadlineSeconds`."""
    if version == "canary" and turn.desired.canary > 0 and turn.world.target is not None and turn.target.available < 1:
        return min(max(turn.plan.interval, NEW_POD), turn.plan.progress_deadline), "no pod serves its users"
    return turn.plan.progress_deadline, "progressDeadlineSeconds"


def note_unready(turn: Turn, version: str, since: datetime | None) -> None:
    """Start the clock of `primary`, `canary` or `routes`, or stop it with `None`."""
    if getattr(turn.record.unready_since, version) != since:
        clocks = turn.record.unready_since.model_copy(update={version: since})
        turn.update(unready_since=clocks)
