"""Own writes that others undo are repeated with growing pauses, and a condition says who it is (design §3)."""

import asyncio

import pytest

from flagger_py.controller.contests import Circumstance, Contests, Written
from flagger_py.controller.written import changed_paths
from flagger_py.objects.patch import JsonPatch, MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, SERVICE, Ref
from flagger_py.rollout.effects import EnsureServices, SetTraffic
from flagger_py.rollout.traffic import ALL_PRIMARY, Traffic
from tests.memory.cluster import HTTP_ROUTE, canary, deployment, memory_cluster, running_controller
from tests.unit.workloads.memory import MemoryObjects

pytestmark = pytest.mark.looptime
SETTLED = Circumstance(1, "Succeeded", "run")
WRITTEN = [Written(Ref(SERVICE, "test", "web"), ("spec.selector",))]


async def test_the_second_write_of_the_same_decision_waits_longer_each_time() -> None:
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    pauses = []
    for _ in range(5):
        assert contests.fault(EnsureServices()) is None
        await contests.brought_about(EnsureServices(), SETTLED, WRITTEN)
        pauses.append(contests.seconds_to_wait)
        await asyncio.sleep(contests.seconds_to_wait or 0)
    assert pauses == [None, 1, 2, 4, 8]


async def test_the_fault_names_object_field_and_manager() -> None:
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    for _ in range(2):
        await contests.brought_about(EnsureServices(), SETTLED, WRITTEN)
    fault = contests.fault(EnsureServices())
    assert fault
    assert "Service test/web: spec.selector is changed back by another manager" in fault.message


@pytest.mark.parametrize(
    "circumstance", [Circumstance(2, "Succeeded", "run"), Circumstance(1, "Progressing", "run"), Circumstance(1, "Succeeded", "next")]
)
async def test_the_same_effect_of_another_decision_is_no_contest(circumstance: Circumstance) -> None:
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    await contests.brought_about(EnsureServices(), SETTLED, WRITTEN)
    await contests.brought_about(EnsureServices(), circumstance, WRITTEN)
    assert contests.seconds_to_wait is None


async def test_a_rollback_never_waits() -> None:
    """engine:HAZ-37."""
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    effect = SetTraffic(Traffic(ALL_PRIMARY))
    for _ in range(2):
        await contests.brought_about(effect, SETTLED, WRITTEN)
    assert contests.fault(effect)
    assert contests.fault(SetTraffic(Traffic(ALL_PRIMARY), urgent=True)) is None


def test_the_paths_of_a_patch_are_told_without_the_version_it_is_pinned_to() -> None:
    patch = MergePatch({"metadata": {"resourceVersion": "7", "labels": {"a": None}}, "spec": {"ports": [], "selector": {}}})
    assert changed_paths(patch) == ("metadata.labels.a", "spec.ports", "spec.selector")
    assert changed_paths(JsonPatch(({"op": "remove", "path": "/spec/x"},))) == ("/spec/x",)


async def test_a_route_that_gitops_sets_back_is_not_fought_at_full_speed() -> None:
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            fought = 0
            end = asyncio.get_running_loop().time() + 120
            while asyncio.get_running_loop().time() < end:
                if await cluster.weights() == (100, 0):
                    fought += 1
                    route = await cluster.get(HTTP_ROUTE, "web")
                    rule = route["spec"]["rules"][0]
                    for ref, weight in zip(rule["backendRefs"], (90, 10), strict=True):
                        ref["weight"] = weight
                    await cluster.patch(HTTP_ROUTE, "web", {"spec": {"rules": [rule]}})
                await asyncio.sleep(0.1)
            assert 4 <= fought <= 12
            status = await cluster.status()
            (condition,) = [each for each in status["conditions"] if each["type"] == "RoutingReady"]
            assert condition["message"].startswith("HTTPRoute test/web: spec.rules is changed back by")
