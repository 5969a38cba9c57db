"""Gateway API: which routes attach to which listeners, and what their rules mean. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flagger_py.local.envoy.gatewayapi_rules import Rules
from flagger_py.local.envoy.model import Route, VirtualHost, by_precedence
from flagger_py.local.envoy.translation import (
    CONTROLLER_NAME,
    GATEWAY,
    HTTP_ROUTE,
    Key,
    ObjectStatus,
    RoutingObjects,
    Translation,
    condition,
    generation_of,
    namespace_of,
    oldest_first,
)
from flagger_py.local.labels import selector_matches
from flagger_py.objects.resource import Manifest, Ref

GROUP = GATEWAY.group
SUPPORTED = ("HTTP",)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A route's tie to one parent: the host names on each port that it serves there, or why it serves none."""

    hosts: tuple[tuple[int, str], ...] = ()
    listeners: tuple[str, ...] = ()
    reason: str = "Accepted"
    message: str = "The route is served"


def translate(objects: RoutingObjects) -> Translation:
    """Every Gateway and HTTPRoute of the cluster, whatever its class: this gateway stands in for all of them."""
    gateways = {Key(namespace_of(gateway), gateway["metadata"]["name"]): gateway for gateway in objects.gateways}
    routes: dict[tuple[int, str], list[Route]] = {}
    attached: dict[tuple[Key, str], int] = {}
    statuses = []
    for manifest in oldest_first(objects.http_routes):
        rules = Rules.of(manifest, objects)
        parents = []
        for parent in _gateway_parents(manifest):
            key = _parent_key(manifest, parent)
            attachment = _attach(manifest, parent, gateways.get(key), objects)
            for host in attachment.hosts:
                routes.setdefault(host, []).extend(rules.routes)
            for name in attachment.listeners:
                attached[key, name] = attached.get((key, name), 0) + 1
            parents.append(_parent_status(manifest, parent, attachment, rules))
        statuses.append(_route_status(manifest, parents))
    statuses += [_gateway_status(gateway, attached) for gateway in objects.gateways]
    hosts = (VirtualHost(port, domain, tuple(sorted(found, key=by_precedence))) for (port, domain), found in routes.items())
    return Translation(tuple(sorted(_ports(objects.gateways))), tuple(hosts), tuple(statuses))


def _gateway_parents(route: Manifest) -> list[Mapping[str, Any]]:
    """The parents that are Gateways; a Service parent (GAMMA) belongs to a mesh."""
    parents = route["spec"].get("parentRefs") or []
    return [parent for parent in parents if parent.get("kind", "Gateway") == "Gateway" and parent.get("group", GROUP) == GROUP]


def _parent_key(route: Manifest, parent: Mapping[str, Any]) -> Key:
    return Key(parent.get("namespace") or namespace_of(route), parent["name"])


def _attach(route: Manifest, parent: Mapping[str, Any], gateway: Manifest | None, objects: RoutingObjects) -> Attachment:
    if gateway is None:
        return Attachment(reason="NoMatchingParent", message=f"Gateway {'/'.join(_parent_key(route, parent))} does not exist")
    named = [listener for listener in _served(gateway) if _selects(parent, listener)]
    if not named:
        return Attachment(reason="NoMatchingParent", message="No HTTP listener of the Gateway has this sectionName and port")
    allowed = [listener for listener in named if _allows(listener, gateway, route, objects)]
    if not allowed:
        return Attachment(reason="NotAllowedByListeners", message="No listener allows routes of this namespace and kind")
    hosts = tuple((listener["port"], host) for listener in allowed for host in _common_hosts(listener, route))
    if not hosts:
        return Attachment(reason="NoMatchingListenerHostname", message="No hostname of the route fits a listener's hostname")
    names = tuple(listener["name"] for listener in allowed if any(True for _ in _common_hosts(listener, route)))
    return Attachment(tuple(dict.fromkeys(hosts)), names)


def _served(gateway: Manifest) -> list[Mapping[str, Any]]:
    return [listener for listener in gateway["spec"].get("listeners") or [] if listener.get("protocol") in SUPPORTED]


def _selects(parent: Mapping[str, Any], listener: Mapping[str, Any]) -> bool:
    return parent.get("sectionName") in (None, "", listener["name"]) and parent.get("port") in (None, listener["port"])


def _allows(listener: Mapping[str, Any], gateway: Manifest, route: Manifest, objects: RoutingObjects) -> bool:
    allowed = listener.get("allowedRoutes") or {}
    kinds = allowed.get("kinds") or []
    if kinds and not any(kind.get("kind") == HTTP_ROUTE.kind for kind in kinds):
        return False
    namespaces = allowed.get("namespaces") or {}
    match namespaces.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            labels = objects.namespaces.get(namespace_of(route), {})
            return selector_matches(namespaces.get("selector") or {}, labels)
        case _:
            return namespace_of(route) == namespace_of(gateway)


def _common_hosts(listener: Mapping[str, Any], route: Manifest) -> Iterator[str]:
    """The host names that both allow, the narrower of each pair; `*` where neither names one."""
    own = listener.get("hostname") or "*"
    for host in route["spec"].get("hostnames") or ["*"]:
        if covers(own, host):
            yield host
        elif covers(host, own):
            yield own


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is one that `pattern` stands for."""
    if pattern in ("*", host):
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])


def _ports(gateways: Iterable[Manifest]) -> set[int]:
    return {listener["port"] for gateway in gateways for listener in _served(gateway)}


def _parent_status(route: Manifest, parent: Mapping[str, Any], attachment: Attachment, rules: Rules) -> dict[str, Any]:
    """`parentRef` is repeated as the route has it: routers look for an equal one (routers:GW-15)."""
    generation = generation_of(route)
    accepted = attachment.reason == "Accepted"
    if accepted and rules.invalid:
        accepted, attachment = False, Attachment(reason="UnsupportedValue", message=rules.invalid)
    return {
        "parentRef": dict(parent),
        "controllerName": CONTROLLER_NAME,
        "conditions": [
            condition("Accepted", accepted, attachment.reason, attachment.message, generation),
            condition("ResolvedRefs", rules.reason == "ResolvedRefs", rules.reason, rules.message, generation),
        ],
    }


def _route_status(route: Manifest, parents: list[dict[str, Any]]) -> ObjectStatus:
    """Entries of other controllers are kept."""
    foreign = [entry for entry in route.get("status", {}).get("parents") or [] if entry.get("controllerName") != CONTROLLER_NAME]
    return ObjectStatus(Ref.of(HTTP_ROUTE, route), {"parents": foreign + parents})


def _gateway_status(gateway: Manifest, attached: Mapping[tuple[Key, str], int]) -> ObjectStatus:
    generation = generation_of(gateway)
    key = Key(namespace_of(gateway), gateway["metadata"]["name"])
    listeners = [
        _listener_status(listener, attached.get((key, listener["name"]), 0), generation) for listener in gateway["spec"]["listeners"]
    ]
    return ObjectStatus(
        Ref.of(GATEWAY, gateway),
        {
            "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
            "conditions": [
                condition("Accepted", True, "Accepted", "The Gateway is served by the embedded Envoy", generation),
                condition("Programmed", True, "Programmed", "Envoy has taken the configuration", generation),
            ],
            "listeners": [_listener_status(entry, attached.get((key, entry["name"]), 0), generation) for entry in listeners],
        },
    )


def _listener_status(listener: Mapping[str, Any], attached: int, generation: int) -> dict[str, Any]:
    served = listener.get("protocol") in SUPPORTED
    reason = "Accepted" if served else "UnsupportedProtocol"
    message = "Served" if served else f"The embedded gateway serves HTTP only, not {listener.get('protocol')}"
    return {
        "name": listener["name"],
        "attachedRoutes": attached,
        "supportedKinds": [{"group": GROUP, "kind": HTTP_ROUTE.kind}] if served else [],
        "conditions": [
            condition("Accepted", served, reason, message, generation),
            condition("Programmed", served, "Programmed" if served else "Invalid", message, generation),
            condition("ResolvedRefs", True, "ResolvedRefs", "All references resolve", generation),
        ],
    }
