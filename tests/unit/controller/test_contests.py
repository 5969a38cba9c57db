"""Own writes that others undo are repeated with growing pauses, and a condition says who it is (design §3)."""

import asyncio
from dataclasses import replace

import pytest

from flagger_py.controller.contests import Circumstance, Contests, Written
from flagger_py.controller.written import changed_paths
from flagger_py.objects.patch import JsonPatch, MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, SERVICE, Manifest, Ref
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
        assert await contests.fault(EnsureServices()) is None
        contests.brought_about(EnsureServices(), SETTLED, WRITTEN)
        pauses.append(contests.seconds_to_wait)
        await asyncio.sleep(contests.seconds_to_wait or 0)
    assert pauses == [None, 1, 2, 4, 8]


def service(*managers: tuple[str, str, str]) -> Manifest:
    """A Service whose fields these managers wrote: name, time, field below `spec`."""
    managed = [{"manager": name, "time": time, "fieldsV1": {"f:spec": {f"f:{field}": {}}}} for name, time, field in managers]
    return {"kind": "Service", "metadata": {"name": "web", "namespace": "test", "managedFields": managed}, "spec": {}}


@pytest.mark.parametrize(
    ("managers", "named"),
    [
        pytest.param([("argocd", "2", "selector"), ("flagger", "3", "ports")], "'argocd'", id="who owns the field"),
        pytest.param([("argocd", "1", "selector"), ("kubectl-edit", "2", "type")], "'argocd'", id="not who wrote last"),
        pytest.param([("flagger", "3", "selector"), ("kubectl-edit", "2", "type")], "'kubectl-edit'", id="else who wrote last"),
        pytest.param([("flagger", "3", "selector")], "another manager", id="nobody is known"),
    ],
)
async def test_the_fault_names_object_field_and_manager(managers: list[tuple[str, str, str]], named: str) -> None:
    """Looked at when the write is undone: after our own write the other one's ownership is gone."""
    objects = MemoryObjects([service(("flagger", "1", "selector"))])
    contests = Contests(objects, jitter=lambda: 1.0)
    for _ in range(2):
        contests.brought_about(EnsureServices(), SETTLED, WRITTEN)
    objects.put(service(*managers))
    fault = await contests.fault(EnsureServices())
    assert fault
    assert f"Service test/web: spec.selector is changed back by {named}, and set again" in fault.message


async def test_what_is_made_anew_was_deleted() -> None:
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    for _ in range(2):
        contests.brought_about(EnsureServices(), SETTLED, [Written(Ref(SERVICE, "test", "web"), ())])
    fault = await contests.fault(EnsureServices())
    assert fault
    assert fault.message == "Service test/web is deleted by somebody, and set again with growing pauses"


async def test_another_content_for_the_same_effect_is_no_contest() -> None:
    """A gateway that is nudged for each generation, Services that follow the ports of the target: nobody has undone anything."""
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    for number in range(5):
        contests.brought_about(EnsureServices(), SETTLED, [replace(WRITTEN[0], content=str(number))])
        assert contests.seconds_to_wait is None


@pytest.mark.parametrize(
    "circumstance", [Circumstance(2, "Succeeded", "run"), Circumstance(1, "Progressing", "run"), Circumstance(1, "Succeeded", "next")]
)
async def test_the_same_effect_of_another_decision_is_no_contest(circumstance: Circumstance) -> None:
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    contests.brought_about(EnsureServices(), SETTLED, WRITTEN)
    contests.brought_about(EnsureServices(), circumstance, WRITTEN)
    assert contests.seconds_to_wait is None


async def test_a_rollback_never_waits() -> None:
    """engine:HAZ-37."""
    contests = Contests(MemoryObjects(), jitter=lambda: 1.0)
    effect = SetTraffic(Traffic(ALL_PRIMARY))
    for _ in range(2):
        contests.brought_about(effect, SETTLED, WRITTEN)
    assert await contests.fault(effect)
    assert await contests.fault(SetTraffic(Traffic(ALL_PRIMARY), urgent=True)) is None


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
            assert condition["message"].startswith("HTTPRoute test/web: spec.rules is changed back by ")
