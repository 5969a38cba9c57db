"""The embedded cluster as one value: enter it, and Kubernetes, pods, Envoy and Prometheus run on loopback until it is left."""

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from flagger_py.api.crds import DEFINITIONS
from flagger_py.http.httpx_client import HttpxClient
from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.local.apiserver import ApiServer
from flagger_py.local.apiserver.http import serve
from flagger_py.local.certificates import server_context
from flagger_py.local.envoy.gateway import EnvoyGateway, GatewaySettings
from flagger_py.local.envoy.model import HTTP_PORT
from flagger_py.local.envoy.stats import EnvoyFlags, read_flags
from flagger_py.local.monitoring import Monitoring
from flagger_py.local.node.agent import NodeAgent
from flagger_py.local.node.api import EmbeddedNodeApi
from flagger_py.local.node.node import NodeHeartbeat
from flagger_py.local.node.runtime import DemoRuntime
from flagger_py.local.promql import PrometheusServer, SampleStore, Scraper
from flagger_py.local.workloads.controllers import WorkloadControllers
from flagger_py.objects.errors import AlreadyExists
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import Manifest, Ref, Resource

NODE_NAME: Final = "flagger-local"
ADDRESS_LIMIT: Final = 20.0


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What a caller may choose. A port of 0 takes any free one."""

    folder: Path
    """Kubeconfigs, Envoy's configuration and its log; it must exist."""
    port: int = 0
    """Where Gateway port 80 is served."""
    api_port: int = 0
    prometheus_port: int = 0
    scrape_interval: float = 0.5
    """Seconds; Envoy's statistics move as often."""
    manifests: tuple[Manifest, ...] = field(default=())
    """Created before anything runs, in order."""


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A running embedded cluster."""

    settings: LocalSettings
    api: ApiServer
    api_url: str
    client: Client
    """Of an administrator, in memory."""
    gateway: EnvoyGateway
    prometheus_url: str
    certificate: bytes

    @property
    def kubeconfig(self) -> Path:
        """Of an administrator."""
        return self.settings.folder / "kubeconfig"

    async def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a token of this service account, which must exist."""
        token = self.api.service_account_token(namespace, name, seconds=24 * 3600)
        path = self.settings.folder / f"kubeconfig-{namespace}-{name}"
        await asyncio.to_thread(_write_kubeconfig, path, self.api.kubeconfig(self.api_url, token), self.certificate)
        return path

    async def address(self, port: int = HTTP_PORT) -> str:
        """`host:port` where a Gateway port is served. Raises `TimeoutError` where no Gateway asks for it."""
        async with asyncio.timeout(ADDRESS_LIMIT):
            return await self.gateway.address(port)

    async def served(self, host: str, port: int = HTTP_PORT) -> None:
        """Wait until Envoy has routes for a host: requests before that are answered 404. Raises `TimeoutError`."""
        async with asyncio.timeout(ADDRESS_LIMIT):
            await self.gateway.served(host, port)

    async def flags(self) -> EnvoyFlags:
        """Envoy's counts of all requests by response flags. Raises `EnvoyUnavailable`."""
        return await read_flags(self.gateway.process)

    async def apply(self, objects: Iterable[tuple[Resource, Manifest]]) -> None:
        """Create each object, or merge it into the one that exists. Raises `ApiError`."""
        for resource, manifest in objects:
            try:
                await self.client.create(resource, manifest)
            except AlreadyExists:
                await self.client.patch(Ref.of(resource, manifest), MergePatch(manifest))


@asynccontextmanager
async def local_cluster(settings: LocalSettings) -> AsyncIterator[LocalCluster]:
    """Start everything; leaving the context stops all of it.

    Raises `OSError` where a port is taken, and a group with `EnvoyUnavailable` where Envoy does not start.
    """
    api = await asyncio.to_thread(_api_server, settings.manifests)
    context, certificate = await asyncio.to_thread(server_context, settings.folder)
    client = Client(api.transport(), field_manager="flagger-local")
    store = SampleStore()
    async with (
        api.running(),
        serve(api, port=settings.api_port, tls=context) as serving,
        HttpxClient() as http,
        Cluster(client) as cluster,
        asyncio.TaskGroup() as group,
    ):
        gateway = EnvoyGateway(cluster, GatewaySettings(settings.folder / "envoy", {HTTP_PORT: settings.port}, settings.scrape_interval))
        scraper = Scraper(group, http, store)
        async with PrometheusServer(store, scraper, port=settings.prometheus_port) as prometheus:
            parts = _parts(cluster, api, gateway, Monitoring(cluster, gateway.process, scraper, interval=settings.scrape_interval))
            tasks = [group.create_task(part, name=name) for name, part in parts.items()]
            try:
                await gateway.process.ready()
                found = LocalCluster(settings, api, serving.url, client, gateway, prometheus.url, certificate)
                await asyncio.to_thread(_write_kubeconfig, found.kubeconfig, api.kubeconfig(serving.url), certificate)
                yield found
            finally:
                scraper.stop()
                for task in tasks:
                    task.cancel()


def _parts(cluster: Cluster, api: ApiServer, gateway: EnvoyGateway, monitoring: Monitoring) -> dict[str, Coroutine[Any, Any, None]]:
    """What runs beside each other, by name."""
    return {
        "gateway": gateway.run(),
        "workloads": WorkloadControllers(cluster).run(),
        "node": NodeHeartbeat(cluster.objects(), NODE_NAME).run(),
        "pods": NodeAgent(cluster, EmbeddedNodeApi(api.transport()), DemoRuntime(), node=NODE_NAME).run(),
        "monitoring": monitoring.run(),
    }


def _api_server(manifests: Iterable[Manifest]) -> ApiServer:
    api = ApiServer()
    api.load([*definitions(), *manifests])
    return api


@cache
def definitions() -> tuple[Manifest, ...]:
    """The CustomResourceDefinitions of the cluster: ours, and those of the gateways and meshes that Envoy stands in for."""
    folder = resources.files("flagger_py.local") / "crds"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    others = (manifest for entry in files for manifest in yaml.load_all(entry.read_text(), Loader=_Loader) if manifest)
    return (*(definition.to_manifest() for definition in DEFINITIONS), *others)


_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C, where PyYAML has it: these files are long."""


def _write_kubeconfig(path: Path, content: dict[str, Any], certificate: bytes) -> None:
    """Readable by its owner only: it holds a token."""
    for cluster in content["clusters"]:
        cluster["cluster"]["certificate-authority-data"] = base64.b64encode(certificate).decode()
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
