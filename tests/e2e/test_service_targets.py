"""Copies of Services, and the traffic of Knative Services, on a real API server and Knative's own definitions."""

from collections.abc import Mapping
from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster, ClusterObjects
from flagger_py.objects.knative import KNATIVE_REVISION, KNATIVE_SERVICE, PRIMARY_REVISION
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, SERVICE, Manifest, Ref
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import Routes, Traffic
from flagger_py.rollout.views import ServicesView
from flagger_py.routers.base import RouterSettings
from flagger_py.routers.knative import KnativeRouter
from flagger_py.workloads.core_service import CoreServiceWorkload
from flagger_py.workloads.knative import KnativeWorkload, revision_of
from flagger_py.workloads.settings import WorkloadSettings
from tests.e2e.test_router_objects import StrictObjects

PORTS = [{"name": "http", "port": 80, "targetPort": 8080}]
IN_STEP = ServicesView(canary=True, primary=True, apex=True)


async def _canary(client: Client, namespace: str, **spec: Any) -> Canary:
    """A real owner: garbage collection deletes the objects of one that does not exist."""
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 10}
    target = {"apiVersion": "v1", "kind": "Service", "name": "web"}
    full = {"targetRef": target, "service": {"port": 80}, "provider": "kubernetes", "analysis": analysis, **spec}
    return Canary.model_validate(await client.create(CANARY, {"metadata": {"name": "web", "namespace": namespace}, "spec": full}))


async def _promoted(workload: CoreServiceWorkload, canary: Canary) -> bool:
    """Bring both copies to where the user's Service is, and look whether they are there."""
    target = await workload.target(canary)
    assert target is not None
    await workload.ensure_services(canary)
    if await workload.primary(canary) is None:
        await workload.create_primary(canary, target.revision, {})
    await workload.promote(canary, target.revision, {})
    return await workload.primary_matches_target(canary) and await workload.services(canary) == IN_STEP


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {"selector": {"app": "other"}}, id="another selector"),
        pytest.param({"clusterIP": "None"}, {"selector": {"app": "other"}}, id="headless"),
        pytest.param({"type": "NodePort"}, {"type": "ClusterIP"}, id="node ports go"),
        pytest.param({}, {"type": "NodePort"}, id="node ports come"),
        pytest.param({"type": "NodePort"}, {"ports": [*PORTS, {"name": "grpc", "port": 81}]}, id="one more node port"),
        pytest.param({"type": "LoadBalancer"}, {"type": "ClusterIP"}, id="no load balancer any more"),
        pytest.param(
            {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}, {"externalTrafficPolicy": "Cluster"}, id="no health check any more"
        ),
        pytest.param({"sessionAffinity": "ClientIP"}, {"sessionAffinity": "None"}, id="no affinity any more"),
        pytest.param({}, {"type": "ExternalName", "externalName": "old.example.com", "selector": None}, id="to an external name"),
        pytest.param(
            {"type": "ExternalName", "externalName": "old.example.com"}, {"type": "ClusterIP", "externalName": None}, id="from one"
        ),
        pytest.param({}, {"trafficDistribution": "PreferClose", "internalTrafficPolicy": "Local"}, id="near pods only"),
        pytest.param({}, {"publishNotReadyAddresses": True}, id="pods that are not ready"),
    ],
)
async def test_the_copies_go_along_with_every_change(
    client: Client, cluster: Cluster, namespace: str, before: Mapping[str, Any], after: Manifest
) -> None:
    """workloads:SVC-03, SVC-04, SVC-05, api:GAP-70: nothing that the server gives is copied, so that it takes the copies."""
    metadata = {"name": "web", "namespace": namespace, "labels": {"team": "shop"}}
    await client.create(SERVICE, {"metadata": metadata, "spec": {"selector": {"app": "web"}, "ports": PORTS, **before}})
    canary = await _canary(client, namespace)
    objects = ClusterObjects(cluster, client, lambda ref: None)
    assert await _promoted(CoreServiceWorkload(objects, WorkloadSettings()), canary)
    await client.patch(Ref(SERVICE, namespace, "web"), MergePatch({"spec": after}))
    await objects.get(Ref(SERVICE, namespace, "web"))
    assert await _promoted(CoreServiceWorkload(objects, WorkloadSettings()), canary)
    versions = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in await client.find(SERVICE, namespace)}
    assert await _promoted(CoreServiceWorkload(objects, WorkloadSettings()), canary)
    assert versions == {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in await client.find(SERVICE, namespace)}


async def test_a_knative_service_is_split_and_given_back(client: Client, cluster: Cluster, namespace: str) -> None:
    """routers:KNA-02, KNA-05, workloads:KN-03, KN-04, KN-08: the server refuses what Knative's definitions would prune."""
    target = {"apiVersion": KNATIVE_SERVICE.api_version, "kind": "Service", "name": "web"}
    canary = await _canary(client, namespace, provider="knative", targetRef=target, service=None)
    container = {"image": "registry.example.com/web:1"}
    spec = {"template": {"spec": {"containers": [container]}}, "traffic": [{"latestRevision": True, "percent": 100, "tag": "newest"}]}
    await client.create(KNATIVE_SERVICE, {"metadata": {"name": "web", "namespace": namespace}, "spec": spec})
    objects = StrictObjects(cluster)
    workload, router = KnativeWorkload(objects, WorkloadSettings()), KnativeRouter(objects, RouterSettings("knative"))
    for number, revision in enumerate(("web-00001", "web-00002")):
        await _make_ready(client, namespace, revision, container)
        await _report(client, namespace, revision)
        await objects.get(Ref(KNATIVE_SERVICE, namespace, "web"))
        await (workload.promote if number else workload.create_primary)(canary, revision_of(revision), {})
        await router.set_routes(canary, Traffic(Routes(80, 20)))
        await _report(client, namespace, revision)
        await objects.get(Ref(KNATIVE_SERVICE, namespace, "web"))
        assert await router.get_routes(canary) == Routes(80, 20)
        primary = await workload.primary(canary)
        assert primary is not None
        assert primary.readiness == Ready()
        objects.writes.clear()
        await router.set_routes(canary, Traffic(Routes(80, 20)))
        assert objects.writes == [], "the stored object is taken for drift"
    await router.finalize(canary)
    given_back = await client.get(Ref(KNATIVE_SERVICE, namespace, "web"))
    assert given_back["spec"] == spec
    assert PRIMARY_REVISION not in given_back["metadata"].get("annotations", {})


async def _make_ready(client: Client, namespace: str, name: str, container: Manifest) -> None:
    """As Knative's controllers do."""
    labels = {"serving.knative.dev/service": "web"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    await client.create(KNATIVE_REVISION, {"metadata": metadata, "spec": {"containers": [container]}})
    status = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    await client.patch(Ref(KNATIVE_REVISION, namespace, name), MergePatch({"status": status}), subresource="status")


async def _report(client: Client, namespace: str, latest: str) -> None:
    """As Knative's controllers do."""
    ref = Ref(KNATIVE_SERVICE, namespace, "web")
    service = await client.get(ref)
    traffic = [{"revisionName": latest, "latestRevision": False, **entry} for entry in service["spec"]["traffic"]]
    status = {
        "observedGeneration": service["metadata"]["generation"],
        "latestCreatedRevisionName": latest,
        "latestReadyRevisionName": latest,
        "conditions": [{"type": "RoutesReady", "status": "True"}],
        "traffic": traffic,
    }
    await client.patch(ref, MergePatch({"status": status}), subresource="status")
