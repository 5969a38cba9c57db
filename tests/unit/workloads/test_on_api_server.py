"""The life of a Deployment target on the embedded API server, through the real client and its caches."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster, ClusterObjects
from flagger_py.kube.store import Projection
from flagger_py.local.apiserver import ApiServer
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, Manifest, Ref
from flagger_py.rollout.views import ServicesView
from flagger_py.workloads.base import TrackedConfigs
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.settings import WorkloadSettings
from tests.unit.workloads.build import NAMESPACE, make_canary, make_config, make_deployment

CANARY = make_canary(service={"portDiscovery": True})
POD: Manifest = {
    "containers": [
        {
            "name": "web",
            "image": "web:1",
            "ports": [{"containerPort": 80}, {"containerPort": 9090, "name": "metrics"}],
            "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "token", "optional": True}}],
        }
    ]
}
PROJECTIONS = {
    DEPLOYMENT: Projection(DeploymentWorkload.project),
    CONFIG_MAP: Projection(metadata_only=True),
    SECRET: Projection(metadata_only=True),
}


class Life:
    """A cluster with a target, as the controller sees it."""

    def __init__(self, cluster: Cluster) -> None:
        self.objects = ClusterObjects(cluster, cluster.client, lambda ref: None)
        self.workload = DeploymentWorkload(self.objects, WorkloadSettings())

    async def revision(self) -> str:
        target = await self.workload.target(CANARY)
        assert target is not None
        return target.revision

    async def configs(self) -> TrackedConfigs:
        return await self.workload.configs(CANARY, {}, {})

    async def find(self, name: str) -> Manifest:
        manifest = await self.objects.get(Ref(DEPLOYMENT, NAMESPACE, name))
        assert manifest is not None
        return manifest

    async def release(self, image: str) -> None:
        container = {**POD["containers"][0], "image": image}
        patch = MergePatch({"spec": {"template": {"spec": {"containers": [container]}}}})
        await self.objects.patch(Ref(DEPLOYMENT, NAMESPACE, "web"), patch)

    async def all_versions(self) -> dict[str, str]:
        """Every object that the workload writes, with its version."""
        resources = [watched.resource for watched in DeploymentWorkload.resources(WorkloadSettings())]
        return {
            f"{resource.kind} {manifest['metadata']['name']}": manifest["metadata"]["resourceVersion"]
            for resource in resources
            for manifest in await self.objects.find(resource, NAMESPACE)
        }


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    server = ApiServer()
    namespace: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    target = make_deployment(pod=POD)
    del target["status"]
    server.load([namespace, make_config("settings", {"colour": "blue"}), make_config("token", {"t": "czNjcmV0"}, kind="Secret"), target])
    async with Cluster(Client(server.transport()), projections=PROJECTIONS) as cluster:
        yield Life(cluster)


async def initialise(life: Life) -> None:
    await life.workload.ensure_services(CANARY)
    await life.workload.create_primary(CANARY, await life.revision(), (await life.configs()).checksums)
    await life.workload.ensure_apex(CANARY)
    await life.workload.scale_to_zero(CANARY)


async def test_initialisation_is_complete_and_a_second_one_writes_nothing(life: Life) -> None:
    """design §4: replaying a pass changes nothing."""
    await initialise(life)
    assert await life.workload.services(CANARY) == ServicesView(canary=True, primary=True, apex=True)
    assert await life.workload.primary_matches_target(CANARY)
    assert (await life.find("web"))["spec"]["replicas"] == 0
    before = await life.all_versions()
    await initialise(life)
    await life.workload.adopt(CANARY)
    assert await life.all_versions() == before
    assert sorted(name.split(" ")[0] for name in before) == [
        *["ConfigMap"] * 2,
        "ControllerRevision",
        *["Deployment"] * 2,
        *["Secret"] * 2,
        *["Service"] * 3,
    ]


async def test_a_promotion_changes_the_primary_once(life: Life) -> None:
    """engine:HAZ-09"""
    await initialise(life)
    await life.release("web:2")
    assert not await life.workload.primary_matches_target(CANARY)
    await life.workload.scale_up(CANARY)
    arguments = (await life.revision(), (await life.configs()).checksums)
    await life.workload.promote(CANARY, *arguments)
    primary = await life.find("web-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    assert await life.workload.primary_matches_target(CANARY)
    before = await life.all_versions()
    await life.workload.promote(CANARY, *arguments)
    await life.workload.prune(CANARY)
    assert await life.all_versions() == before


async def test_a_deleted_primary_is_restored(life: Life) -> None:
    """workloads:DEP-05"""
    await initialise(life)
    before = await life.find("web-primary")
    await life.objects.delete(Ref(DEPLOYMENT, NAMESPACE, "web-primary"))
    await life.release("web:2")
    assert await life.workload.restore_primary(CANARY)
    assert (await life.find("web-primary"))["spec"] == before["spec"]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda spec: spec["selector"].update(extra="1"), id="selector"),
        pytest.param(lambda spec: spec.update(ports=[{"name": "other", "port": 81}]), id="ports"),
    ],
)
async def test_an_edited_service_is_repaired(life: Life, edit: Callable[[dict[str, Any]], None]) -> None:
    """routers:K8S-16"""
    await initialise(life)
    ref = Ref(SERVICE, NAMESPACE, "web")
    live = await life.objects.get(ref)
    assert live is not None
    edit(live["spec"])
    await life.objects.patch(ref, MergePatch({"spec": {key: live["spec"][key] for key in ("selector", "ports")}}))
    assert not (await life.workload.services(CANARY)).apex
    await life.workload.ensure_apex(CANARY)
    assert (await life.workload.services(CANARY)).apex
