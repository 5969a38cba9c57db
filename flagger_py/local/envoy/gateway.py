"""The gateway controller: follows route objects, Services and endpoints, programs Envoy, and reports on the objects."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from flagger_py.kube.cluster import Cluster
from flagger_py.local.conditions import with_transition_times
from flagger_py.local.envoy.discovery import DiscoveryService
from flagger_py.local.envoy.endpoints import read_endpoints
from flagger_py.local.envoy.model import HTTP_PORT, RouteTable
from flagger_py.local.envoy.process import EnvoyProcess, EnvoyUnavailable
from flagger_py.local.envoy.programming import ConfigRefused, Programmer
from flagger_py.local.envoy.resources import bootstrap
from flagger_py.local.envoy.translation import (
    GATEWAY,
    HTTP_PROXY,
    HTTP_ROUTE,
    ISTIO_GATEWAY,
    REFERENCE_GRANT,
    VIRTUAL_SERVICE,
    Key,
    ObjectStatus,
    RoutingObjects,
    namespace_of,
)
from flagger_py.local.envoy.translator import route_table, translate
from flagger_py.local.resources import ENDPOINT_SLICE, NAMESPACE
from flagger_py.objects.errors import ApiError, Forbidden, NotServed
from flagger_py.objects.patch import merge_patch
from flagger_py.objects.resource import SERVICE, Manifest, Ref, Resource

log = structlog.get_logger()

ROUTE_KINDS: Final = (GATEWAY, HTTP_ROUTE, REFERENCE_GRANT, HTTP_PROXY, ISTIO_GATEWAY, VIRTUAL_SERVICE)
"""Kinds of CRDs: one that is not installed is not served, until it is."""
CORE_KINDS: Final = (SERVICE, ENDPOINT_SLICE, NAMESPACE)
MERGE: Final = 0.005
"""Seconds in which changes that belong together (both ends of a weight, two slices) are taken in one go."""
RETRY: Final = 1.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where Envoy keeps its files, and which local port serves which Gateway port (0 or none: any free one)."""

    folder: Path
    local_ports: Mapping[int, int]
    flush_interval: float = 0.5


class EnvoyGateway:
    """Envoy with its controller. `run` does all; `address` says where it is reached."""

    def __init__(self, cluster: Cluster, settings: GatewaySettings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._discovery = DiscoveryService()
        self.process = EnvoyProcess(settings.folder, self._bootstrap)
        self.process.on_start(self._wake)
        self._cluster = cluster
        self._objects = cluster.objects()
        self._programmer = Programmer(self.process, self._discovery, local_ports=settings.local_ports)
        self._flush_interval = settings.flush_interval
        self._clock = clock
        self._dirty = asyncio.Event()
        self._problems: tuple[str, ...] = ()
        self._failure = ""
        self._served: frozenset[tuple[int, str]] = frozenset()
        self._programmed = asyncio.Condition()

    async def run(self) -> None:
        """For ever; cancelling it stops Envoy."""
        self._cluster.subscribe(self._on_change)
        async with self._discovery.serving(), asyncio.TaskGroup() as group:
            group.create_task(self.process.run(), name="envoy process")
            group.create_task(self._program_for_ever(), name="envoy programming")

    async def served(self, host: str, port: int = HTTP_PORT) -> None:
        """Wait until Envoy has routes for a host: requests before that are answered 404. Bounded by the caller."""
        async with self._programmed:
            await self._programmed.wait_for(lambda: (port, host) in self._served)

    async def address(self, port: int = HTTP_PORT) -> str:
        """`host:port` on this machine of a Gateway port; waits until it is served. Bounded by the caller."""
        while not (local := await self._programmer.local_port(port)):  # noqa: ASYNC110 (Envoy sets no event of ours)
            await asyncio.sleep(0.05)
        return f"127.0.0.1:{local}"

    def _bootstrap(self) -> dict[str, Any]:
        """Of the next Envoy; asked for while the discovery service serves."""
        return bootstrap(self._discovery.new_node(), self._discovery.port, flush_interval=self._flush_interval)

    def _on_change(self, ref: Ref) -> None:
        if ref.resource in ROUTE_KINDS or ref.resource in CORE_KINDS:
            self._wake()

    def _wake(self) -> None:
        self._dirty.set()

    async def _program_for_ever(self) -> None:
        await self._watch_all()
        await self.process.ready()
        while True:
            await self._dirty.wait()
            await asyncio.sleep(MERGE)
            self._dirty.clear()
            try:
                await self._program()
                self._failure = ""
            except (ConfigRefused, EnvoyUnavailable, ApiError) as error:
                self._report_failure(str(error))
                self._dirty.set()
                await asyncio.sleep(RETRY)

    def _report_failure(self, failure: str) -> None:
        """Once, and not each time that it is tried again."""
        if failure != self._failure:
            log.warning("envoy_not_programmed", error=failure)
        self._failure = failure

    async def _watch_all(self) -> None:
        for resource in CORE_KINDS:
            await self._cluster.ensure_watched(resource)
        for resource in ROUTE_KINDS:
            with suppress(NotServed, Forbidden):
                await self._cluster.ensure_watched(resource)
        self._wake()

    async def _program(self) -> None:
        """Envoy first; what the statuses say is true only then."""
        objects = self._routing_objects()
        translation = translate(objects)
        self._report_problems(translation.problems)
        table = route_table(translation)
        services = {_key(service): service for service in self._cluster.items(SERVICE)}
        await self._programmer.apply(table, await read_endpoints(self._objects, services, table.backends()))
        await self._announce(table)
        for status in translation.statuses:
            await self._write_status(status)

    async def _announce(self, table: RouteTable) -> None:
        async with self._programmed:
            self._served = frozenset((host.port, host.domain) for host in table.hosts if host.routes)
            self._programmed.notify_all()

    def _report_problems(self, problems: tuple[str, ...]) -> None:
        for problem in set(problems) - set(self._problems):
            log.warning("route_not_served", problem=problem)
        self._problems = problems

    def _routing_objects(self) -> RoutingObjects:
        return RoutingObjects(
            services={_key(service): _ports(service) for service in self._cluster.items(SERVICE)},
            namespaces={entry["metadata"]["name"]: entry["metadata"].get("labels") or {} for entry in self._cluster.items(NAMESPACE)},
            gateways=self._live(GATEWAY),
            http_routes=self._live(HTTP_ROUTE),
            reference_grants=self._live(REFERENCE_GRANT),
            http_proxies=self._live(HTTP_PROXY),
            istio_gateways=self._live(ISTIO_GATEWAY),
            virtual_services=self._live(VIRTUAL_SERVICE),
        )

    def _live(self, resource: Resource) -> tuple[Manifest, ...]:
        return tuple(self._cluster.items(resource))

    async def _write_status(self, wanted: ObjectStatus) -> None:
        """Only what differs is written. The object may have gone meanwhile."""
        found = await self._objects.read(wanted.ref)
        if found is None:
            return
        before = found.get("status") or {}
        after = {**before, **with_times(wanted.status, before, self._clock())}
        patch = merge_patch({"status": before}, {"status": after})
        if not patch.is_empty:
            await self._objects.patch(wanted.ref, patch, subresource="status")


def _key(manifest: Manifest) -> Key:
    return Key(namespace_of(manifest), manifest["metadata"]["name"])


def _ports(service: Manifest) -> tuple[int, ...]:
    return tuple(int(port["port"]) for port in service["spec"].get("ports") or ())


def with_times(status: Mapping[str, Any], before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The status with `lastTransitionTime` in its conditions, and in those of its parents and listeners."""
    timed = dict(status)
    if "conditions" in status:
        timed["conditions"] = with_transition_times(status["conditions"], before.get("conditions"), now)
    for field in ("parents", "listeners"):
        if field in status:
            timed[field] = [with_times(entry, _same(entry, before.get(field) or []), now) for entry in status[field]]
    return timed


def _same(entry: Mapping[str, Any], before: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The entry of the same parent or listener in the status before."""
    keys = ("parentRef", "controllerName", "name")
    return next((other for other in before if all(other.get(key) == entry.get(key) for key in keys)), {})
