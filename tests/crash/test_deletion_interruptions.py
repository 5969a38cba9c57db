"""A deletion is interrupted at each of its calls, in each way: users are served, and everything is put back all the same."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import looptime
import pytest

from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, SERVICE, Manifest, Ref
from tests.memory.cluster import CONTROLLER, HTTP_ROUTE, NAMESPACE, MemoryCluster, canary, deployment, memory_cluster
from tests.memory.interruption import Interruption, Point, Wire
from tests.memory.serving import Serving

DOWNTIME: Final = 3.0
METADATA: Final = {"name": "web", "namespace": NAMESPACE}
ROUTE: Final[Manifest] = {
    "metadata": METADATA,
    "spec": {"parentRefs": [{"name": "gateway", "namespace": NAMESPACE}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
}
PORT: Final = {"name": "http", "port": 80, "targetPort": 8080}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("interruption", Interruption)
def test_a_deletion_ends_as_if_nothing_had_happened(interruption: Interruption) -> None:
    """engine:FIN-04, FIN-08, HAZ-08, workloads:FIN-06: each step is idempotent, and none is lost."""
    points = play(None, -1)
    chosen = [number for number, point in enumerate(points) if point.can_be(interruption)]
    assert len(chosen) > 5
    for number in chosen:
        try:
            play(interruption, number)
        except (AssertionError, ExceptionGroup) as error:
            raise AssertionError(f"call {number} ({points[number].call}) {interruption}") from error


def play(interruption: Interruption | None, number: int) -> list[Point]:
    """One deletion in the middle of a rollout, on a loop of its own; gives the calls that were made. Raises what is wrong."""
    random.seed(0)
    loop = looptime.new_event_loop()
    try:
        points: list[Point] = loop.run_until_complete(_play(Wire(interruption, {number})))
        return points
    finally:
        loop.close()


async def _play(wire: Wire) -> list[Point]:
    async with memory_cluster() as cluster, _controllers(cluster, wire):
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
    return wire.points


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


@asynccontextmanager
async def _controllers(cluster: MemoryCluster, wire: Wire) -> AsyncIterator[None]:
    """One process after the other: the next one starts some time after the last was killed, and knows nothing."""
    async with asyncio.TaskGroup() as group:
        lives = group.create_task(_live_and_die(cluster, wire), name="lives")
        try:
            yield
        finally:
            lives.cancel()


async def _live_and_die(cluster: MemoryCluster, wire: Wire) -> None:
    while True:
        wire.killed.clear()
        process = wire.process(cluster.server.transport(CONTROLLER), cluster.web)
        controller = Controller(ControllerFlags(enable_leader_election=False), process, process, LoopClock(cluster.start), "replica-1")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(controller.run(), name="controller")
            await wire.killed.wait()
            running.cancel()
        await asyncio.sleep(DOWNTIME)
