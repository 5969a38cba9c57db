"""Rollouts of Deployments with an autoscaler, by the real controller on virtual time (workloads:§4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Manifest, Ref
from tests.memory.cluster import CONTROLLER, NAMESPACE, MemoryCluster, canary, deployment, memory_cluster, running_controller
from tests.memory.people import messages, told
from tests.memory.recordings import image_of, writes
from tests.memory.scaling import (
    PAUSED,
    autoscaling,
    available,
    hpa,
    install_keda,
    pods_at_each_weight,
    reference,
    replicas,
    scaled_object,
)

pytestmark = pytest.mark.looptime


def scaled_canary(kind: str = "HorizontalPodAutoscaler", **ref: Any) -> Manifest:
    manifest = canary(maxWeight=60)
    manifest["spec"]["autoscalerRef"] = reference(kind, **ref)
    return manifest


@asynccontextmanager
async def initialised(scaler: Manifest | None = None, *, demand: int = 10, **ref: Any) -> AsyncIterator[MemoryCluster]:
    """A Deployment with an HPA whose traffic takes `demand` pods, its Canary, and a running controller."""
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment(replicas=demand))
        await cluster.client.create(HORIZONTAL_POD_AUTOSCALER, scaler or hpa())
        await cluster.client.create(CANARY, scaled_canary(**ref))
        async with running_controller(cluster), autoscaling(cluster, demand):
            await cluster.until_phase("Initialized")
            yield cluster


async def limits(cluster: MemoryCluster, name: str = "web-primary") -> tuple[int, int]:
    spec = (await cluster.get(HORIZONTAL_POD_AUTOSCALER, name))["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


async def test_the_primary_gets_a_copy_and_all_pods_of_the_target() -> None:
    """workloads:HPA-01, AS-03, AS-04: Kubernetes itself leaves the target at zero alone."""
    async with initialised() as cluster:
        copy = await cluster.get(HORIZONTAL_POD_AUTOSCALER, "web-primary")
        assert copy["spec"]["scaleTargetRef"]["name"] == "web-primary"
        assert copy["metadata"]["ownerReferences"][0]["kind"] == "Canary"
        await asyncio.sleep(60)
        assert (await replicas(cluster, "web-primary"), await replicas(cluster, "web")) == (10, 0)


async def test_a_shrunk_primary_is_raised_before_a_promotion_gives_it_all_traffic() -> None:
    """workloads:AS-05, DEP-08: its autoscaler takes pods away as the canary takes traffic, and must not meet all users with few."""
    async with initialised() as cluster, pods_at_each_weight(cluster) as seen:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 60)
        await cluster.until_phase("Promoting")
        assert await replicas(cluster, "web-primary") == 10
        await cluster.until_phase("Succeeded")
        assert seen[-1] == ((100, 0), 10)
        assert min(pods for _, pods in seen) < 10, "it was shrunk meanwhile"
        assert image_of(await cluster.get(DEPLOYMENT, "web-primary")) == "web:2"
        assert await limits(cluster) == (10, 12), "its autoscaler may not take them away before it has measured the traffic"
        await asyncio.sleep(301)
        assert await limits(cluster) == (2, 12)
        assert await replicas(cluster, "web-primary") == 10


async def test_a_shrunk_primary_is_raised_before_a_rollback() -> None:
    """engine:HAZ-38, workloads:AS-05"""
    async with initialised() as cluster, pods_at_each_weight(cluster) as seen:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 60)
        cluster.web.success_rate = 50
        await cluster.until_phase("Failed")
        assert seen[-1] == ((100, 0), 10)
        assert min(pods for _, pods in seen) < 10
        assert await replicas(cluster, "web") == 0


async def test_a_newer_version_does_not_meet_a_shrunk_primary() -> None:
    """engine:HAZ-41"""
    async with initialised() as cluster, pods_at_each_weight(cluster) as seen:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 60)
        await asyncio.sleep(6)
        assert await available(cluster, "web-primary") < 10
        await cluster.release("web:3")
        await cluster.until_phase("Succeeded")
        assert [pods for weights, pods in seen if weights == (100, 0)] == [10, 10, 10]


async def test_a_cluster_without_room_does_not_keep_users_on_a_bad_version() -> None:
    """workloads:AS-05: the pods that the primary lacks are waited for one interval."""
    async with initialised() as cluster, pods_at_each_weight(cluster) as seen:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 60)
        await asyncio.sleep(6)
        before = await available(cluster, "web-primary")
        cluster.room["web-primary"] = before
        cluster.web.success_rate = 50
        await cluster.until(lambda status: bool(status["rollout"].get("outcome")))
        started = asyncio.get_running_loop().time()
        await cluster.until_phase("Failed")
        assert seen[-1] == ((100, 0), before)
        assert asyncio.get_running_loop().time() - started < 15


async def test_a_pod_more_than_before_is_no_reason_to_wait() -> None:
    """The primary was not shrunk: traffic goes back at once, and its autoscaler is not written."""
    async with initialised(demand=2) as cluster:
        before = (await cluster.get(HORIZONTAL_POD_AUTOSCALER, "web-primary"))["metadata"]["resourceVersion"]
        await cluster.release("web:2")
        await cluster.until_phase("Succeeded")
        assert (await cluster.get(HORIZONTAL_POD_AUTOSCALER, "web-primary"))["metadata"]["resourceVersion"] == before


async def test_the_canary_starts_with_the_least_replicas_of_its_autoscaler() -> None:
    """workloads:DEP-08, AS-04"""
    async with initialised(hpa(least=3)) as cluster:
        await cluster.release("web:2")
        await cluster.until_phase("Progressing")
        await asyncio.sleep(0.5)
        assert await replicas(cluster, "web") == 3


async def test_a_promotion_leaves_the_replicas_to_the_autoscaler() -> None:
    """workloads:AS-05, DEP-01: the target has 3 pods as it is promoted, the primary keeps its 10."""
    async with initialised() as cluster:
        await cluster.release("web:2")
        await cluster.until_phase("Promoting")
        assert await replicas(cluster, "web") < 10
        assert await replicas(cluster, "web-primary") == 10


async def test_an_edit_reaches_the_primary_at_once_while_nothing_is_rolled_out() -> None:
    """workloads:AS-03"""
    async with initialised() as cluster:
        await cluster.patch(HORIZONTAL_POD_AUTOSCALER, "web", {"spec": {"maxReplicas": 20}})
        await asyncio.sleep(1)
        assert await limits(cluster) == (2, 20)
        await cluster.patch(CANARY, "web", {"spec": {"autoscalerRef": {"primaryScalerReplicas": {"minReplicas": 4, "maxReplicas": 15}}}})
        await asyncio.sleep(1)
        assert await limits(cluster) == (4, 15)


async def test_in_the_middle_of_a_rollout_limits_only_rise() -> None:
    """workloads:AS-03, AS-05"""
    async with initialised() as cluster:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 20)
        await cluster.patch(HORIZONTAL_POD_AUTOSCALER, "web", {"spec": {"minReplicas": 1, "maxReplicas": 3}})
        await asyncio.sleep(5)
        assert await limits(cluster) == (2, 12)
        await cluster.patch(HORIZONTAL_POD_AUTOSCALER, "web", {"spec": {"minReplicas": 3, "maxReplicas": 30}})
        await asyncio.sleep(5)
        assert await limits(cluster) == (3, 30)


async def test_a_settled_canary_costs_no_request_whatever_its_autoscaler_measures() -> None:
    """Issue 5, figures."""
    async with initialised() as cluster:
        await asyncio.sleep(30)
        before = len([one for one in cluster.server.log if one.user == CONTROLLER.name])
        for desired in range(1, 60):
            status = {"status": {"desiredReplicas": desired, "currentMetrics": None}}
            for name in ("web", "web-primary"):
                ref = Ref(HORIZONTAL_POD_AUTOSCALER, NAMESPACE, name)
                await cluster.client.patch(ref, MergePatch(status), subresource="status")
            await asyncio.sleep(15)
        log = [one for one in cluster.server.log if one.user == CONTROLLER.name]
        assert [one.path for one in log[before:] if "watch" not in one.verb] == []


class TestKeda:
    """ScaledObjects: `keda.sh/v1alpha1`, as raw JSON."""

    @staticmethod
    @asynccontextmanager
    async def initialised(scaler: Manifest | None = None, *, revert: bool = False, **ref: Any) -> AsyncIterator[MemoryCluster]:
        async with memory_cluster() as cluster:
            await install_keda(cluster)
            await cluster.client.create(DEPLOYMENT, deployment(replicas=4))
            await cluster.client.create(SCALED_OBJECT, scaler or scaled_object())
            manifest = scaled_canary("ScaledObject", **ref)
            manifest["spec"]["revertOnDeletion"] = revert
            await cluster.client.create(CANARY, manifest)
            async with running_controller(cluster), autoscaling(cluster, 4, SCALED_OBJECT):
                await cluster.until_phase("Initialized")
                yield cluster

    async def test_the_targets_is_paused_at_zero_and_the_primarys_is_not(self) -> None:
        """workloads:KEDA-03, KEDA-06, GEN-18"""
        async with self.initialised() as cluster:
            await asyncio.sleep(30)
            assert await pause(cluster, "web") == "0"
            assert await pause(cluster, "web-primary") is None
            assert (await replicas(cluster, "web"), await replicas(cluster, "web-primary")) == (0, 4)
            query = (await cluster.get(SCALED_OBJECT, "web-primary"))["spec"]["triggers"][0]["metadata"]["query"]
            assert query == 'sum(rate(http_requests{app="web-primary"}[1m]))'

    async def test_it_scales_the_canary_in_a_run_and_is_paused_after_it(self) -> None:
        """workloads:KEDA-07"""
        async with self.initialised() as cluster:
            await cluster.release("web:2")
            await cluster.until(lambda status: status.get("canaryWeight") == 20)
            assert await pause(cluster, "web") is None
            await cluster.until_phase("Succeeded")
            assert (await pause(cluster, "web"), await replicas(cluster, "web")) == ("0", 0)
            cluster.web.success_rate = 50
            await cluster.release("web:3")
            await cluster.until_phase("Failed")
            assert (await pause(cluster, "web"), await replicas(cluster, "web")) == ("0", 0)
            assert await pause(cluster, "web-primary") is None

    async def test_only_the_annotation_of_the_users_object_is_written(self) -> None:
        """workloads:KEDA-06: fields that this version knows nothing of survive."""
        source = scaled_object()
        source["spec"]["initialCooldownPeriod"] = 7
        async with self.initialised(source) as cluster:
            await cluster.release("web:2")
            await cluster.until_phase("Succeeded")
            assert (await cluster.get(SCALED_OBJECT, "web"))["spec"] == source["spec"]
            assert (await cluster.get(SCALED_OBJECT, "web-primary"))["spec"]["initialCooldownPeriod"] == 7

    async def test_a_deleted_copy_is_made_again_without_the_pause(self) -> None:
        """workloads:KEDA-03: while the target's is paused."""
        async with self.initialised() as cluster:
            await cluster.client.delete(Ref(SCALED_OBJECT, NAMESPACE, "web-primary"))
            await asyncio.sleep(10)
            assert await pause(cluster, "web-primary") is None
            assert await replicas(cluster, "web-primary") == 4

    async def test_a_pause_of_the_primary_is_taken_away(self) -> None:
        """workloads:KEDA-03: what Flagger has left."""
        async with self.initialised() as cluster:
            await cluster.patch(SCALED_OBJECT, "web-primary", {"metadata": {"annotations": {PAUSED: "0"}}})
            await asyncio.sleep(1)
            assert await pause(cluster, "web-primary") is None

    async def test_queries_of_the_canarys_own(self) -> None:
        """workloads:KEDA-04"""
        async with self.initialised(primaryScalerQueries={"load": "mine", "other": "x"}) as cluster:
            trigger = (await cluster.get(SCALED_OBJECT, "web-primary"))["spec"]["triggers"][0]
            assert trigger["metadata"]["query"] == "mine"
            (remark,) = [text for text in await messages(cluster) if "primaryScalerQueries" in text]
            assert "name ['other'], but spec.triggers[].name has ['load']" in remark

    async def test_deletion_gives_the_target_its_autoscaler_and_its_pods_back(self) -> None:
        """workloads:FIN-04, AS-04"""
        async with self.initialised(revert=True) as cluster:
            await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
            await until_gone(cluster)
            assert (await pause(cluster, "web"), await replicas(cluster, "web")) == (None, 4)

    async def test_a_missing_autoscaler_does_not_hold_a_deletion(self) -> None:
        """workloads:FIN-10"""
        async with self.initialised(revert=True) as cluster:
            await cluster.client.delete(Ref(SCALED_OBJECT, NAMESPACE, "web"))
            await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
            await until_gone(cluster)
            assert await replicas(cluster, "web") == 4


async def until_gone(cluster: MemoryCluster) -> None:
    for _ in range(400):
        if not await cluster.client.find(CANARY, NAMESPACE):
            return
        await asyncio.sleep(0.25)
    raise AssertionError(await cluster.status())


async def pause(cluster: MemoryCluster, name: str) -> str | None:
    annotations = (await cluster.get(SCALED_OBJECT, name))["metadata"].get("annotations") or {}
    return annotations.get(PAUSED)


class TestAbsences:
    async def test_without_keda_the_canary_says_so_and_begins_when_it_is_there(self) -> None:
        """workloads:AS-07: nothing breaks, the target serves on."""
        async with memory_cluster() as cluster, running_controller(cluster):
            await cluster.client.create(DEPLOYMENT, deployment())
            await cluster.client.create(CANARY, scaled_canary("ScaledObject"))
            await told(cluster, "ReferencesResolved", ["spec.autoscalerRef: ScaledObject test/web cannot be read", "scaledobjects.keda.sh"])
            assert await replicas(cluster, "web") == 2
            await install_keda(cluster)
            await told(cluster, "ReferencesResolved", ["spec.autoscalerRef: ScaledObject test/web does not exist"])
            await cluster.client.create(SCALED_OBJECT, scaled_object())
            await cluster.until_phase("Initialized")
            assert [one["type"] for one in (await cluster.status())["conditions"]] == ["Promoted"]

    async def test_a_deleted_autoscaler_holds_the_next_run_and_not_the_one_under_way(self) -> None:
        """workloads:AS-07"""
        async with initialised() as cluster:
            await cluster.release("web:2")
            await cluster.until(lambda status: status.get("canaryWeight") == 20)
            await cluster.client.delete(Ref(HORIZONTAL_POD_AUTOSCALER, NAMESPACE, "web"))
            await cluster.until_phase("Succeeded")
            await told(cluster, "ReferencesResolved", ["HorizontalPodAutoscaler test/web does not exist"])
            await cluster.release("web:3")
            await asyncio.sleep(30)
            assert (await cluster.status())["phase"] == "Succeeded"
            await cluster.client.create(HORIZONTAL_POD_AUTOSCALER, hpa())
            await cluster.until_phase("Progressing")

    async def test_limits_that_exclude_each_other_are_told(self) -> None:
        async with initialised() as cluster:
            await cluster.patch(CANARY, "web", {"spec": {"autoscalerRef": {"primaryScalerReplicas": {"minReplicas": 20}}}})
            await told(cluster, "ReferencesResolved", ["minReplicas 20", "maxReplicas 12"])
            assert await limits(cluster) == (2, 12)

    async def test_an_autoscaler_that_another_controls_is_left_alone(self) -> None:
        owner = {"apiVersion": "v1", "kind": "Robot", "name": "r2", "uid": "1-2-3", "controller": True}
        other = hpa(ownerReferences=[owner])
        other["metadata"]["name"] = "web-primary"
        async with memory_cluster() as cluster, running_controller(cluster):
            await cluster.client.create(DEPLOYMENT, deployment())
            await cluster.client.create(HORIZONTAL_POD_AUTOSCALER, hpa())
            await cluster.client.create(HORIZONTAL_POD_AUTOSCALER, other)
            await cluster.client.create(CANARY, scaled_canary())
            await told(cluster, "ReferencesResolved", ["HorizontalPodAutoscaler test/web-primary is controlled by Robot r2"])
            assert not [one for one in writes(cluster) if one.resource == "horizontalpodautoscalers"]

    async def test_another_reference_leaves_no_copy_behind(self) -> None:
        """workloads:AS-08"""
        async with initialised() as cluster:
            await install_keda(cluster)
            await cluster.client.create(SCALED_OBJECT, scaled_object())
            await cluster.patch(CANARY, "web", {"spec": {"autoscalerRef": reference("ScaledObject")}})
            await asyncio.sleep(10)
            assert [one["metadata"]["name"] for one in await cluster.client.find(HORIZONTAL_POD_AUTOSCALER, NAMESPACE)] == ["web"]
            assert {one["metadata"]["name"] for one in await cluster.client.find(SCALED_OBJECT, NAMESPACE)} == {"web", "web-primary"}
            assert await pause(cluster, "web") == "0"
            await cluster.patch(CANARY, "web", {"spec": {"autoscalerRef": None}})
            await asyncio.sleep(10)
            assert [one["metadata"]["name"] for one in await cluster.client.find(SCALED_OBJECT, NAMESPACE)] == ["web"]
            assert await replicas(cluster, "web-primary") == 10
