"""First contact with a Canary that Flagger ran: from its status and the live objects to our record (design §6, engine:STS-09, RST-05).

No run is started because a hash has another form, and no revision is taken as promoted that the primary does not carry.
"""

from typing import Final

from flagger_py.api.rollout_record import DesiredRoutes
from flagger_py.api.status import Phase
from flagger_py.rollout.effects import Adopt
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes
from flagger_py.rollout.turn import UNKNOWN_REVISION, Turn

RUNNING: Final = frozenset({Phase.PROGRESSING, Phase.WAITING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})


def adopt(turn: Turn) -> None:
    """Write the record that the status lacks; the next pass goes on from it."""
    if turn.world.target is None or (turn.primary is None and turn.phase in RUNNING):
        turn.hold("a rollout of Flagger cannot be taken over while its target or primary is missing")
        return
    matches = turn.world.first_contact is not None and turn.world.first_contact.matches_target
    carried = turn.target.revision if matches else UNKNOWN_REVISION
    digest = turn.world.configs.digest
    stored_configs = turn.status.tracked_configs
    turn.record_revision(promoted_revision=carried, promoted_configs=digest if matches else UNKNOWN_REVISION)
    match turn.phase:
        case Phase.NONE | Phase.INITIALIZING:
            _restored_or_initialising(turn, carried)
        case Phase.INITIALIZED | Phase.SUCCEEDED | Phase.WAITING if not matches:
            turn.update(revision=UNKNOWN_REVISION)
            turn.set_status(tracked_configs=stored_configs)
        case Phase.PROGRESSING | Phase.WAITING_PROMOTION | Phase.PROMOTING | Phase.FINALISING:
            _continue_run(turn)
        case Phase.FAILED if turn.status.canary_weight == 100:
            turn.update(serving_canary=True)
        case _:
            pass
    _take_routes(turn)
    turn.do(Adopt())
    turn.hold("taken over from Flagger")


def _restored_or_initialising(turn: Turn, carried: str) -> None:
    """An existing primary is the promoted revision; a different target is a run of its own later, never silently promoted."""
    turn.update(revision=carried)
    if turn.phase is Phase.NONE:
        turn.enter(Phase.INITIALIZING)


def _continue_run(turn: Turn) -> None:
    since = turn.status.last_transition_time or turn.now
    carries_new = turn.phase in (Phase.PROMOTING, Phase.FINALISING)
    turn.update(
        started_at=since,
        run=turn.new_run_id(since),
        step=1 if turn.status.canary_weight or turn.status.iterations else 0,
        step_started_at=since,
        pre_rollout=bool(turn.status.canary_weight or turn.status.iterations),
        promoting=carries_new,
    )
    if carries_new:
        turn.update(promoted_revision=turn.target.revision, promoted_configs=turn.world.configs.digest)


def _take_routes(turn: Turn) -> None:
    """Live routes are the truth where no record exists (design §4)."""
    live = turn.world.routes if isinstance(turn.world.routes, Routes) else ALL_PRIMARY
    turn.update(desired=DesiredRoutes(primary=live.primary, canary=live.canary, mirrored=live.mirrored))
    if turn.phase in RUNNING:
        turn.set_status(canary_weight=live.canary)
