"""A Deployment with a HorizontalPodAutoscaler that Kubernetes' own controller acts on.

There is no metrics server: that controller only keeps a Deployment within its autoscaler's limits. What it would measure is done by hand.
"""

from dataclasses import replace

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.samples import APP
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Manifest, Ref
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


async def give_autoscaler(running: App) -> None:
    target = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": APP}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 6}
    manifest = {"metadata": {"name": APP, "namespace": running.sample.namespace}, "spec": spec}
    await running.client.create(HORIZONTAL_POD_AUTOSCALER, manifest)


async def copy_of(running: App) -> Manifest:
    copy = await running.client.get(Ref(HORIZONTAL_POD_AUTOSCALER, running.sample.namespace, PRIMARY))
    spec: Manifest = copy["spec"]
    return spec


async def pods(running: App) -> int:
    """How many pods of the primary can serve."""
    status = (await running.client.get(Ref(DEPLOYMENT, running.sample.namespace, PRIMARY))).get("status") or {}
    return int(status.get("availableReplicas") or 0)


async def until_pods(running: App, wanted: int, *, seconds: float) -> None:
    async def has_them() -> bool:
        return await pods(running) == wanted

    await until(has_them, seconds=seconds)
