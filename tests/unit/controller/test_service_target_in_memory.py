"""Whole rollouts of a core Service, with the real controller on virtual time: promoted, rolled back, deleted, taken over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONTROLLER_REVISION, SERVICE, Manifest, Ref
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.people import conditions, messages, told
from tests.memory.phases import PHASES, stop_at
from tests.memory.recordings import VIRTUAL_SERVICE, weights_seen, writes
from tests.memory.service_targets import select, selected, service, service_canary

pytestmark = pytest.mark.looptime

WEB: Final = Ref(CANARY, NAMESPACE, "web")
LONG: Final = "a" * 55
PROVIDERS: Final = ("gatewayapi:v1", "istio")
ALLOWED: Final = {("create", "controllerrevisions"), ("patch", "canaries"), ("create", "events")}
"""What an adoption writes: what was promoted, our part of the status, and what it says about that."""


@asynccontextmanager
async def with_service(name: str = "web", **spec: Any) -> AsyncIterator[MemoryCluster]:
    """A Service with its Canary."""
    async with memory_cluster() as cluster:
        await cluster.client.create(SERVICE, service(name))
        await cluster.client.create(CANARY, service_canary(name, **spec))
        yield cluster


@asynccontextmanager
async def initialised(name: str = "web", **spec: Any) -> AsyncIterator[MemoryCluster]:
    """With a controller that has initialised it."""
    async with with_service(name, **spec) as cluster, running_controller(cluster):
        await cluster.until_phase("Initialized", name=name)
        yield cluster


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_changed_spec_is_promoted(provider: str) -> None:
    """workloads:S17, SVC-05, SVC-06, routers:PRV-04, engine:ACC-01: the user's Service itself is never written."""
    async with initialised(provider=provider) as cluster, weights_seen(cluster, provider) as seen:
        await select(cluster, "2")
        mine = (await cluster.get(SERVICE, "web"))["metadata"]["resourceVersion"]
        await cluster.until_phase("Progressing")
        assert [await selected(cluster, name) for name in ("web-canary", "web-primary")] == ["2", "1"]
        await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0)]
        assert [await selected(cluster, name) for name in ("web-canary", "web-primary")] == ["2", "2"]
        assert (await cluster.get(SERVICE, "web"))["metadata"]["resourceVersion"] == mine
        status = await cluster.status()
        assert "trackedConfigs" not in status
        assert status["lastAppliedSpec"] == status["lastPromotedSpec"]


async def test_one_after_the_other_is_promoted() -> None:
    """workloads:CHG-02: without a generation no change is taken for a moved hash."""
    async with initialised() as cluster:
        for version in ("2", "3"):
            await select(cluster, version)
            await cluster.until_phase("Progressing", seconds=5)
            await cluster.until_phase("Succeeded")
            assert await selected(cluster, "web-primary") == version


async def test_a_bad_spec_is_rolled_back_and_mended() -> None:
    """engine:ANL-10, REV-03, workloads:CHG-08: users stay with the primary; what the message says is what Flagger says (ST-05)."""
    async with initialised() as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        cluster.web.success_rate = 50
        await select(cluster, "2")
        await cluster.until_phase("Failed")
        assert seen == [(100, 0), (80, 20), (100, 0)]
        assert await selected(cluster, "web-primary") == "1"
        assert (await conditions(cluster))["Promoted"]["message"] == "Canary analysis failed, Service scaled to zero."
        cluster.web.success_rate = 100
        await select(cluster, "3")
        await cluster.until_phase("Succeeded")
        assert await selected(cluster, "web-primary") == "3"


async def test_a_newer_spec_starts_the_run_again() -> None:
    """engine:HAZ-17, workloads:CHG-06."""
    async with initialised() as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await select(cluster, "2")
        await cluster.until(_is_at_20)
        await select(cluster, "3")
        await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (100, 0), (80, 20), (60, 40), (100, 0)]
        assert await selected(cluster, "web-primary") == "3"


async def test_set_back_in_the_middle_the_run_is_cancelled() -> None:
    """workloads:CHG-09."""
    async with initialised() as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await select(cluster, "2")
        await cluster.until(_is_at_20)
        await select(cluster, "1")
        status = await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (100, 0)]
        assert status["rollout"]["outcome"]["result"] == "cancelled"


async def test_settled_it_costs_no_request() -> None:
    """engine:COST-05, workloads:SVC-02: Flagger updates `-canary` in each interval."""
    async with initialised() as cluster:
        await asyncio.sleep(15)
        cluster.server.log.clear()
        await asyncio.sleep(600)
        assert writes(cluster) == []


async def test_a_deleted_copy_comes_back() -> None:
    """workloads:DEP-05, SVC-02."""
    async with initialised() as cluster:
        await select(cluster, "2")
        await cluster.until_phase("Succeeded")
        for name in ("web-primary", "web-canary"):
            await cluster.client.delete(Ref(SERVICE, NAMESPACE, name))
        await asyncio.sleep(5)
        assert [await selected(cluster, name) for name in ("web-canary", "web-primary")] == ["2", "2"]


async def test_a_port_that_the_service_lacks_is_named() -> None:
    """routers:K8S-19: routes would lead to nothing."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await cluster.client.create(SERVICE, service(ports=[{"port": 8080}]))
        await cluster.client.create(CANARY, service_canary())
        await told(cluster, "ReferencesResolved", ["spec.service.port: 80 is no port of Service test/web, which has 8080"])
        assert len(await cluster.client.find(SERVICE, NAMESPACE)) <= 2
        await cluster.patch(SERVICE, "web", {"spec": {"ports": [{"port": 80}]}})
        await cluster.until_phase("Initialized")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("phase", PHASES)
async def test_deleted_in_any_phase_the_routes_lead_to_the_users_service(provider: str, phase: str) -> None:
    """engine:FIN-02, workloads:FIN-09: the user's Service was never changed; its copies go with the Canary."""
    async with initialised(provider=provider, revertOnDeletion=True) as cluster:
        await stop_at(cluster, phase)
        original = (await cluster.get(SERVICE, "web"))["spec"]
        if phase != "Initialized":
            await select(cluster, "2")
            original["selector"]["version"] = "2"
            cluster.web.success_rate = 50 if phase == "Failed" else 100
            await cluster.until_phase(phase)
        backends: list[set[str]] = []
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_follow_backends(cluster, provider, backends), name="backends")
            await cluster.client.delete(WEB)
            await _until_gone(cluster)
            watching.cancel()
        assert (await cluster.get(SERVICE, "web"))["spec"] == original
        assert {"web"} in backends, "before the copies went, the routes led to the user's Service"
        await asyncio.sleep(10)
        assert [found["metadata"]["name"] for found in await cluster.client.find(SERVICE, NAMESPACE)] == ["web"]


async def _follow_backends(cluster: MemoryCluster, provider: str, seen: list[set[str]]) -> None:
    """The Services that get requests by the route, each time they change."""
    while True:
        try:
            found = await _backends(cluster, provider)
        except NotFound:
            return
        if seen[-1:] != [found]:
            seen.append(found)
        await asyncio.sleep(0.05)


async def _backends(cluster: MemoryCluster, provider: str) -> set[str]:
    if provider == "istio":
        (rule,) = (await cluster.get(VIRTUAL_SERVICE, "web"))["spec"]["http"]
        return {route["destination"]["host"] for route in rule["route"] if route.get("weight", 100)}
    (rule,) = (await cluster.get(HTTP_ROUTE, "web"))["spec"]["rules"]
    return {backend["name"] for backend in rule["backendRefs"] if backend.get("weight", 1)}


async def _until_gone(cluster: MemoryCluster) -> None:
    for _ in range(600):
        try:
            await cluster.get(CANARY, "web")
        except NotFound:
            return
        await asyncio.sleep(0.25)
    raise AssertionError(f"the Canary does not go: {await cluster.status()}; {await messages(cluster)}")


@asynccontextmanager
async def left_by_flagger(provider: str, phase: str) -> AsyncIterator[MemoryCluster]:
    """What Flagger leaves of a Service target: no recording has one, because its copies of a cluster IP are refused (workloads:SVC-04).

    The objects are the same as ours; our part of the status is not there, the hashes are its own, and after a promotion the primary
    has no owner (SVC-05).
    """
    async with with_service(provider=provider) as cluster:
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            if phase != "Initialized":
                await select(cluster, "2")
                cluster.web.success_rate = 50 if phase == "Failed" else 100
                await (cluster.until(_is_at_20) if phase == "Progressing" else cluster.until_phase(phase))
        cluster.web.success_rate = 100
        status: Manifest = {"rollout": None, "observedGeneration": None, "lastAppliedSpec": "5498f4fcd6", "lastPromotedSpec": "5498f4fcd6"}
        await cluster.client.patch(WEB, MergePatch({"status": status}), subresource="status")
        if phase == "Succeeded":
            await cluster.patch(SERVICE, "web-primary", {"metadata": {"ownerReferences": None}})
        for revision in await cluster.client.find(CONTROLLER_REVISION, NAMESPACE):
            await cluster.client.delete(Ref.of(CONTROLLER_REVISION, revision))
        cluster.server.log.clear()
        yield cluster


def _is_at_20(status: Manifest) -> bool:
    return bool(status.get("canaryWeight") == 20)


@pytest.mark.parametrize("phase", ["Initialized", "Succeeded", "Failed"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_settled_one_is_taken_over_without_a_write_elsewhere(provider: str, phase: str) -> None:
    """routers:CTR-22, engine:RST-05, workloads:SVC-05: neither a Service nor a route is written."""
    async with left_by_flagger(provider, phase) as cluster, running_controller(cluster):
        await cluster.until(lambda status: "rollout" in status, seconds=30)
        await asyncio.sleep(100)
        assert {(one.verb, one.resource) for one in writes(cluster)} <= ALLOWED
        assert (await cluster.status())["phase"] == phase


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_run_in_the_middle_goes_on_where_it_was(provider: str) -> None:
    """engine:RST-05."""
    async with left_by_flagger(provider, "Progressing") as cluster, weights_seen(cluster, provider) as seen, running_controller(cluster):
        await cluster.until_phase("Succeeded")
        assert seen == [(80, 20), (60, 40), (100, 0)]
        assert await selected(cluster, "web-primary") == "2"


async def test_a_spec_that_was_changed_meanwhile_is_run_and_the_primary_is_owned_again() -> None:
    """workloads:CHG-02, SVC-05: never promoted silently."""
    async with left_by_flagger("gatewayapi:v1", "Succeeded") as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await select(cluster, "3")
        async with running_controller(cluster):
            await cluster.until_phase("Progressing")
            assert await selected(cluster, "web-primary") == "2"
            await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0)]
        primary = await cluster.get(SERVICE, "web-primary")
        assert (primary["spec"]["selector"]["version"], primary["metadata"]["ownerReferences"][0]["kind"]) == ("3", "Canary")


async def test_the_longest_name_goes_all_the_way() -> None:
    """workloads:SEL-04, api:GAP-41: 55 characters, of which `-primary` makes 63."""
    async with initialised(LONG) as cluster:
        await select(cluster, "2", LONG)
        await cluster.until_phase("Progressing", name=LONG)
        await cluster.until_phase("Succeeded", name=LONG)
        assert await selected(cluster, f"{LONG}-primary") == "2"
