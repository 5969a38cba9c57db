"""Initialising: from a plain workload to a primary that serves all users, and a target at zero (engine:ST-01..04).

The order keeps users served: the primary is Ready before the apex Service selects it, the apex and the routes are in place before the
target goes. While the primary does not become ready, neither routes nor target are touched (engine:HAZ-13, workloads:GEN-17).
"""

from flagger_py.api.status import Phase
from flagger_py.rollout import alerts
from flagger_py.rollout.asking import ask
from flagger_py.rollout.deadlines import is_primary_ready, judge_primary
from flagger_py.rollout.effects import CreatePrimary, EnsureApex, EnsureServices, Promote
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.promotion import is_carried
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import NotReady, Ready
from flagger_py.rollout.revisions import publish_hashes, record_revision
from flagger_py.rollout.routing import route, want
from flagger_py.rollout.scaling import is_copy_missing
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.turn import UNKNOWN_REVISION, Turn
from flagger_py.rollout.upkeep import stop_canary


def begin(turn: Turn) -> None:
    """The first write of a new Canary: Initializing, with the revision that the primary is made from."""
    if turn.world.target is None:
        turn.hold("the target does not exist")
        return
    turn.enter(Phase.INITIALIZING)
    record_revision(turn)
    initialise(turn)


def initialise(turn: Turn) -> None:
    """Bring about what is missing, in order; Initialized is written once all of it has been observed."""
    if turn.world.target is None:
        turn.hold("the target does not exist")
        return
    if turn.primary is None and turn.is_new_revision:
        record_revision(turn)  # nothing is made of the old one yet
    _tell_availability(turn)
    if not (turn.world.services.canary and turn.world.services.primary):
        turn.do(EnsureServices())
    if turn.primary is None:
        turn.do(CreatePrimary(turn.record.revision, turn.stored_checksums))
        turn.hold("the primary is being created")
        return
    if _is_made_anew(turn):
        return
    readiness = judge_primary(turn)
    if not isinstance(readiness, Ready):
        _tell_not_ready(turn, readiness.reason, is_final=not isinstance(readiness, NotReady))
        return
    if not is_copy_missing(turn):
        _switch(turn)


def _switch(turn: Turn) -> None:
    """The primary can serve: users go to it, then the target goes to zero."""
    if not turn.world.services.apex:
        turn.do(EnsureApex())
    route(turn)
    if not turn.world.services.apex or turn.world.routes != ALL_PRIMARY:
        turn.hold("the apex service and the routes are being set up")
        return
    if stop_canary(turn):
        _finish(turn)


def _is_made_anew(turn: Turn) -> bool:
    """A primary that does not come up serves nobody yet: a newer revision, which may be the repair, takes its place (engine:HAZ-13)."""
    is_known = turn.record.revision != UNKNOWN_REVISION
    if turn.is_new_revision and is_known and not is_primary_ready(turn) and not turn.world.services.apex:
        record_revision(turn, promoting=True)
        turn.restart_clocks()
    if not turn.record.promoting or is_carried(turn):
        return False
    turn.do(Promote(turn.record.revision, turn.stored_checksums))
    turn.hold("the primary is being given the newer revision")
    return True


def _finish(turn: Turn) -> None:
    want(turn, ALL_PRIMARY)
    turn.update(autoscaler=turn.world.scaler.ref)
    turn.update(promoted_revision=turn.record.revision, promoted_configs=turn.stored_configs_digest, step_started_at=None, promoting=False)
    turn.restart_clocks()
    turn.set_status(failed_checks=0, iterations=0)
    turn.enter(Phase.INITIALIZED)
    publish_hashes(turn)
    turn.tell(Severity.NORMAL, f"Initialization done! {turn.plan.canary_name}", "initialised")
    alerts.initialised(turn)


def _tell_availability(turn: Turn) -> None:
    """Whether the metric providers can be asked: told once, and never in the way (metrics:AVAIL-01)."""
    if turn.plan.skip_analysis or not turn.plan.has_metrics:
        return
    answer = ask(turn, QuestionKind.AVAILABILITY, run=f"init-{turn.record.revision}")
    turn.reason = ""
    if answer is None:
        return
    if answer.passed:
        turn.tell(Severity.NORMAL, "all the metrics providers are available!", "availability")
    else:
        turn.tell(Severity.WARNING, f"Error checking metric providers: {answer.checks[-1].message}", "availability")


def _tell_not_ready(turn: Turn, reason: str, *, is_final: bool) -> None:
    turn.hold(f"primary not ready: {reason}")
    text = f"{turn.plan.target_name.replace('.', '-primary.', 1)} not ready: {reason}"
    turn.tell(Severity.WARNING, text, f"primary-not-ready/{'dead' if is_final else 'waiting'}")
