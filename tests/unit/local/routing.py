"""Route objects for the tests of the translators."""

from typing import Any

from flagger_py.local.envoy.model import Route, VirtualHost
from flagger_py.local.envoy.translation import Key, RoutingObjects, Translation
from flagger_py.objects.resource import Manifest

SERVICES = {Key("test", name): (80,) for name in ("web", "web-primary", "web-canary")}


def named(name: str, spec: dict[str, Any], namespace: str = "test", **metadata: Any) -> Manifest:
    return {"metadata": {"name": name, "namespace": namespace, "generation": 3, **metadata}, "spec": spec}


def gateway(**listener: Any) -> Manifest:
    return named("gw", {"listeners": [{"name": "http", "port": 80, "protocol": "HTTP", **listener}]})


def http_route(*rules: dict[str, Any], **spec: Any) -> Manifest:
    return named("web", {"parentRefs": [{"name": "gw"}], "hostnames": ["web.example.com"], "rules": list(rules), **spec})


def ref(name: str, weight: int, **more: Any) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight, **more}


def gateway_objects(*routes: Manifest, gateways: tuple[Manifest, ...] = (gateway(),), **more: Any) -> RoutingObjects:
    return RoutingObjects(services=SERVICES, gateways=gateways, http_routes=routes, **more)


def only_host(translation: Translation) -> VirtualHost:
    (host,) = translation.hosts
    return host


def only_route(translation: Translation) -> Route:
    (route,) = only_host(translation).routes
    return route


def shares(route: Route) -> dict[str, int]:
    """The weights by Service name."""
    return {entry.backend.service if entry.backend else "?": entry.weight for entry in route.backends}


def conditions(translation: Translation, index: int = 0, parent: int | None = None) -> dict[str, tuple[str, str]]:
    """Status and reason by type, of an object's status or of one of its parents."""
    status: Any = translation.statuses[index].status
    entries = status["conditions"] if parent is None else status["parents"][parent]["conditions"]
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in entries}
