"""The routes of an HTTPProxy: ours from the branches of the traffic, and those of others, which stay (routers:CON-12)."""

from collections.abc import Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.matches import HeaderMatch, UserMatch
from flagger_py.api.service import Retries
from flagger_py.rollout.traffic import Traffic
from flagger_py.routers.backends import Backends, service_of
from flagger_py.routers.branches import Branch, branches
from flagger_py.routers.refusal import refusal

Route = dict[str, Any]

IDLE_TIMEOUT = "5m"
_MANAGED = frozenset({"conditions", "services", "timeoutPolicy", "retryPolicy"})
_MANAGED_SERVICE = frozenset({"name", "port", "weight", "requestHeadersPolicy"})
_CAN_MATCH = "HTTPProxy takes uri.prefix of a single service.match entry only"


def is_ours(route: Mapping[str, Any], backends: Backends) -> bool:
    """Whether a route sends to nothing but our Services."""
    services = route.get("services") or []
    return bool(services) and all(service.get("name") in backends.names for service in services)


def render_routes(canary: Canary, traffic: Traffic, live: list[Route]) -> list[Route]:
    """All routes: ours in the place of our first, else last; their order has no meaning to Contour."""
    backends = Backends.of(canary)
    ours = [route for route in live if is_ours(route, backends)]
    at = live.index(ours[0]) if ours else len(live)
    return [*live[:at], *_own_routes(canary, traffic, ours), *(route for route in live[at:] if not is_ours(route, backends))]


def _own_routes(canary: Canary, traffic: Traffic, ours: list[Route]) -> list[Route]:
    if traffic.routes.mirrored:
        raise refusal(canary, "analysis.mirror", value=True, allowed="provider contour cannot mirror")
    return [
        {**_kept(ours), **_policies(canary), "conditions": conditions, "services": _services(canary, branch, ours)}
        for branch in _branches(canary, traffic)
        for conditions in _conditions(canary, branch)
    ]


def _branches(canary: Canary, traffic: Traffic) -> tuple[Branch, ...]:
    """Contour has no session affinity: a Canary that asks for it gets none, as in Flagger (routers:CON-14)."""
    return branches(canary, Traffic(traffic.routes), primary_cookie=False)


def _conditions(canary: Canary, branch: Branch) -> list[list[dict[str, Any]]]:
    """One list of conditions per route, all of which must hold; each user match is a route of its own (routers:CON-09)."""
    prefix = {"prefix": _prefix(canary)}
    if not branch.users:
        return [[prefix]]
    return [_of_users(canary, users, prefix, f"analysis.match[{index}]") for index, users in enumerate(branch.users)]


def _of_users(canary: Canary, users: UserMatch, prefix: dict[str, Any], path: str) -> list[dict[str, Any]]:
    for field, value in (("queryParams", users.query_params), ("sourceLabels", users.source_labels)):
        if value:
            raise refusal(canary, f"{path}.{field}", sorted(value), "provider contour can match users by headers only")
    headers = [{"header": _header(canary, name, match, path)} for name, match in sorted((users.headers or {}).items())]
    return [{**prefix, **headers[0]}, *headers[1:]]


def _header(canary: Canary, name: str, match: HeaderMatch, path: str) -> dict[str, str]:
    """HTTPProxy knows no prefix or suffix; `contains` is what Flagger writes for them (routers:CON-08)."""
    if match.exact is not None:
        return {"name": name, "exact": match.exact}
    part = match.prefix if match.prefix is not None else match.suffix
    if not part:
        raise refusal(canary, f"{path}.headers[{name}]", match, "provider contour can compare by exact, prefix or suffix")
    return {"name": name, "contains": part}


def _prefix(canary: Canary) -> str:
    """Of the only match (routers:CON-02); anything more would be lost, and the route wider than asked for."""
    matches = service_of(canary).match
    if len(matches) > 1:
        raise refusal(canary, "service.match", len(matches), f"entries; {_CAN_MATCH}")
    for match in matches:
        for field, value in match.to_manifest().items():
            if value and field not in ("name", "uri"):
                raise refusal(canary, f"service.match[0].{field}", value, _CAN_MATCH)
        if match.uri is not None:
            if match.uri.prefix is None:
                raise refusal(canary, "service.match[0].uri", match.uri, _CAN_MATCH)
            return match.uri.prefix
    return "/"


def _policies(canary: Canary) -> dict[str, Any]:
    service = service_of(canary)
    policies: dict[str, Any] = {}
    if service.timeout:
        policies["timeoutPolicy"] = {"response": service.timeout, "idle": IDLE_TIMEOUT}
    if service.retries:
        policies["retryPolicy"] = _retry_policy(service.retries)
    return policies


def _retry_policy(retries: Retries) -> dict[str, Any]:
    """The CRD refuses an empty or padded `retryOn` (routers:CON-04, CON-05); a count of 0 is Envoy's default, 1."""
    causes = [cause.strip() for cause in retries.retry_on.split(",") if cause.strip()]
    policy = {"perTryTimeout": retries.per_try_timeout, "retryOn": causes}
    return {"count": retries.attempts, **{key: value for key, value in policy.items() if value}}


def _services(canary: Canary, branch: Branch, ours: list[Route]) -> list[dict[str, Any]]:
    backends = Backends.of(canary)
    return [
        _service(backends, name, weight, _kept_of_service(ours, name))
        for name, weight in ((backends.primary, branch.primary), (backends.canary, branch.canary))
    ]


def _service(backends: Backends, name: str, weight: int, kept: dict[str, Any]) -> dict[str, Any]:
    """The header tells a Linkerd sidecar at the ingress which version was chosen (routers:CON-01)."""
    destination = f"{name}.{backends.namespace}.svc.cluster.local:{backends.port}"
    headers = {"set": [{"name": "l5d-dst-override", "value": destination}]}
    weighted = {"weight": weight} if weight else {}
    return {**kept, "name": name, "port": backends.port, "requestHeadersPolicy": headers, **weighted}


def _kept(ours: list[Route]) -> Route:
    """What users added to our routes (websockets, a rate limit), so that a rewritten route has it still."""
    kept: Route = {}
    for route in ours:
        kept |= {key: value for key, value in route.items() if key not in _MANAGED}
    return kept


def _kept_of_service(ours: list[Route], name: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for service in (service for route in ours for service in route["services"] if service.get("name") == name):
        kept |= {key: value for key, value in service.items() if key not in _MANAGED_SERVICE}
    return kept
