"""What kube-proxy does, for this machine: each port of a ClusterIP is served by relaying its connections to a ready endpoint."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from flagger_py.kube.cluster import Cluster
from flagger_py.local.resources import ENDPOINT_SLICE
from flagger_py.objects.resource import SERVICE, Ref

CHUNK: Final = 65536
CONNECT_LIMIT: Final = 2.0
ATTEMPTS: Final = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Frontend:
    """One port of a Service."""

    namespace: str
    service: str
    port_name: str
    ip: str
    port: int


class Forwarder:
    """Follows Services and EndpointSlices. A port whose Service has no ready endpoint refuses connections by closing them."""

    def __init__(self, cluster: Cluster, *, except_for: str) -> None:
        self._cluster = cluster
        self._except_for = except_for
        self._servers: dict[Frontend, asyncio.Server] = {}
        self._changed = asyncio.Event()
        self._turn = itertools.count()

    async def run(self) -> None:
        """For ever."""
        self._cluster.subscribe(self._on_change)
        await self._cluster.ensure_watched(SERVICE)
        await self._cluster.ensure_watched(ENDPOINT_SLICE)
        try:
            while True:
                self._changed.clear()
                await self._serve(set(self._frontends()))
                await self._changed.wait()
        finally:
            for server in self._servers.values():
                server.close()

    def _on_change(self, ref: Ref) -> None:
        if ref.resource == SERVICE:
            self._changed.set()

    def _frontends(self) -> Iterator[Frontend]:
        for service in self._cluster.items(SERVICE):
            ip = service["spec"].get("clusterIP", "None")
            if ip in ("None", "", self._except_for):
                continue
            for port in service["spec"].get("ports") or ():
                yield Frontend(service["metadata"]["namespace"], service["metadata"]["name"], port.get("name", ""), ip, port["port"])

    async def _serve(self, wanted: set[Frontend]) -> None:
        for gone in self._servers.keys() - wanted:
            self._servers.pop(gone).close()
        for new in wanted - self._servers.keys():
            try:
                self._servers[new] = await asyncio.start_server(self._relay_for(new), new.ip, new.port)
            except OSError as error:
                log.warning("service_port_not_served", frontend=str(new), error=str(error))

    def _relay_for(self, frontend: Frontend) -> Any:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                upstream = await self._connect(frontend)
                if upstream is not None:
                    await _copy_both_ways((reader, writer), upstream)
            except asyncio.CancelledError:
                return  # the end of the run; the stream's own callback would log it as an error
            finally:
                writer.close()

        return relay

    async def _connect(self, frontend: Frontend) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(ATTEMPTS):
            addresses = sorted(set(self._endpoints(frontend)))
            if not addresses:
                return None
            ip, port = addresses[next(self._turn) % len(addresses)]
            try:
                async with asyncio.timeout(CONNECT_LIMIT):
                    return await asyncio.open_connection(ip, port)
            except (OSError, TimeoutError):
                continue
        return None

    def _endpoints(self, frontend: Frontend) -> Iterator[tuple[str, int]]:
        for slice_ in self._cluster.items(ENDPOINT_SLICE, frontend.namespace):
            if (slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != frontend.service:
                continue
            numbers = [port["port"] for port in slice_.get("ports") or () if (port.get("name") or "") == frontend.port_name]
            for endpoint in slice_.get("endpoints") or ():
                if _is_ready(endpoint):
                    yield from ((address, number) for address in endpoint["addresses"] for number in numbers)


def _is_ready(endpoint: Mapping[str, Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _copy_both_ways(client: Ends, upstream: Ends) -> None:
    """Until either side is done; both are closed then."""
    try:
        async with asyncio.TaskGroup() as group:
            directions = [
                group.create_task(_copy(client[0], upstream[1]), name="to upstream"),
                group.create_task(_copy(upstream[0], client[1]), name="to client"),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in directions:
                direction.cancel()
    finally:
        upstream[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
