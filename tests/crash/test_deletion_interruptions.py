"""A deletion is interrupted at each of its calls, in each way: users are served, and everything is put back all the same."""

import asyncio
from typing import Final

import pytest

from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, SERVICE, Manifest, Ref
from tests.crash.conftest import Explore
from tests.crash.lives import controllers, run_alone
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster, canary, deployment, memory_cluster
from tests.memory.interruption import Wire
from tests.memory.serving import Serving

METADATA: Final = {"name": "web", "namespace": NAMESPACE}
ROUTE: Final[Manifest] = {
    "metadata": METADATA,
    "spec": {"parentRefs": [{"name": "gateway", "namespace": NAMESPACE}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
}
PORT: Final = {"name": "http", "port": 80, "targetPort": 8080}


@pytest.mark.timeout(600)
def test_a_deletion_ends_as_if_nothing_had_happened(interrupted: Explore) -> None:
    """engine:FIN-04, FIN-08, HAZ-08, workloads:FIN-06: each step is idempotent, and none is lost."""
    interrupted(lambda wire: run_alone(_play(wire)), 2)


async def _play(wire: Wire) -> None:
    """One deletion in the middle of a rollout."""
    async with memory_cluster() as cluster, controllers(cluster, [wire]):
        await _prepare(cluster)
        before = (await cluster.get(HTTP_ROUTE, "web"))["spec"]
        await cluster.client.create(CANARY, canary() | {"spec": {**canary()["spec"], "revertOnDeletion": True}})
        await cluster.until_phase("Initialized")
        serving = await _watch_serving(cluster)
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 20)
        wire.begin()
        await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
        await _until_gone(cluster)
        await asyncio.sleep(20)
        assert not serving.problems, serving.problems[0]
        assert (await cluster.get(HTTP_ROUTE, "web"))["spec"] == before
        assert (await cluster.get(SERVICE, "web"))["spec"]["selector"] == {"app": "web"}
        assert {one["metadata"]["name"]: one["spec"]["replicas"] for one in await cluster.client.find(DEPLOYMENT, NAMESPACE)} == {"web": 2}
        assert len(wire.points) > 5


async def _prepare(cluster: MemoryCluster) -> None:
    """What the user had before."""
    await cluster.client.create(DEPLOYMENT, deployment())
    await cluster.client.create(SERVICE, {"metadata": METADATA, "spec": {"selector": {"app": "web"}, "ports": [PORT]}})
    await cluster.client.create(HTTP_ROUTE, ROUTE)


async def _watch_serving(cluster: MemoryCluster) -> Serving:
    """From here on; what is there already is shown to it by a change."""
    serving = Serving(cluster)
    for resource in (SERVICE, DEPLOYMENT, HTTP_ROUTE):
        for manifest in await cluster.client.find(resource, NAMESPACE):
            await cluster.client.patch(Ref.of(resource, manifest), MergePatch({"metadata": {"labels": {"seen": "true"}}}))
    serving.problems.clear()
    return serving


async def _until_gone(cluster: MemoryCluster) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                await cluster.get(CANARY, "web")
            except NotFound:
                return
            await asyncio.sleep(0.25)
