"""Which groups of requests are told apart, and how each is split: the part that all routers share (routers:SA-04, IST-18, GW-20)."""

from dataclasses import dataclass, replace

from flagger_py.api.analysis import Analysis, SessionAffinity
from flagger_py.api.canary import Canary
from flagger_py.api.matches import UserMatch
from flagger_py.rollout.traffic import Traffic
from flagger_py.routers.backends import service_of
from flagger_py.routers.cookies import SET_COOKIE, canary_set_cookie, expired_cookie, is_cookie, primary_set_cookie
from flagger_py.routers.refusal import refusal


@dataclass(frozen=True, slots=True)
class Branch:
    """Some of the requests that the route takes, and where they go. Earlier branches win over later ones."""

    primary: int
    canary: int
    users: tuple[UserMatch, ...] = ()
    """Only the requests of these users; of everyone where there are none."""
    cookie: str = ""
    """Only the requests with this `name=value` cookie."""
    primary_set_cookie: str = ""
    """`Set-Cookie` of answers from the primary; `canary_set_cookie` of those from the canary."""
    canary_set_cookie: str = ""
    set_cookie: str = ""
    """`Set-Cookie` of every answer."""
    mirrored: bool = False
    is_rest: bool = False
    """What an A/B test leaves over: it goes to the primary, whatever the weights."""


def analysis_of(canary: Canary) -> Analysis:
    """`spec.analysis`, or one in which nothing is said."""
    return canary.spec.analysis or Analysis()


def branches(canary: Canary, traffic: Traffic, *, primary_cookie: bool) -> tuple[Branch, ...]:
    """The branches of this traffic, first to last; `primary_cookie` says whether the router keeps users on the primary too.

    Raises `RouterError` for A/B matches together with session affinity (routers:PRV-05), or a condition that everyone meets.
    """
    affinity = analysis_of(canary).session_affinity
    routes = traffic.routes
    split = Branch(routes.primary, routes.canary, mirrored=routes.mirrored)
    if analysis_of(canary).match:
        _check_users(canary)
        if routes.everyone:
            return (split,)
        return replace(split, users=analysis_of(canary).match), Branch(100, 0, is_rest=True)
    if affinity is None:
        return (split,)
    _check_response_headers(canary)
    if routes.canary:
        return _sticky(canary, traffic, affinity, split, primary_cookie=primary_cookie)
    if not is_cookie(traffic.affinity.previous):
        return (split,)
    previous = traffic.affinity.previous
    return replace(split, cookie=previous, set_cookie=expired_cookie(affinity, previous)), split


def _sticky(canary: Canary, traffic: Traffic, affinity: SessionAffinity, split: Branch, *, primary_cookie: bool) -> tuple[Branch, ...]:
    found: list[Branch] = []
    cookies = traffic.affinity
    if is_cookie(cookies.canary):
        found.append(Branch(0, 100, cookie=cookies.canary))
        split = replace(split, canary_set_cookie=canary_set_cookie(affinity, cookies.canary))
    if primary_cookie and affinity.primary_cookie_name and is_cookie(cookies.primary):
        found.append(Branch(100, 0, cookie=cookies.primary))
        split = replace(split, primary_set_cookie=primary_set_cookie(canary, affinity, cookies.primary))
    return *found, split


def _check_users(canary: Canary) -> None:
    analysis = analysis_of(canary)
    if analysis.session_affinity:
        raise refusal(
            canary, "analysis.sessionAffinity", analysis.session_affinity.cookie_name, "cannot be combined with analysis.match; remove one"
        )
    for index, users in enumerate(analysis.match):
        if not (users.headers or users.query_params or users.source_labels):
            allowed = "would send everyone to the canary; needs headers, queryParams or sourceLabels"
            raise refusal(canary, f"analysis.match[{index}]", users, allowed)


def _check_response_headers(canary: Canary) -> None:
    """A header can be added once per rule, and a deleted cookie needs that place (routers:GW-26, IST-23)."""
    headers = service_of(canary).headers
    response = headers.response if headers else None
    for operation, names in (("add", response.add), ("set", response.set)) if response else ():
        for name in names:
            if name.lower() == SET_COOKIE.lower():
                allowed = "Set-Cookie is taken by analysis.sessionAffinity; remove one"
                raise refusal(canary, f"service.headers.response.{operation}", name, allowed)
