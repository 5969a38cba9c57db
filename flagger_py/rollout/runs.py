"""The beginning of a run, and its new beginning for a newer revision (engine:START, RESTART)."""

from flagger_py.api.status import Phase
from flagger_py.rollout import alerts, strategies
from flagger_py.rollout.deadlines import is_primary_ready
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.revisions import record_revision
from flagger_py.rollout.routing import route, want
from flagger_py.rollout.scaling import has_enough_pods, note_start
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.upkeep import run_canary


def begin_run(turn: Turn) -> None:
    """A new revision is let in: scale the canary up."""
    _store_run(turn)
    note_start(turn)
    turn.tell(Severity.NORMAL, f"New revision detected! Scaling up {turn.plan.target_name}", "new-revision")
    alerts.run_started(turn)
    run_canary(turn)
    route(turn)


def restart(turn: Turn) -> None:
    """A newer revision supersedes the one under test: all from the start, with the traffic on the primary.

    The confirm-rollout gate is not asked again. A primary that is unready, or too small, gets no traffic: the weights then stay until
    it is Ready (engine:HAZ-41).
    """
    before, has_room = turn.desired, has_enough_pods(turn)
    _store_run(turn)
    if before.primary < turn.desired.primary and not (is_primary_ready(turn) and has_room):
        want(turn, before)
    turn.tell(Severity.NORMAL, f"New revision detected! Restarting analysis for {turn.plan.target_name}", "restart")
    run_canary(turn)
    route(turn)


def begin_again(turn: Turn) -> None:
    """The same revision from the start, because a person wants it; the pass goes on with its first step."""
    before, has_room = turn.desired, has_enough_pods(turn)
    _store_run(turn)
    if before.primary < turn.desired.primary and not has_room:
        want(turn, before)
    turn.tell(Severity.NORMAL, f"Restarting analysis for {turn.plan.target_name}", "begin-again")


def _store_run(turn: Turn) -> None:
    """Revision, configs, zero counters; no traffic on the canary unless it is the copy that serves (engine:HAZ-19)."""
    serving = turn.record.serving_canary
    restart_pods = _have_pods_read_other_configs(turn)
    record_revision(
        turn,
        started_at=turn.now,
        step=strategies.stages(turn.plan) if serving else 0,
        check_number=0,
        pre_rollout=serving,
        gate=None,
        paused_since=None,
        promoting=False,
        outcome=None,
        checks=(),
        restart_pods=restart_pods,
    )
    turn.update(run=turn.new_run_id(turn.now))
    turn.restart_clocks()
    want(turn, ALL_CANARY if serving else ALL_PRIMARY)
    turn.set_status(failed_checks=0, iterations=0)
    turn.enter(Phase.PROGRESSING)


def _have_pods_read_other_configs(turn: Turn) -> bool:
    """Whether pods that run already do not have the configs of the new run (workloads:CHG-06).

    A new template starts pods by itself, with configs that it is the first to name; one that was there before may have changed after that.
    """
    if turn.target.is_at_zero:
        return False
    live, stored = turn.world.configs.checksums or {}, turn.stored_checksums
    if turn.target.revision == turn.record.revision:
        return turn.configs_changed or turn.is_restart_due
    return turn.configs_changed and any(live[key] != stored[key] for key in live.keys() & stored.keys())
