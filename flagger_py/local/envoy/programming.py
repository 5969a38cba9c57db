"""Brings Envoy to a route table without dropping a request: endpoints, then clusters, then routes, each taken before the next."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from flagger_py.local.envoy.discovery import CLUSTERS, LISTENERS, DiscoveryService, Topic, endpoints_of, routes_of
from flagger_py.local.envoy.model import Backend, RouteTable
from flagger_py.local.envoy.process import EnvoyProcess
from flagger_py.local.envoy.resources import Endpoint, cluster, listener, load_assignment
from flagger_py.local.envoy.routes import listener_name, route_configurations

RETIRE_AFTER: Final = 15.0
"""Seconds that a cluster outlives its last route: requests that are under way still use it."""


class ConfigRefused(Exception):
    """Envoy does not take what it was given; the message has its own words."""


@dataclass(slots=True)
class _Programmed:
    """What Envoy was last given."""

    ports: frozenset[int] = frozenset()
    clusters: dict[Backend, float] = field(default_factory=dict)
    """With the time of their last use by a route."""
    endpoints: dict[Backend, tuple[Endpoint, ...]] = field(default_factory=dict)


class Programmer:
    """Publishes what Envoy is to have. One `apply` at a time. A Gateway port keeps its local port for good, whichever Envoy serves it."""

    def __init__(self, process: EnvoyProcess, discovery: DiscoveryService, *, local_ports: Mapping[int, int] | None = None) -> None:
        self._process = process
        self._discovery = discovery
        self._local_ports = dict(local_ports or {})
        self._state = _Programmed()

    async def apply(self, table: RouteTable, endpoints: Mapping[Backend, Iterable[Endpoint]]) -> None:
        """Return once Envoy has taken everything. Raises `ConfigRefused`."""
        wanted = set(table.backends())
        known = sorted(wanted | set(self._state.clusters))
        now = {backend: tuple(endpoints.get(backend, ())) for backend in known}
        await self._give_endpoints({backend: now[backend] or self._state.endpoints.get(backend, ()) for backend in known})
        await self._give_clusters(wanted, keep_old=True)
        await self._give_routes(table)
        if now != self._state.endpoints:  # a backend may lose its last pod only after the routes that sent requests there
            await self._give_endpoints(now)
        await self._give_clusters(wanted, keep_old=False)

    async def local_port(self, port: int) -> int:
        """Where a Gateway port is served on this machine; 0 where it is not. Raises `EnvoyUnavailable`."""
        statuses = orjson.loads(await self._process.admin("/listeners?format=json"))
        for entry in statuses.get("listener_statuses", ()):
            if entry["name"] == listener_name(port):
                return int(entry["local_address"]["socket_address"]["port_value"])
        return 0

    def _local_port(self, port: int) -> int:
        if not self._local_ports.get(port):
            self._local_ports[port] = _free_port()
        return self._local_ports[port]

    async def _give_endpoints(self, endpoints: Mapping[Backend, tuple[Endpoint, ...]]) -> None:
        """A cluster that Envoy knows already must take them before a route may send more to it."""
        for backend, addresses in endpoints.items():
            await self._discovery.publish(endpoints_of(backend), [load_assignment(backend, addresses)])
        self._state.endpoints = dict(endpoints)
        await self._taken(endpoints_of(backend) for backend in endpoints if backend in self._state.clusters)

    async def _give_clusters(self, wanted: set[Backend], *, keep_old: bool) -> None:
        """A cluster that is new has its endpoints, too, before a route may send anything to it."""
        now = asyncio.get_running_loop().time()
        used = dict.fromkeys(wanted, now)
        outlived = {backend: at for backend, at in self._state.clusters.items() if keep_old or now - at < RETIRE_AFTER}
        clusters = outlived | used
        await self._discovery.publish(CLUSTERS, [cluster(backend) for backend in sorted(clusters)])
        await self._taken([CLUSTERS, *map(endpoints_of, clusters)])
        for gone in set(self._state.clusters) - set(clusters):
            self._discovery.withdraw(endpoints_of(gone))
        self._state.clusters = clusters

    async def _give_routes(self, table: RouteTable) -> None:
        """Routes first: a listener that is new waits for its own."""
        for port, configuration in route_configurations(table).items():
            await self._discovery.publish(routes_of(port), [configuration])
        await self._discovery.publish(LISTENERS, [listener(port, self._local_port(port)) for port in table.ports])
        await self._taken([LISTENERS, *map(routes_of, table.ports)])
        for gone in self._state.ports - set(table.ports):
            self._discovery.withdraw(routes_of(gone))
        self._state.ports = frozenset(table.ports)

    async def _taken(self, topics: Iterable[Topic]) -> None:
        """Wait until Envoy names these as its own. Raises `ConfigRefused`."""
        for topic in await self._discovery.untaken(topics):
            reasons = await self._process.refusals(topic.kind)
            raise ConfigRefused(f"Envoy has not taken its {topic}: {'; '.join(reasons) or 'it does not say why'}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port
