"""A primary that its autoscaler has made smaller gets its pods back before all users meet it, with real traffic."""

import asyncio

import pytest

from flagger_py.local.samples import APP
from flagger_py.objects.resource import CANARY, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Manifest
from tests.local.site import App, Site, site
from tests.local.stage import on_stage

pytestmark = pytest.mark.wide

PODS = 3
SCALED = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": APP}
REFERENCE = {"apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version, "kind": HORIZONTAL_POD_AUTOSCALER.kind, "name": APP}


@on_stage(site)
async def test_traffic_goes_back_to_as_many_pods_as_before(site: Site) -> None:
    """engine:HAZ-38, workloads:AS-03, AS-05: an autoscaler that a settled Canary is given later; then a promotion and a rollback."""
    async with site.app("autoscaling", interval="4s", replicas=PODS) as app:
        await give_autoscaler(app)
        await app.release("2")
        await app.until_weight(50)
        await shrink(app)
        await app.until_phase("Promoting")
        async with asyncio.TaskGroup() as group:
            least = group.create_task(least_available(app, until_weight=0))
            await app.until_phase("Succeeded", "Failed")
        assert least.result() == PODS
        assert await app.primary_version() == "2"
        app.assert_only_failures_of()

        await app.change_analysis(threshold=1)
        await app.release("3", FAULT_ERROR_PERCENT="50")
        await app.until_weight(25)
        await shrink(app)
        assert await app.until_phase("Succeeded", "Failed") == "Failed"
        assert await available(app) == PODS
        assert (await copy_of(app))["minReplicas"] == PODS
        app.assert_only_failures_of("3")


async def give_autoscaler(app: App) -> None:
    """An HPA with nobody who acts on it: what it would do is done by hand."""
    namespace = app.sample.namespace
    spec = {"scaleTargetRef": SCALED, "minReplicas": 1, "maxReplicas": 6}
    manifest = {"metadata": {"name": APP, "namespace": namespace}, "spec": spec}
    await app.site.cluster.client.create(HORIZONTAL_POD_AUTOSCALER, manifest)
    await app.patch(CANARY, APP, {"spec": {"autoscalerRef": REFERENCE}})
    await app.until(lambda status: "autoscaler" in status.get("rollout", {}), "the primary has its autoscaler")
    assert (await copy_of(app))["scaleTargetRef"]["name"] == f"{APP}-primary"


async def copy_of(app: App) -> Manifest:
    spec: Manifest = (await app.get(HORIZONTAL_POD_AUTOSCALER, f"{APP}-primary"))["spec"]
    return spec


async def shrink(app: App) -> None:
    await app.patch(DEPLOYMENT, f"{APP}-primary", {"spec": {"replicas": 1}})


async def available(app: App) -> int:
    status = (await app.get(DEPLOYMENT, f"{APP}-primary")).get("status") or {}
    return int(status.get("availableReplicas") or 0)


async def least_available(app: App, *, until_weight: int) -> int:
    """How many pods of the primary can serve as the weight is reached."""
    await app.until_weight(until_weight)
    return await available(app)
