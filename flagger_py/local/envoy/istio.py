"""Istio: VirtualServices on Gateways, and for `mesh` under the names of the Service. Pure.

Not served: TCP routes, faults, and destinations with a `subset`, which do not resolve.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flagger_py.local.envoy.gatewayapi import covers
from flagger_py.local.envoy.istio_routes import routes_of
from flagger_py.local.envoy.model import HTTP_PORT, VirtualHost
from flagger_py.local.envoy.translation import Key, RoutingObjects, Translation, namespace_of, oldest_first
from flagger_py.objects.resource import Manifest

MESH = "mesh"
HTTP_PROTOCOLS = ("HTTP", "HTTP2", "GRPC")


def translate(objects: RoutingObjects) -> Translation:
    """Every VirtualService of the cluster. Istio writes no status by default, so none is given."""
    gateways = {Key(namespace_of(gateway), gateway["metadata"]["name"]): gateway for gateway in objects.istio_gateways}
    services = oldest_first(objects.virtual_services)
    children = {Key(namespace_of(service), service["metadata"]["name"]): service for service in services}
    found, problems = _Hosts(gateways, objects), []
    for service in services:
        try:
            found.add(_delegated(service, children))
        except ValueError as problem:
            problems.append(f"VirtualService {namespace_of(service)}/{service['metadata']['name']}: {problem}")
    ports = {server["port"]["number"] for gateway in objects.istio_gateways for server in _servers(gateway)}
    return Translation(tuple(sorted(ports | {host.port for host in found.hosts})), tuple(found.hosts), problems=tuple(problems))


@dataclass(slots=True)
class _Hosts:
    gateways: Mapping[Key, Manifest]
    objects: RoutingObjects
    hosts: list[VirtualHost] = field(default_factory=list)

    def add(self, service: Manifest) -> None:
        """Raises `ValueError` where a field cannot be understood; nothing of the VirtualService is served then."""
        self.hosts += list(self._virtual_hosts(service))

    def _virtual_hosts(self, service: Manifest) -> Iterator[VirtualHost]:
        for name in service["spec"].get("gateways") or [MESH]:
            routes = routes_of(service, name, self.objects)
            for port, domain in self._domains(service, name):
                yield VirtualHost(port, domain, routes)

    def _domains(self, service: Manifest, gateway: str) -> list[tuple[int, str]]:
        if gateway == MESH:
            return [(HTTP_PORT, domain) for host in service["spec"].get("hosts") or () for domain in _mesh_domains(host, service)]
        return _gateway_domains(service, self.gateways.get(_gateway_key(service, gateway)))


def _gateway_key(service: Manifest, name: str) -> Key:
    namespace, _, short = name.rpartition("/")
    return Key(namespace or namespace_of(service), short)


def _servers(gateway: Manifest) -> list[Mapping[str, Any]]:
    return [server for server in gateway["spec"].get("servers") or [] if server["port"].get("protocol", "HTTP").upper() in HTTP_PROTOCOLS]


def _gateway_domains(service: Manifest, gateway: Manifest | None) -> list[tuple[int, str]]:
    """The narrower of each pair of hosts that fit; none where the Gateway does not exist."""
    found: dict[tuple[int, str], None] = {}
    for server in _servers(gateway) if gateway else ():
        for pattern in server.get("hosts") or ():
            for host in service["spec"].get("hosts") or ():
                if (domain := _common(_allowed(pattern, service, gateway), host)) is not None:
                    found[server["port"]["number"], domain] = None
    return list(found)


def _allowed(pattern: str, service: Manifest, gateway: Manifest | None) -> str | None:
    """The host of a server entry (`namespace/host`), or `None` where its namespace does not admit the VirtualService."""
    namespace, _, host = pattern.rpartition("/")
    own = namespace_of(gateway) if gateway else ""
    wanted = own if namespace == "." else namespace
    return host if wanted in ("", "*", namespace_of(service)) else None


def _common(pattern: str | None, host: str) -> str | None:
    if pattern is None:
        return None
    if covers(pattern, host):
        return host
    return pattern if covers(host, pattern) else None


def _mesh_domains(host: str, service: Manifest) -> list[str]:
    """A short name stands for a Service of the VirtualService's namespace, under each of its DNS names."""
    if "." in host or "*" in host:
        return [host]
    qualified = f"{host}.{namespace_of(service)}"
    return [host, qualified, f"{qualified}.svc", f"{qualified}.svc.cluster.local"]


def _delegated(service: Manifest, children: Mapping[Key, Manifest]) -> Manifest:
    """The VirtualService with its delegates' routes in place of each `delegate`; their options win over the root's."""
    http: list[dict[str, Any]] = []
    for rule in service["spec"].get("http") or []:
        delegate = rule.get("delegate")
        if not delegate:
            http.append(rule)
            continue
        child = children.get(Key(delegate.get("namespace") or namespace_of(service), delegate["name"]))
        http += [_merged(rule, below, child) for below in child["spec"].get("http") or []] if child else []
    return {**service, "spec": {**service["spec"], "http": http}}


def _merged(root: Mapping[str, Any], below: Mapping[str, Any], child: Manifest) -> dict[str, Any]:
    """One rule: both matches must hold. Destinations stay those of the child's namespace."""
    matches = [{**above, **under} for above in root.get("match") or [{}] for under in below.get("match") or [{}]]
    options = {key: value for key, value in root.items() if key not in ("delegate", "match")}
    return {**options, **below, "match": matches, "namespace": namespace_of(child)}
