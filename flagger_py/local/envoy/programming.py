"""Brings Envoy to a route table without dropping a request: endpoints, then clusters, then routes, each taken before the next.

Watched files were chosen over gRPC xDS: they need no protobuf, a change is live within some milliseconds (Envoy sees the move at once),
and Envoy tells by `version_text` which version of each it has taken. Order is what keeps requests whole, and order is ours either way.
"""

import asyncio
import hashlib
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from flagger_py.local.envoy.model import Backend, RouteTable
from flagger_py.local.envoy.process import EnvoyProcess
from flagger_py.local.envoy.resources import STAT_PREFIX, Endpoint, cluster, discovery_response, listener, load_assignment
from flagger_py.local.envoy.routes import listener_name, route_configurations

TAKEN_LIMIT: Final = 10.0
POLL: Final = 0.01
RETIRE_AFTER: Final = 15.0
"""Seconds that a cluster outlives its last route: requests that are under way still use it."""

Json = dict[str, Any]


class ConfigRefused(Exception):
    """Envoy does not take what it was given; the message has its own words."""


@dataclass(slots=True)
class _Programmed:
    """What Envoy was last given."""

    versions: dict[str, str] = field(default_factory=dict)
    """By file name."""
    clusters: dict[Backend, float] = field(default_factory=dict)
    """With the time of their last use by a route."""
    endpoints: dict[Backend, tuple[Endpoint, ...]] = field(default_factory=dict)


class Programmer:
    """Writes Envoy's files. One `apply` at a time. A Gateway port keeps its local port for good, also where Envoy is started anew."""

    def __init__(self, process: EnvoyProcess, *, local_ports: Mapping[int, int] | None = None) -> None:
        self._process = process
        self._folder = process.folder
        self._local_ports = dict(local_ports or {})
        self._state = _Programmed()

    async def apply(self, table: RouteTable, endpoints: Mapping[Backend, Iterable[Endpoint]]) -> None:
        """Return once Envoy has taken everything. Raises `ConfigRefused` and `EnvoyUnavailable`."""
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
        expected = {}
        for backend, addresses in endpoints.items():
            version = await self._write(_endpoints_file(backend), [load_assignment(backend, addresses)])
            if backend in self._state.clusters:
                expected[f"cluster.{backend.stat_name}.version_text"] = version
        await self._taken(expected)
        self._state.endpoints = dict(endpoints)

    async def _give_clusters(self, wanted: set[Backend], *, keep_old: bool) -> None:
        now = asyncio.get_running_loop().time()
        used = dict.fromkeys(wanted, now)
        outlived = {backend: at for backend, at in self._state.clusters.items() if keep_old or now - at < RETIRE_AFTER}
        clusters = outlived | used
        resources = [cluster(backend, self._folder / _endpoints_file(backend)) for backend in sorted(clusters)]
        version = await self._write("clusters.json", resources)
        await self._taken({"cluster_manager.cds.version_text": version})
        for gone in set(self._state.clusters) - set(clusters):
            await asyncio.to_thread((self._folder / _endpoints_file(gone)).unlink, missing_ok=True)
            self._state.versions.pop(_endpoints_file(gone), None)
        self._state.clusters = clusters

    async def _give_routes(self, table: RouteTable) -> None:
        """Routes first: a listener that is new waits for its own."""
        expected = {}
        for port, configuration in route_configurations(table).items():
            version = await self._write(_routes_file(port), [configuration])
            expected[f"http.{STAT_PREFIX}.rds.{listener_name(port)}.version_text"] = version
        listeners = [listener(port, self._local_port(port), self._folder / _routes_file(port)) for port in table.ports]
        expected["listener_manager.lds.version_text"] = await self._write("listeners.json", listeners)
        await self._taken(expected)

    async def _write(self, name: str, resources: list[Json]) -> str:
        """Move the file into place, where its content has changed; the version is a hash of the content."""
        version = hashlib.sha256(orjson.dumps(resources)).hexdigest()[:16]
        if self._state.versions.get(name) != version:
            await asyncio.to_thread(_replace, self._folder / name, orjson.dumps(discovery_response(version, resources)))
            self._state.versions[name] = version
        return version

    async def _taken(self, expected: Mapping[str, str]) -> None:
        """Wait until Envoy names these versions as its own and nothing is warming."""
        if not expected:
            return
        try:
            async with asyncio.timeout(TAKEN_LIMIT):
                while not await self._has_taken(expected):  # noqa: ASYNC110 (Envoy sets no event of ours)
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise ConfigRefused(await self._refusal(expected)) from error

    async def _has_taken(self, expected: Mapping[str, str]) -> bool:
        pattern = "|".join([*(f"^{re.escape(name)}$" for name in expected), "warming_clusters$", "total_listeners_warming$"])
        text = await self._process.admin(f"/stats?filter={quote(pattern)}")
        found = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        warming = int(found.get("cluster_manager.warming_clusters", 0)) + int(found.get("listener_manager.total_listeners_warming", 0))
        return not warming and all(found.get(name, "").strip('"') == version for name, version in expected.items())

    async def _refusal(self, expected: Mapping[str, str]) -> str:
        """Envoy's own words, from its configuration dump."""
        dump = orjson.loads(await self._process.admin("/config_dump"))
        details = sorted(set(_error_details(dump)))
        return "Envoy has not taken its configuration: " + ("; ".join(details) or ", ".join(expected))


def _error_details(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if isinstance(state := node.get("error_state"), dict) and state.get("details"):
            yield str(state["details"])
        for value in node.values():
            yield from _error_details(value)
    elif isinstance(node, list):
        for value in node:
            yield from _error_details(value)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def _endpoints_file(backend: Backend) -> str:
    return f"endpoints-{backend.stat_name}.json"


def _routes_file(port: int) -> str:
    return f"routes-{port}.json"


def _replace(path: Path, content: bytes) -> None:
    """Envoy watches for the move; a file that is written in place would be read half."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    os.replace(draft, path)  # noqa: PTH105
