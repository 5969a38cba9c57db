"""What a cluster has besides its API server: something that runs pods, a gateway controller, and a Prometheus. As cheap as can be."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import orjson
from aiohttp import web

from flagger_py.kube.client import Client, WatchOptions
from flagger_py.objects.errors import ApiError, ServerError, Unreachable
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DEPLOYMENT, Manifest, Ref, Resource
from tests.bench.cluster import BenchCluster
from tests.bench.manifests import HTTP_ROUTE

POD_SECONDS: Final = 0.5
"""From a change of a Deployment to its pods being ready."""
WATCH_SECONDS: Final = 3000
WORKERS: Final = 8


async def follow(client: Client, resource: Resource, namespace: str) -> AsyncIterator[Manifest]:
    """Every object of a kind as it is and as it changes, for ever; deletions are left out. Lists again when the server ends the watch."""
    while True:
        version = ""
        async for page in client.pages(resource, namespace):
            version = page.resource_version
            for item in page.items:
                yield item
        async with client.watch(WatchOptions(resource, namespace, version, WATCH_SECONDS)) as events:
            async for event in events:
                if event.type == "ERROR":
                    break
                if event.type in ("ADDED", "MODIFIED"):
                    yield event.object


class Pods:
    """Writes the status that Deployments have once their pods are ready, a while after each change."""

    def __init__(self, cluster: BenchCluster) -> None:
        self._cluster = cluster
        self._due: list[tuple[float, str]] = []
        self._latest: dict[str, Manifest] = {}
        self._added = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect(), name="pods-watch")
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"pods-{number}")

    async def _collect(self) -> None:
        clock = asyncio.get_running_loop().time
        async for manifest in follow(self._cluster.client, DEPLOYMENT, self._cluster.namespace):
            metadata, status = manifest["metadata"], manifest.get("status") or {}
            if status.get("observedGeneration") != metadata["generation"]:
                if metadata["name"] not in self._latest:
                    heapq.heappush(self._due, (clock() + POD_SECONDS, metadata["name"]))
                    self._added.set()
                self._latest[metadata["name"]] = manifest

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            while not self._due:
                self._added.clear()
                await self._added.wait()
            at, name = heapq.heappop(self._due)
            await asyncio.sleep(at - clock())
            await self._make_ready(self._latest.pop(name))

    async def _make_ready(self, manifest: Manifest) -> None:
        replicas = manifest["spec"].get("replicas", 1)
        status = {
            "observedGeneration": manifest["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        }
        await _patch_status(self._cluster.client, Ref.of(DEPLOYMENT, manifest), {"status": status})


async def accept_routes(cluster: BenchCluster) -> None:
    """Accept every HTTPRoute at once, as a gateway controller does; other routes have no such status."""
    if cluster.routes != HTTP_ROUTE:
        return
    async for manifest in follow(cluster.client, HTTP_ROUTE, cluster.namespace):
        generation = manifest["metadata"]["generation"]
        parents = (manifest.get("status") or {}).get("parents") or []
        if parents and parents[0]["conditions"][0]["observedGeneration"] == generation:
            continue
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        parent = {"parentRef": manifest["spec"]["parentRefs"][0], "controllerName": "example.com/gateway", "conditions": [condition]}
        await _patch_status(cluster.client, Ref.of(HTTP_ROUTE, manifest), {"status": {"parents": [parent]}})


async def _patch_status(client: Client, ref: Ref, body: Manifest) -> None:
    """Until the server has taken it, however busy it is."""
    while True:
        try:
            await client.patch(ref, MergePatch(body), subresource="status")
        except (Unreachable, ServerError):
            await asyncio.sleep(1)
        except ApiError:
            return  # deleted meanwhile
        else:
            return


@asynccontextmanager
async def prometheus() -> AsyncIterator[str]:
    """A server that answers every query with 100, which every check of the bench takes for good, and `vector(1)` with 1. Gives its URL."""

    async def answer(request: web.Request) -> web.Response:
        value = "1" if request.query.get("query") == "vector(1)" else "100"
        result = {"resultType": "vector", "result": [{"metric": {}, "value": [0, value]}]}
        return web.Response(body=orjson.dumps({"status": "success", "data": result}), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
