"""What is observed of autoscalers, and what is written to them, when calls fail or others write at the same time (workloads:§4)."""

from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.objects.errors import Conflict, Forbidden, NotServed
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.views import NO_SCALER, CopyState, ReplicaLimits
from flagger_py.workloads.autoscaling.scalers import Scalers
from flagger_py.workloads.base import WorkloadError
from flagger_py.workloads.settings import WorkloadSettings
from tests.unit.workloads.autoscalers import make_hpa, make_scaled_object, scaled_canary
from tests.unit.workloads.build import NAMESPACE, make_canary
from tests.unit.workloads.memory import MemoryObjects
from tests.unit.workloads.recordings import Recording

PAUSED = "autoscaling.keda.sh/paused-replicas"


class Cluster:
    """Objects, and the autoscalers of one Canary in them."""

    def __init__(self, *manifests: Manifest, canary: Canary | None = None) -> None:
        self.objects = MemoryObjects(manifests)
        self.canary = canary or scaled_canary()
        self.scalers = Scalers(self.objects, WorkloadSettings())

    def annotations(self, name: str = "web") -> dict[str, Any]:
        return dict(self.objects.manifest("ScaledObject", NAMESPACE, name)["metadata"].get("annotations") or {})


def keda(*manifests: Manifest, **ref: Any) -> Cluster:
    return Cluster(*(manifests or (make_scaled_object(),)), canary=scaled_canary("ScaledObject", **ref))


class TestView:
    async def test_of_a_target_and_a_copy_in_step(self) -> None:
        cluster = Cluster(make_hpa())
        assert (await cluster.scalers.view(cluster.canary)).copy is CopyState.MISSING
        await cluster.scalers.keep_copy(cluster.canary, 0, whole=True)
        view = await cluster.scalers.view(cluster.canary)
        assert (view.copy, view.live, view.wanted) == (CopyState.IN_STEP, ReplicaLimits(2, 6), ReplicaLimits(2, 6))
        assert (view.start_replicas, view.is_paused, view.problem) == (2, None, "")

    async def test_costs_no_request(self) -> None:
        cluster = Cluster(make_hpa())
        await cluster.scalers.view(cluster.canary)
        assert cluster.objects.reads == []

    @pytest.mark.parametrize("target", ["DaemonSet", "Service"])
    async def test_of_a_target_that_none_can_scale(self, target: str) -> None:
        """workloads:DS-07, api:GAP-49"""
        ref = {"kind": "HorizontalPodAutoscaler", "name": "web"}
        canary = make_canary(autoscalerRef=ref, targetRef={"apiVersion": "v1", "kind": target, "name": "web"})
        assert await Cluster(make_hpa(), canary=canary).scalers.view(canary) == NO_SCALER

    async def test_of_a_missing_one(self) -> None:
        """workloads:AS-07"""
        cluster = Cluster()
        view = await cluster.scalers.view(cluster.canary)
        assert view.problem == "spec.autoscalerRef: HorizontalPodAutoscaler shop/web does not exist"
        assert not view.is_hidden

    @pytest.mark.parametrize(("error", "is_hidden"), [(NotServed("no", status=404), False), (Forbidden("no", status=403), True)])
    async def test_of_a_kind_that_cannot_be_read(self, error: NotServed | Forbidden, *, is_hidden: bool) -> None:
        """Without KEDA there is nothing to put back at a deletion; without the right there may be."""
        cluster = keda()
        cluster.objects.fail("read", "ScaledObject", error)
        view = await cluster.scalers.view(cluster.canary)
        assert view.problem == "spec.autoscalerRef: ScaledObject shop/web cannot be read: no"
        assert view.is_hidden is is_hidden

    async def test_one_that_scales_nothing_is_told(self) -> None:
        source = make_scaled_object()
        del source["spec"]["scaleTargetRef"]
        cluster = keda(source)
        assert (await cluster.scalers.view(cluster.canary)).problem.endswith("ScaledObject shop/web has no spec.scaleTargetRef")

    async def test_one_that_cannot_be_copied_can_still_be_paused(self) -> None:
        cluster = keda(primaryScalerReplicas={"minReplicas": 9})
        view = await cluster.scalers.view(cluster.canary)
        assert "minReplicaCount 9 and maxReplicaCount 3" in view.problem
        assert view.is_paused is False


class TestWrites:
    async def test_a_copy_that_another_controls_is_refused(self) -> None:
        owner = {"apiVersion": "v1", "kind": "Robot", "name": "r2", "uid": "1", "controller": True}
        cluster = Cluster(make_hpa(), make_hpa("web-primary", metadata={"ownerReferences": [owner]}))
        with pytest.raises(WorkloadError, match="HorizontalPodAutoscaler shop/web-primary is controlled by Robot r2"):
            await cluster.scalers.keep_copy(cluster.canary, 0, whole=True)
        assert cluster.objects.writes == []

    async def test_twice_writes_once(self) -> None:
        cluster = Cluster(make_hpa())
        for _ in range(2):
            await cluster.scalers.keep_copy(cluster.canary, 4, whole=True)
        assert cluster.objects.writes == ["create HorizontalPodAutoscaler web-primary"]

    async def test_a_pause_changes_one_annotation_and_is_lifted_again(self) -> None:
        """workloads:KEDA-06"""
        cluster = keda(make_scaled_object(metadata={"annotations": {"mine": "x"}}))
        spec = dict(cluster.objects.manifest("ScaledObject", NAMESPACE, "web")["spec"])
        for _ in range(2):
            await cluster.scalers.pause(cluster.canary)
        assert cluster.annotations() == {"mine": "x", PAUSED: "0"}
        for _ in range(2):
            await cluster.scalers.resume(cluster.canary)
        assert cluster.annotations() == {"mine": "x"}
        assert cluster.objects.manifest("ScaledObject", NAMESPACE, "web")["spec"] == spec
        assert cluster.objects.writes == ["patch ScaledObject web"] * 2

    async def test_a_pause_survives_a_conflict(self) -> None:
        cluster = keda()
        cluster.objects.fail("patch", "ScaledObject", Conflict("no", status=409))
        await cluster.scalers.pause(cluster.canary)
        assert cluster.annotations() == {PAUSED: "0"}

    async def test_an_autoscaler_that_is_gone_holds_nothing(self) -> None:
        """workloads:FIN-10"""
        cluster = Cluster(canary=scaled_canary("ScaledObject"))
        await cluster.scalers.resume(cluster.canary)
        cluster.objects.fail("read", "ScaledObject", NotServed("no", status=404))
        await cluster.scalers.resume(cluster.canary)
        await cluster.scalers.remove_former(cluster.canary, "HorizontalPodAutoscaler/web")
        assert cluster.objects.writes == []

    async def test_a_former_copy_of_somebody_else_stays(self) -> None:
        """workloads:AS-08"""
        cluster = keda(make_hpa("web-primary"))
        await cluster.scalers.remove_former(cluster.canary, "HorizontalPodAutoscaler/web")
        assert cluster.objects.names("HorizontalPodAutoscaler") == ["web-primary"]


@pytest.mark.parametrize("phase", ["initialized", "progressing", "promoting", "succeeded", "failed"])
async def test_the_copy_that_flagger_left_is_in_step(phase: str) -> None:
    """workloads:HPA-03: a take-over writes nothing."""
    recording = Recording("istio-hpa", phase)
    view = await Scalers(recording.objects, WorkloadSettings()).view(recording.canary)
    assert (view.copy, view.live, view.problem, view.remark) == (CopyState.IN_STEP, view.wanted, "", "")
