"""Whole rollouts of a Knative Service, with the real controller on virtual time: promoted, rolled back, deleted, taken over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from flagger_py.objects.errors import NotFound
from flagger_py.objects.knative import KNATIVE_REVISION, KNATIVE_SERVICE, PRIMARY_REVISION
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONTROLLER_REVISION, DEPLOYMENT, SERVICE, Manifest, Ref
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, deployment, memory_cluster, running_controller
from tests.memory.knative import (
    install,
    knative_canary,
    knative_cluster,
    knative_service,
    release,
    running_knative,
    set_ready,
    shares,
    traffic,
)
from tests.memory.people import conditions, told, until_cleared
from tests.memory.phases import PHASES, stop_at
from tests.memory.recordings import writes

pytestmark = pytest.mark.looptime

WEB: Final = Ref(CANARY, NAMESPACE, "web")
FIRST, SECOND, THIRD = "web-00001", "web-00002", "web-00003"


@asynccontextmanager
async def initialised(name: str = "web", **spec: Any) -> AsyncIterator[MemoryCluster]:
    """A Knative Service with its Canary, and a controller that has initialised it."""
    async with knative_cluster() as cluster, running_controller(cluster):
        await cluster.client.create(KNATIVE_SERVICE, knative_service(name=name))
        await cluster.client.create(CANARY, knative_canary(name, **spec))
        await cluster.until_phase("Initialized", name=name)
        yield cluster


async def chosen(cluster: MemoryCluster, name: str = "web") -> str:
    """The Revision that the annotation names; empty without one."""
    annotations = (await cluster.get(KNATIVE_SERVICE, name))["metadata"].get("annotations", {})
    return str(annotations.get(PRIMARY_REVISION, ""))


def split(primary: int, canary: int, revision: str = FIRST) -> list[Manifest]:
    return [{"latestRevision": True, "percent": canary}, {"revisionName": revision, "percent": primary}]


async def test_it_is_initialised_as_flagger_does() -> None:
    """workloads:KN-02, KN-03, S11, routers:KNA-02, KNA-04: one annotation and the traffic, and no object of ours."""
    async with initialised() as cluster:
        assert (await chosen(cluster), await traffic(cluster)) == (FIRST, split(100, 0))
        assert await cluster.client.find(SERVICE, NAMESPACE) == []
        assert await cluster.client.find(DEPLOYMENT, NAMESPACE) == []
        assert await cluster.client.find(CONTROLLER_REVISION, NAMESPACE) == []
        assert "trackedConfigs" not in await cluster.status()


@asynccontextmanager
async def shares_seen(cluster: MemoryCluster) -> AsyncIterator[list[dict[str, int]]]:
    """What users get, each time it changes."""
    seen: list[dict[str, int]] = []

    async def follow() -> None:
        while True:
            if seen[-1:] != [found := await shares(cluster)]:
                seen.append(found)
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(), name="shares")
        try:
            yield seen
        finally:
            task.cancel()


async def test_a_new_revision_is_promoted() -> None:
    """engine:TICK-20..30, workloads:KN-04, KN-06, S11, routers:KNA-03: users meet it by weight, then it is the primary."""
    async with initialised() as cluster, shares_seen(cluster) as seen:
        await release(cluster, "web:2")
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Succeeded")
        assert await chosen(cluster) == SECOND
        assert await traffic(cluster) == split(100, 0, SECOND)
        steps = [{FIRST: 100}, {FIRST: 80, SECOND: 20}, {FIRST: 60, SECOND: 40}, {SECOND: 100}]
        assert seen == steps


async def test_the_queries_ask_about_the_revision_under_test() -> None:
    """engine:PRV-06, metrics:EVAL-06."""
    async with initialised() as cluster:
        await release(cluster, "web:2")
        await cluster.until_phase("Succeeded")
        asked = {request.url.partition("revision%3D%27")[2][:9] for request in cluster.web.requests if "revision" in request.url}
        assert asked == {SECOND}


async def test_a_bad_revision_is_rolled_back_and_the_next_one_is_tried() -> None:
    """engine:ANL-10."""
    async with initialised() as cluster:
        cluster.web.success_rate = 50
        await release(cluster, "web:2")
        await cluster.until_phase("Failed")
        assert (await chosen(cluster), await shares(cluster)) == (FIRST, {FIRST: 100})
        cluster.web.success_rate = 100
        await release(cluster, "web:3")
        await cluster.until_phase("Succeeded")
        assert (await chosen(cluster), await shares(cluster)) == (THIRD, {THIRD: 100})


async def test_a_revision_that_does_not_start_ends_at_the_deadline() -> None:
    """workloads:KN-05, HAZ-29: Flagger waits for ever."""
    async with initialised() as cluster:
        cluster.broken_images.add("web:2")
        await release(cluster, "web:2")
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Failed", seconds=75)
        assert await shares(cluster) == {FIRST: 100}
        (event,) = [text for text in await cluster.events() if "Rolling back" in text]
        assert "Revision web-00002: ImagePullBackOff: cannot pull web:2" in event


async def test_a_newer_revision_starts_the_run_again_without_traffic() -> None:
    """workloads:CHG-06, engine:HAZ-17."""
    async with initialised() as cluster:
        await release(cluster, "web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 20)
        await release(cluster, "web:3")
        await cluster.until(lambda status: status.get("canaryWeight") == 0)
        await cluster.until_phase("Succeeded")
        assert await chosen(cluster) == THIRD


async def test_the_first_revision_has_to_be_ready() -> None:
    """workloads:KN-03: Flagger writes the name of one that is not ready, or an empty one."""
    async with knative_cluster() as cluster, running_controller(cluster):
        cluster.broken_images.add("web:1")
        await cluster.client.create(KNATIVE_SERVICE, knative_service())
        await cluster.client.create(CANARY, knative_canary())
        await told(cluster, "ReferencesResolved", ["Revision web-00001 cannot become the primary: ", "cannot pull web:1"])
        assert (await chosen(cluster), await traffic(cluster)) == ("", [{"latestRevision": True, "percent": 100}])
        await release(cluster, "web:2")
        await cluster.until_phase("Initialized")
        assert await chosen(cluster) == SECOND
        await until_cleared(cluster, "ReferencesResolved")


async def test_without_knative_it_is_told_and_nobody_else_is_hurt() -> None:
    """objects:NotServed: the kind may be installed later."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await cluster.client.create(CANARY, knative_canary())
        await told(cluster, "ReferencesResolved", ["services.serving.knative.dev"])
        await cluster.client.create(DEPLOYMENT, deployment(name="other"))
        await cluster.client.create(CANARY, canary("other"))
        await cluster.until_phase("Initialized", name="other")
        await install(cluster)
        async with running_knative(cluster):
            await cluster.client.create(KNATIVE_SERVICE, knative_service())
            await cluster.until_phase("Initialized")


async def test_settled_it_costs_no_request() -> None:
    """engine:COST-05: Flagger makes three in each interval."""
    async with initialised() as cluster:
        await asyncio.sleep(15)
        cluster.server.log.clear()
        await asyncio.sleep(600)
        assert writes(cluster) == []


async def test_tags_of_the_user_stay() -> None:
    """routers:KNA-02: Flagger drops them."""
    async with knative_cluster() as cluster, running_controller(cluster):
        service = knative_service()
        service["spec"]["traffic"][0]["tag"] = "newest"
        await cluster.client.create(KNATIVE_SERVICE, service)
        await cluster.client.create(CANARY, knative_canary())
        await cluster.until_phase("Initialized")
        tagged = [*await traffic(cluster), {"revisionName": FIRST, "tag": "first", "percent": 0}]
        await cluster.patch(KNATIVE_SERVICE, "web", {"spec": {"traffic": tagged}})
        await release(cluster, "web:2")
        await cluster.until_phase("Succeeded")
        latest, primary, *others = await traffic(cluster)
        assert (latest["tag"], primary["percent"]) == ("newest", 100)
        assert others == [{"revisionName": FIRST, "tag": "first", "percent": 0}]


async def test_traffic_that_somebody_moves_is_moved_back() -> None:
    """routers:KNA-01, CTR-02."""
    async with initialised() as cluster:
        await cluster.patch(KNATIVE_SERVICE, "web", {"spec": {"traffic": [{"latestRevision": True, "percent": 100}]}})
        await asyncio.sleep(5)
        assert await traffic(cluster) == split(100, 0)


async def test_an_annotation_that_somebody_removes_comes_back() -> None:
    """workloads:DEP-05: with the Revision that was promoted, never with the newest."""
    async with initialised() as cluster:
        cluster.web.success_rate = 50
        await release(cluster, "web:2")
        await cluster.until_phase("Failed")
        await cluster.patch(KNATIVE_SERVICE, "web", {"metadata": {"annotations": {PRIMARY_REVISION: None}}})
        await asyncio.sleep(5)
        assert (await chosen(cluster), await shares(cluster)) == (FIRST, {FIRST: 100})


async def test_a_promoted_revision_that_is_gone_is_told() -> None:
    """workloads:DEP-05."""
    async with initialised() as cluster:
        await cluster.client.delete(Ref(KNATIVE_REVISION, NAMESPACE, FIRST))
        await told(
            cluster, "ReferencesResolved", [f"metadata.annotations[{PRIMARY_REVISION}]", "set the name of one that is known to be good"]
        )


@pytest.mark.parametrize("phase", PHASES)
async def test_deleted_in_any_phase_traffic_follows_the_latest_revision_again(phase: str) -> None:
    """workloads:KN-08, routers:KNA-05, api:GAP-48: Flagger's process dies of it, and the traffic stays where it was."""
    async with initialised(revertOnDeletion=True) as cluster, shares_seen(cluster) as seen:
        await stop_at(cluster, phase)
        if phase != "Initialized":
            cluster.web.success_rate = 50 if phase == "Failed" else 100
            await release(cluster, "web:2")
            await cluster.until_phase(phase)
        await cluster.client.delete(WEB)
        for _ in range(400):
            if not await cluster.client.find(CANARY, NAMESPACE):
                break
            await asyncio.sleep(0.25)
        assert not await cluster.client.find(CANARY, NAMESPACE), await cluster.status()
        assert (await chosen(cluster), await traffic(cluster)) == ("", [{"latestRevision": True, "percent": 100}])
        assert all(sum(found.values()) == 100 for found in seen), "at every moment all users were served"


@asynccontextmanager
async def left_by_flagger(phase: str) -> AsyncIterator[MemoryCluster]:
    """What Flagger leaves of a Knative target: the annotation, the traffic in the same form, and its own hashes (workloads:CHG-02)."""
    async with knative_cluster() as cluster:
        async with running_controller(cluster):
            await cluster.client.create(KNATIVE_SERVICE, knative_service())
            await cluster.client.create(CANARY, knative_canary())
            await cluster.until_phase("Initialized")
            if phase != "Initialized":
                cluster.web.success_rate = 50 if phase == "Failed" else 100
                await release(cluster, "web:2")
                await (cluster.until(_is_at_20) if phase == "Progressing" else cluster.until_phase(phase))
                await asyncio.sleep(1)
        cluster.web.success_rate = 100
        status: Manifest = {"rollout": None, "observedGeneration": None, "lastAppliedSpec": "5498f4fcd6", "lastPromotedSpec": "5498f4fcd6"}
        await cluster.client.patch(WEB, MergePatch({"status": status}), subresource="status")
        cluster.server.log.clear()
        yield cluster


def _is_at_20(status: Manifest) -> bool:
    return bool(status.get("canaryWeight") == 20)


@pytest.mark.parametrize("phase", ["Initialized", "Succeeded", "Failed"])
async def test_a_settled_one_is_taken_over_without_a_write_elsewhere(phase: str) -> None:
    """routers:CTR-22, engine:RST-05."""
    async with left_by_flagger(phase) as cluster, running_controller(cluster):
        await cluster.until(lambda status: "rollout" in status, seconds=30)
        await asyncio.sleep(100)
        assert {(one.verb, one.resource) for one in writes(cluster)} <= {("patch", "canaries"), ("create", "events")}
        assert (await cluster.status())["phase"] == phase


async def test_a_run_in_the_middle_goes_on_where_it_was() -> None:
    """engine:RST-05."""
    async with left_by_flagger("Progressing") as cluster, shares_seen(cluster) as seen, running_controller(cluster):
        await cluster.until_phase("Succeeded")
        assert seen == [{FIRST: 80, SECOND: 20}, {FIRST: 60, SECOND: 40}, {SECOND: 100}]


async def test_a_revision_that_was_made_meanwhile_is_run() -> None:
    """workloads:CHG-02: never promoted silently."""
    async with left_by_flagger("Succeeded") as cluster:
        await release(cluster, "web:3")
        await asyncio.sleep(3)
        async with running_controller(cluster):
            await cluster.until_phase("Progressing")
            assert await chosen(cluster) == SECOND
            await cluster.until_phase("Succeeded")
            assert await chosen(cluster) == THIRD


async def test_a_primary_that_is_not_ready_gets_no_traffic_back() -> None:
    """engine:HAZ-19, workloads:KN-05: the rollback waits for it."""
    async with initialised() as cluster:
        await release(cluster, "web:2")
        await cluster.until(_is_at_20)
        await set_ready(cluster, FIRST, status="False", reason="Evicted")
        cluster.web.success_rate = 50
        await asyncio.sleep(40)
        assert (await shares(cluster))[SECOND] == 20
        await set_ready(cluster, FIRST)
        await cluster.until_phase("Failed")
        assert await shares(cluster) == {FIRST: 100}


async def test_the_longest_name_goes_all_the_way() -> None:
    """api:GAP-41: nothing is generated, so all 63 characters may be used; it is Knative that adds a number to its Revisions."""
    name = "a" * 63
    async with initialised(name) as cluster:
        await release(cluster, "web:2", name)
        await cluster.until_phase("Progressing", name=name)
        await cluster.until_phase("Succeeded", name=name)
        assert await chosen(cluster, name) == f"{name}-00002"


async def test_the_conditions_say_what_flaggers_say() -> None:
    """workloads:ST-05."""
    async with initialised() as cluster:
        assert (await conditions(cluster))["Promoted"]["message"] == "Service initialization completed."
        with pytest.raises(NotFound):
            await cluster.get(SERVICE, "web-primary")
