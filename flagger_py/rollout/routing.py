"""The traffic that is wanted, with its session cookies, and how the routes are brought to it."""

from datetime import timedelta
from typing import Final

from flagger_py.api.rollout_record import DesiredRoutes
from flagger_py.rollout.deadlines import is_canary_ready, is_primary_ready, note_unready
from flagger_py.rollout.effects import NudgeRoutes, SetTraffic
from flagger_py.rollout.identity import cookie_value
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.traffic import Affinity, Pending, Routes, Traffic, asked
from flagger_py.rollout.turn import RUN_PHASES, Turn

SLOW: Final = timedelta(milliseconds=500)
"""How much later than it was stored a weight may be routed without a status write for it."""


def want(turn: Turn, routes: Routes) -> None:
    """Change the traffic that is wanted, publish its weight (engine:STS-11), and start the step's clock."""
    desired = DesiredRoutes(primary=routes.primary, canary=routes.canary, mirrored=routes.mirrored)
    turn.update(desired=desired, step_started_at=turn.now)
    turn.set_status(canary_weight=routes.canary)
    if turn.plan.cookie:
        _pin_sessions(turn, routes)


def _pin_sessions(turn: Turn, routes: Routes) -> None:
    """The cookies of this traffic, stored before it is routed (routers:SA-03, SA-09, SA-13).

    The canary's cookie lasts for the run. The primary's changes with each weight, so that its users are shared out anew (SA-08).
    """
    uid, run, current = turn.world.canary.metadata.uid, turn.record.run, turn.status.session_affinity_cookie
    if routes.canary == 0:
        previous = current or turn.status.previous_session_affinity_cookie
        cookies = {"session_affinity_cookie": "", "previous_session_affinity_cookie": previous}
    else:
        cookies = {"session_affinity_cookie": current or f"{turn.plan.cookie}={cookie_value(uid, run)}"}
    if turn.plan.primary_cookie:
        value = f"{turn.plan.primary_cookie}={cookie_value(uid, run, routes.canary, 'primary')}" if routes.canary else ""
        cookies["primary_session_affinity_cookie"] = value
    turn.set_status(**cookies)


def mend_step_clock(turn: Turn) -> None:
    """Where the API server was slow, a weight has been live only since it was routed, not since it was stored."""
    started, changed = turn.record.step_started_at, turn.world.routes_changed_at
    if started and changed and changed - started > SLOW:
        turn.update(step_started_at=changed)


def affinity(turn: Turn) -> Affinity:
    """The cookies that the stored status wants; a primary cookie without a name is Flagger's, and matches nothing (SA-08)."""
    if not turn.plan.cookie:
        return Affinity()
    return Affinity(
        canary=turn.status.session_affinity_cookie,
        previous=turn.status.previous_session_affinity_cookie,
        primary=turn.status.primary_session_affinity_cookie if turn.plan.primary_cookie else "",
    )


def routes_drift(turn: Turn) -> str:
    """How the routes differ from what is wanted because somebody has edited them; empty where nobody has."""
    live, wanted = turn.world.routes, turn.desired
    again = str(wanted)
    if isinstance(live, Pending) and live.is_broken:
        return f"{live.reason}; setting them to {again} again"
    asks = asked(live)
    if asks is None or asks == wanted:
        return ""
    return f"Routes of {turn.plan.canary_name} stand at {asks} instead of {again}, setting them again"


def route(turn: Turn, *, urgent: bool = False) -> None:
    """Keep or bring the routes to what is wanted, unless that gives more traffic to a version that is not Ready.

    Routes that are missing or that the backend has not taken over carry nothing yet, as far as is known.
    """
    live, wanted = turn.world.routes, turn.desired
    known = live if isinstance(live, Routes) else None
    takes_primary = wanted.gives_more_to_primary_than(known) if known else wanted.primary > 0
    takes_canary = wanted.gives_more_to_canary_than(known) if known else wanted.canary > 0
    waits_for_primary = takes_primary and not is_primary_ready(turn)
    waits_for_canary = takes_canary and not is_canary_ready(turn)
    if waits_for_primary or waits_for_canary:
        turn.hold(f"the routes wait for the {'primary' if waits_for_primary else 'canary'} to be ready")
        turn.retry = True
        return
    turn.do(SetTraffic(Traffic(wanted, affinity(turn)), urgent=urgent))
    _follow_gateway(turn)


def _follow_gateway(turn: Turn) -> None:
    """A gateway that has not taken over the routes for an interval is told of and asked to look again (routers:GW-15)."""
    live, since = turn.world.routes, turn.record.unready_since.routes
    if turn.phase not in RUN_PHASES:
        return
    if isinstance(live, Routes):
        note_unready(turn, "routes", None)
    elif since is None:
        if turn.record.step_started_at is None:  # the step's clock was stopped for it: it is more than a moment
            note_unready(turn, "routes", turn.now)
            turn.wake(turn.now + turn.plan.interval)
    elif turn.now - since < turn.plan.interval:
        turn.wake(since + turn.plan.interval)
    else:
        text = f"Routing of {turn.plan.canary_name} waits: {live.reason}"
        turn.tell(Severity.WARNING, text, f"gateway-late/{turn.record.step}/{since.isoformat()}")
        turn.do(NudgeRoutes())
