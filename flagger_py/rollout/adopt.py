"""First contact with a Canary that Flagger ran: from its status and the live objects to our record (design §6, engine:STS-09, RST-05).

No run is started because a hash has another form, and no revision is taken as promoted that the primary does not carry.
"""

from typing import Final

from flagger_py.api.effective import TOTAL_WEIGHT, Strategy
from flagger_py.api.rollout_record import DesiredRoutes
from flagger_py.api.status import Phase
from flagger_py.rollout import strategies
from flagger_py.rollout.effects import Adopt
from flagger_py.rollout.revisions import record_revision
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes
from flagger_py.rollout.turn import RUN_PHASES, UNKNOWN_REVISION, Turn
from flagger_py.rollout.views import CopyState

_TARGET_HAS_RUN: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.FAILED})
"""The target as it is counts as the revision of the run, though the primary does not carry it. In Promoting the primary has the run's."""


def adopt(turn: Turn) -> None:
    """Write the record that the status lacks; the next pass goes on from it."""
    if obstacle := _obstacle(turn):
        turn.hold(f"not taken over from Flagger yet: {obstacle}")
        turn.retry = True
        return
    matches = turn.world.first_contact is not None and turn.world.first_contact.matches_target
    stored_configs = turn.status.tracked_configs
    record_revision(turn)
    _take_configs(turn, stored_configs)
    carried = turn.record.revision if matches else UNKNOWN_REVISION
    turn.update(promoted_revision=carried, promoted_configs=_carried_configs(turn, matches=matches))
    if turn.phase not in _TARGET_HAS_RUN:
        turn.update(revision=carried)  # a different target is a run of its own later, never silently promoted
    if turn.phase is Phase.NONE:
        turn.enter(Phase.INITIALIZING)
    _take_routes(turn)
    _take_scaler(turn)
    if turn.phase in RUN_PHASES:
        _continue_run(turn)
    turn.do(Adopt())
    turn.hold("taken over from Flagger")


def _obstacle(turn: Turn) -> str:
    """Why it cannot be said yet what is there; empty where it can."""
    if turn.world.target is None:
        return "the target does not exist"
    if turn.primary is None and turn.phase in (*RUN_PHASES, Phase.WAITING):
        return "a rollout is under way, and its primary does not exist"
    return ""


def _is_canary_serving(turn: Turn) -> bool:
    """After a failed promotion (workloads:ST-11)."""
    return turn.phase is Phase.FAILED and turn.status.canary_weight == TOTAL_WEIGHT


def _take_configs(turn: Turn, stored: dict[str, str] | None) -> None:
    """Flagger's checksums are ours (workloads:CFG-07): what differs from them has changed meanwhile, and is a run of its own later.

    An active run goes on with the configs as they are; a failed one is re-baselined.
    """
    if turn.phase not in _TARGET_HAS_RUN and stored is not None and turn.world.configs.checksums is not None:
        turn.set_status(tracked_configs=stored)
        turn.update(config_versions={})


def _carried_configs(turn: Turn, *, matches: bool) -> str:
    """The digest of what the primary carries; unknown where a run has other configs than the primary, or may have."""
    is_known = matches and turn.phase not in _TARGET_HAS_RUN
    return turn.stored_configs_digest if is_known or not turn.status.tracked_configs else UNKNOWN_REVISION


def _take_routes(turn: Turn) -> None:
    """Live routes are the truth where no record exists (design §4), and the status where they cannot be read at the moment.

    Before Initialized nothing of ours is live.
    """
    live, weight = turn.world.routes, min(max(turn.status.canary_weight, 0), TOTAL_WEIGHT)
    taken = live if isinstance(live, Routes) else Routes(TOTAL_WEIGHT - weight, weight)
    if turn.phase is Phase.INITIALIZING:
        taken = ALL_PRIMARY
    turn.update(
        desired=DesiredRoutes(primary=taken.primary, canary=taken.canary, mirrored=taken.mirrored),
        serving_canary=_is_canary_serving(turn),
    )


def _take_scaler(turn: Turn) -> None:
    """Flagger's copy of the autoscaler is ours; how many pods the primary had before the run is not known."""
    scaler = turn.world.scaler
    if not scaler.problem and scaler.copy is not CopyState.MISSING:
        turn.update(autoscaler=scaler.ref)


def _continue_run(turn: Turn) -> None:
    """Weights stay where they are (engine:RST-05): the routes tell the step, since `canaryWeight` may lag or be 0 (ISS-03)."""
    since = turn.status.last_transition_time or turn.now
    is_waiting = turn.phase is Phase.WAITING_PROMOTION
    step = strategies.step_of(turn.plan, turn.desired, turn.status.iterations, is_waiting=is_waiting)
    turn.update(started_at=since, run=turn.new_run_id(since), step=step, step_started_at=since, pre_rollout=step > 0)
    turn.update(promoting=turn.phase in (Phase.PROMOTING, Phase.FINALISING))
    is_counted = turn.plan.strategy is not Strategy.WEIGHTED and turn.phase is not Phase.FINALISING
    turn.set_status(canary_weight=turn.desired.canary, iterations=step if is_counted else 0)
