"""What a controller does while nothing is to be done: nothing. On virtual time."""

import asyncio
from collections import Counter

import pytest

from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, LEASE, Ref
from tests.memory.cluster import CONTROLLER, NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.outage import controller_on, line_to
from tests.memory.people import settle

pytestmark = pytest.mark.looptime


def asked(cluster: MemoryCluster) -> Counter[str]:
    """What the controller has asked of the API server; a watch that is opened again is no question."""
    return Counter(f"{one.verb} {one.resource}" for one in cluster.server.log if one.user == CONTROLLER.name and one.verb != "watch")


async def test_a_settled_canary_costs_no_request_for_an_hour() -> None:
    """engine:COST-10, COST-05."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster)
        await asyncio.sleep(60)
        cluster.server.log.clear()
        await asyncio.sleep(3600)
        assert asked(cluster) == {}


async def test_a_deleted_canary_is_forgotten() -> None:
    """engine:HAZ-32: even where the deletion happens while the watch is away. No task is left, nothing is asked, nothing is exported."""
    async with memory_cluster() as cluster, controller_on(line := line_to(cluster), cluster) as controller:
        await settle(cluster)
        assert b'name="web"' in controller.exported.render()
        line.cut()
        await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
        await asyncio.sleep(10)
        line.mend()
        await asyncio.sleep(120)
        cluster.server.log.clear()
        await asyncio.sleep(600)
        assert asked(cluster) == {}
        assert b'name="web"' not in controller.exported.render()
        assert not [task for task in asyncio.all_tasks() if task.get_name() == f"canary {NAMESPACE}/web"]


async def test_one_task_looks_after_each_canary() -> None:
    """engine:ENG-16: its passes cannot overlap, and each has its own deadline."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster)
        await settle(cluster, "other")
        for name in ("web", "other", "web"):
            await cluster.client.patch(Ref(CANARY, NAMESPACE, name), MergePatch({"metadata": {"labels": {"changed": "yes"}}}))
        await asyncio.sleep(5)
        tasks = Counter(task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("canary "))
        assert tasks == {f"canary {NAMESPACE}/web": 1, f"canary {NAMESPACE}/other": 1}


async def test_a_replica_that_does_not_lead_shows_the_same_metrics_and_only_its_own_values() -> None:
    """operations:OPS-08."""
    async with memory_cluster() as cluster:
        spec = {"holderIdentity": "other", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
        metadata = {"name": "flagger-leader-election", "namespace": NAMESPACE}
        await cluster.client.create(LEASE, {"metadata": metadata, "spec": spec})
        flags = ControllerFlags(namespace=NAMESPACE, log_level="error")
        waiting = Controller(flags, cluster.server.transport(CONTROLLER), cluster.web, LoopClock(cluster.start), "replica-2")
        async with running_controller(cluster) as leader, asyncio.TaskGroup() as group:
            task = group.create_task(waiting.run())
            await settle(cluster)
            await asyncio.sleep(30)
            shown = waiting.exported.render().decode()
            assert families(shown) == families(leader.exported.render().decode())
            assert "flagger_info{" in shown
            assert 'name="web"' not in shown
            task.cancel()


def families(text: str) -> set[str]:
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE flagger_")}
