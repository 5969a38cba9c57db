"""A Deployment with a HorizontalPodAutoscaler that Kubernetes' own controller acts on, and one with a ScaledObject of KEDA's own schema.

There is no metrics server: that controller only keeps a Deployment within its autoscaler's limits. What it would measure is done by hand.
"""

from dataclasses import replace

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.samples import APP
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Manifest, Ref, Resource
from flagger_py.workloads.autoscaling.keda import PAUSED_REPLICAS
from tests.e2e.app import App, app
from tests.e2e.test_rollouts import sample
from tests.e2e.waiting import until

PRIMARY = f"{APP}-primary"
REFERENCE = {"apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version, "kind": HORIZONTAL_POD_AUTOSCALER.kind, "name": APP}
SYNC_SECONDS = 15
"""Between two looks of Kubernetes at an autoscaler."""


@pytest.mark.timeout(240)
async def test_kubernetes_scales_the_primary_and_leaves_the_target_at_zero(client: Client, namespace: str) -> None:
    """E2E-29, E2E-64, workloads:AS-03, AS-04, AS-05: and a primary with fewer pods than before gets them back before all users."""
    async with app(client, replace(sample("contour", namespace), replicas=2)) as running:
        await give_autoscaler(running)
        await running.change({"autoscalerRef": {**REFERENCE, "primaryScalerReplicas": {"minReplicas": 3}}})
        await until_pods(running, 3, seconds=4 * SYNC_SECONDS)
        assert await running.replicas(APP) == 0
        await running.change({"autoscalerRef": {"primaryScalerReplicas": {"minReplicas": 1}}})

        await running.release("2")
        await running.until_first_check()
        await running.client.patch(Ref(DEPLOYMENT, namespace, PRIMARY), MergePatch({"spec": {"replicas": 1}}))
        await running.until_phase("Finalising")
        assert await pods(running) == 3
        assert (await copy_of(running))["minReplicas"] == 3
        await running.until_phase("Succeeded")
        assert await running.image(PRIMARY) == "2"
        assert await running.replicas(APP) == 0
        running.check_no_failures()


@pytest.mark.timeout(240)
async def test_a_scaled_object_is_paused_and_its_copy_is_as_keda_wants_it(client: Client, namespace: str) -> None:
    """E2E-23, workloads:KEDA-01..07: nobody acts on it here; what the server makes of the copy is no drift."""
    async with app(client, sample("contour", namespace)) as running:
        query = {"serverAddress": "http://prometheus", "threshold": "5", "query": f'sum(rate(http{{app="{APP}"}}[1m]))'}
        spec: Manifest = {
            "scaleTargetRef": {"name": APP},
            "minReplicaCount": 1,
            "maxReplicaCount": 3,
            "initialCooldownPeriod": 7,
            "fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "static"},
            "triggers": [{"type": "prometheus", "name": "load", "metadata": query, "useCachedMetrics": True}],
        }
        await client.create(SCALED_OBJECT, {"metadata": {"name": APP, "namespace": namespace}, "spec": spec})
        await running.change({"autoscalerRef": {"apiVersion": SCALED_OBJECT.api_version, "kind": SCALED_OBJECT.kind, "name": APP}})
        await until(lambda: is_paused(running, APP), seconds=20)
        await running.release("2")
        await running.until_first_check()
        assert not await is_paused(running, APP)
        await running.until_phase("Succeeded")
        assert await is_paused(running, APP)
        assert (await found(running, SCALED_OBJECT, APP))["spec"] == spec
        copy = await found(running, SCALED_OBJECT, PRIMARY)
        assert copy["spec"] == {
            **spec,
            "scaleTargetRef": {"name": PRIMARY},
            "minReplicaCount": running.sample.replicas,  # held for a while after traffic went back
            "advanced": {"horizontalPodAutoscalerConfig": {}},
            "triggers": [{**spec["triggers"][0], "metadata": {**query, "query": query["query"].replace(APP, PRIMARY)}}],
        }
        assert (copy["metadata"]["generation"], "annotations" in copy["metadata"]) == (2, False)
        running.check_no_failures()


async def found(running: App, resource: Resource, name: str) -> Manifest:
    return await running.client.get(Ref(resource, running.sample.namespace, name))


async def is_paused(running: App, name: str) -> bool:
    annotations = (await found(running, SCALED_OBJECT, name))["metadata"].get("annotations") or {}
    return bool(annotations.get(PAUSED_REPLICAS) == "0")


async def give_autoscaler(running: App) -> None:
    target = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": APP}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 6}
    manifest = {"metadata": {"name": APP, "namespace": running.sample.namespace}, "spec": spec}
    await running.client.create(HORIZONTAL_POD_AUTOSCALER, manifest)


async def copy_of(running: App) -> Manifest:
    spec: Manifest = (await found(running, HORIZONTAL_POD_AUTOSCALER, PRIMARY))["spec"]
    return spec


async def pods(running: App) -> int:
    """How many pods of the primary can serve."""
    status = (await found(running, DEPLOYMENT, PRIMARY)).get("status") or {}
    return int(status.get("availableReplicas") or 0)


async def until_pods(running: App, wanted: int, *, seconds: float) -> None:
    async def has_them() -> bool:
        return await pods(running) == wanted

    await until(has_them, seconds=seconds)
