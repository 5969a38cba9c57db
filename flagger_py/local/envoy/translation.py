"""What a translation starts from and what it gives: routing objects in, a route table and statuses out. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from flagger_py.local.envoy.model import Backend, HeaderChanges, VirtualHost
from flagger_py.objects.resource import Manifest, Ref, Resource

CONTROLLER_NAME: Final = "flagger.app/local-envoy"
"""`controllerName` in the statuses that this gateway writes."""

GATEWAY: Final = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
HTTP_ROUTE: Final = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
REFERENCE_GRANT: Final = Resource("gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant")
HTTP_PROXY: Final = Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy")
ISTIO_GATEWAY: Final = Resource("networking.istio.io", "v1beta1", "gateways", "Gateway")
VIRTUAL_SERVICE: Final = Resource("networking.istio.io", "v1beta1", "virtualservices", "VirtualService")


class Key(NamedTuple):
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class RoutingObjects:
    """All objects that routing depends on. `services` maps to the port numbers of each, `namespaces` to their labels."""

    services: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    gateways: tuple[Manifest, ...] = ()
    http_routes: tuple[Manifest, ...] = ()
    reference_grants: tuple[Manifest, ...] = ()
    http_proxies: tuple[Manifest, ...] = ()
    istio_gateways: tuple[Manifest, ...] = ()
    virtual_services: tuple[Manifest, ...] = ()

    def backend(self, namespace: str, service: str, port: int) -> Backend | None:
        """The backend, or `None` where the Service or its port does not exist."""
        return Backend(namespace, service, port) if port in self.services.get(Key(namespace, service), ()) else None


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """The status that an object is to have once Envoy serves the route table. Conditions lack `lastTransitionTime`."""

    ref: Ref
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Translation:
    """`ports` are listened on even where no host is attached; `problems` are of objects that have no status to carry them."""

    ports: tuple[int, ...] = ()
    hosts: tuple[VirtualHost, ...] = ()
    statuses: tuple[ObjectStatus, ...] = ()
    problems: tuple[str, ...] = ()


def oldest_first(manifests: tuple[Manifest, ...]) -> list[Manifest]:
    """Gateway API's and Contour's order of conflicting objects: the oldest, then by namespace and name."""
    return sorted(manifests, key=_age)


def _age(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return metadata.get("creationTimestamp", ""), metadata.get("namespace", ""), metadata["name"]


def condition(kind: str, status: bool, reason: str, message: str, generation: int) -> dict[str, Any]:
    """A condition without its time, which depends on the one before it."""
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
    }


def generation_of(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("generation", 1))


def namespace_of(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def named_values(entries: list[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((entry["name"], entry.get("value", "")) for entry in entries or ())


def header_policy(policy: Mapping[str, Any] | None) -> HeaderChanges:
    """`{set, add, remove}` with name and value entries, as Gateway API and Contour have it."""
    policy = policy or {}
    return HeaderChanges(named_values(policy.get("set")), named_values(policy.get("add")), tuple(policy.get("remove") or ()))


def take_host(changes: HeaderChanges) -> tuple[HeaderChanges, str]:
    """Envoy rewrites `Host` by an option of its own: the changes without it, and the new host or an empty string."""
    hosts = [value for name, value in changes.set if name.lower() == "host"]
    others = tuple(pair for pair in changes.set if pair[0].lower() != "host")
    return HeaderChanges(others, changes.add, changes.remove), hosts[-1] if hosts else ""


_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)")


def duration_seconds(text: str) -> float:
    """A Go duration in seconds. Raises `ValueError` where it is none."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        msg = f"{text!r} is not a duration such as 15s, 500ms or 1m30s"
        raise ValueError(msg)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
