"""The http and tcp routes of a VirtualService: ours from the branches of the traffic, and those of others, which stay (UPS-11)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.service import CorsPolicy, Service
from flagger_py.rollout.traffic import Traffic
from flagger_py.routers.backends import Backends, service_of
from flagger_py.routers.branches import Branch, analysis_of, branches
from flagger_py.routers.cookies import SET_COOKIE
from flagger_py.routers.istio.matches import branch_matches, tcp_matches
from flagger_py.routers.meaning import without_empty
from flagger_py.routers.refusal import refusal

Rule = dict[str, Any]

_DAYS = re.compile(r"([0-9]+)d")
_MANAGED = frozenset({"match", "rewrite", "timeout", "retries", "corsPolicy", "headers", "route", "mirror", "mirrorPercentage"})


def is_tcp(service: Service) -> bool:
    """Whether connections are routed instead of requests (routers:IST-13)."""
    return service.app_protocol.lower() == "tcp"


def is_ours(rule: Mapping[str, Any], backends: Backends) -> bool:
    """Whether a rule sends to nothing but our Services, by short name or in full."""
    hosts = [destination.get("destination", {}).get("host", "") for destination in rule.get("route") or []]
    names = "|".join(map(re.escape, sorted(backends.names)))
    ours = re.compile(rf"({names})(\.{re.escape(backends.namespace)}(\.svc(\..+)?)?)?")
    return bool(hosts) and all(map(ours.fullmatch, hosts))


def render_protocols(canary: Canary, traffic: Traffic, live: Mapping[str, Any]) -> dict[str, list[Rule]]:
    """`http` and `tcp` as they should be; the protocol that is not used loses our rules and keeps the others."""
    backends = Backends.of(canary)
    writers: dict[str, Callable[[list[Rule]], list[Rule]]] = {
        "http": lambda ours: _http(canary, traffic, ours),
        "tcp": lambda _: _tcp(canary, traffic),
    }
    used = "tcp" if is_tcp(service_of(canary)) else "http"
    rendered = {}
    for protocol, write in writers.items():
        rules: list[Rule] = live.get(protocol) or []
        ours = [rule for rule in rules if is_ours(rule, backends)]
        placed = _place(write(ours) if protocol == used else [], rules, backends)
        if placed:
            rendered[protocol] = placed
    return rendered


def _place(written: list[Rule], live: list[Rule], backends: Backends) -> list[Rule]:
    """Where our first rule stands, else before a rule that takes everything, else last: Istio takes the first that matches."""
    ours = [index for index, rule in enumerate(live) if is_ours(rule, backends)]
    open_to_all = [index for index, rule in enumerate(live) if not rule.get("match")]
    at = (ours or open_to_all or [len(live)])[0]
    return [*live[:at], *written, *(rule for rule in live[at:] if not is_ours(rule, backends))]


def _tcp(canary: Canary, traffic: Traffic) -> list[Rule]:
    if analysis_of(canary).match:
        raise refusal(canary, "service.appProtocol", "tcp", "connections have no headers: remove analysis.match")
    if traffic.routes.mirrored:
        raise refusal(canary, "service.appProtocol", "tcp", "connections cannot be mirrored: remove analysis.mirror")
    rule: Rule = {"route": _destinations(canary, Branch(traffic.routes.primary, traffic.routes.canary))}
    if matches := tcp_matches(canary):
        rule["match"] = matches
    return [rule]


def _http(canary: Canary, traffic: Traffic, ours: list[Rule]) -> list[Rule]:
    rules = [{**_kept(ours), **_http_rule(canary, branch)} for branch in branches(canary, traffic, primary_cookie=True)]
    if name := next((rule["name"] for rule in ours if rule.get("name")), None):
        rules[0]["name"] = name
    return rules


def _http_rule(canary: Canary, branch: Branch) -> Rule:
    rule = {
        "match": branch_matches(canary, branch),
        **_service_fields(service_of(canary)),
        "headers": _headers(service_of(canary), branch.set_cookie),
        "route": _destinations(canary, branch),
        **(_mirror(canary) if branch.mirrored else {}),
    }
    return {key: value for key, value in rule.items() if value}


def _service_fields(service: Service) -> dict[str, Any]:
    """What holds for every rule (routers:IST-07, IST-08); `attempts: 0` turns retries off and is always said."""
    rewrite, retries = service.rewrite, service.retries
    fields: dict[str, Any] = {
        "rewrite": {"uri": rewrite.uri, "authority": rewrite.authority} if rewrite else {},
        "timeout": service.timeout,
        "retries": {"attempts": retries.attempts, "perTryTimeout": retries.per_try_timeout, "retryOn": retries.retry_on} if retries else {},
        "corsPolicy": _cors(service.cors_policy) if service.cors_policy else {},
    }
    return {key: without_empty(value) for key, value in fields.items()}


def _cors(policy: CorsPolicy) -> dict[str, Any]:
    """As it is said; Istio knows no days, which the Gateway API's router understands (seen on Istio 1.31's definitions)."""
    said = policy.to_manifest()
    days = _DAYS.fullmatch(policy.max_age)
    return {**said, "maxAge": f"{24 * int(days[1])}h"} if days else said


def _headers(service: Service, set_cookie: str) -> dict[str, Any]:
    """The operations of the service, and the deletion of a cookie in a copy of them (routers:IST-22, IST-23)."""
    headers = service.headers.to_manifest() if service.headers else {}
    if not set_cookie:
        return headers
    response = headers.get("response", {})
    return {**headers, "response": {**response, "add": {**response.get("add", {}), SET_COOKIE: set_cookie}}}


def _mirror(canary: Canary) -> dict[str, Any]:
    """Without a percentage Istio mirrors everything (routers:IST-17)."""
    mirror: dict[str, Any] = {"mirror": {"host": Backends.of(canary).canary}}
    if weight := analysis_of(canary).mirror_weight:
        mirror["mirrorPercentage"] = {"value": weight}
    return mirror


def _destinations(canary: Canary, branch: Branch) -> list[dict[str, Any]]:
    backends = Backends.of(canary)
    targets = [(backends.primary, branch.primary, branch.primary_set_cookie)]
    if not branch.is_rest:
        targets.append((backends.canary, branch.canary, branch.canary_set_cookie))
    destinations = []
    for host, weight, set_cookie in targets:
        found: dict[str, Any] = {"destination": {"host": host, **_port(service_of(canary))}, "weight": weight}
        if set_cookie:
            found["headers"] = {"response": {"add": {SET_COOKIE: set_cookie}}}
        destinations.append(found)
    return destinations


def _port(service: Service) -> dict[str, Any]:
    """Said only where the port cannot be guessed from the host (routers:IST-09)."""
    is_outside_mesh = bool(service.gateways) and service.gateways[0] != "mesh"
    return {"port": {"number": service.port}} if service.port_discovery and (is_outside_mesh or service.delegation) else {}


def _kept(ours: list[Rule]) -> Rule:
    """What users added to our rules (a fault, say), so that a rewritten rule has it still."""
    kept: Rule = {}
    for rule in ours:
        kept |= {key: value for key, value in rule.items() if key not in _MANAGED and key != "name"}
    return kept
