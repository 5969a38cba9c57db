"""Bad input: each Canary is told what is wrong with it, nothing of it is touched, no other one is disturbed, and a repair is enough.

What the schema can say is said at admission. The controller says all of it, since an object may be older than the schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from flagger_py.objects.errors import Invalid
from flagger_py.objects.patch import MergePatch, merge_patch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, SERVICE, Manifest, Ref, Resource
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster, canary, deployment, memory_cluster, running_controller
from tests.memory.people import NEIGHBOUR, conditions, messages, neighbour_releases, settle, told, until_cleared

pytestmark = pytest.mark.looptime

DEFINITION = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)


@dataclass(frozen=True)
class Bad:
    """A change that makes a Canary wrong, and what people must be told of it."""

    spec: Mapping[str, Any]
    """A merge patch of a good Canary's spec; `None` removes a field."""
    says: tuple[str, ...]
    """In the condition and in the Event: field, value, and what is allowed."""
    refused: tuple[str, ...] = ()
    """By the API server, which says this; empty where the schema cannot know."""
    reason: str = "Invalid"


BAD: Mapping[str, Bad] = {
    "no-target": Bad({"targetRef": None}, ("spec.targetRef", "required"), refused=("spec.targetRef", "Required value")),
    "no-target-name": Bad(
        {"targetRef": {"name": None}}, ("spec.targetRef.name", "required"), refused=("spec.targetRef.name", "Required value")
    ),
    "target-kind": Bad(
        {"targetRef": {"kind": "StatefulSet"}},
        ("spec.targetRef.kind", '"StatefulSet"', "Deployment", "DaemonSet"),
        refused=("spec.targetRef.kind", '"StatefulSet"', '"Deployment"'),
    ),
    "unknown-provider": Bad({"provider": "nginxx"}, ("spec.provider", '"nginxx"', "is not known", "gatewayapi:v1", "contour", "istio")),
    "missing-provider": Bad(
        {"provider": "linkerd"},
        ("spec.provider", '"linkerd"', "not supported by this version yet", "supported are contour, gatewayapi:v1"),
        reason="NotSupported",
    ),
    "old-gateway-api": Bad({"provider": "gatewayapi:v1alpha2"}, ("spec.provider", '"gatewayapi:v1alpha2"', "use gatewayapi:v1")),
    "falling-steps": Bad(
        {"analysis": {"stepWeight": None, "maxWeight": None, "stepWeights": [50, 20]}},
        ("spec.analysis.stepWeights", "[50, 20]", "must rise"),
        refused=("spec.analysis", "stepWeights", "must rise"),
    ),
    "weight-over-100": Bad(
        {"analysis": {"maxWeight": 120}}, ("spec.analysis.maxWeight", "120", "100"), refused=("spec.analysis.maxWeight", "120", "100")
    ),
    "threshold-below-0": Bad(
        {"analysis": {"threshold": -1}}, ("spec.analysis.threshold", "-1", "0"), refused=("spec.analysis.threshold", "-1", "0")
    ),
    "interval": Bad(
        {"analysis": {"interval": "10 parsecs"}},
        ("spec.analysis.interval", "10 parsecs", "30s"),
        refused=("spec.analysis.interval", "10 parsecs"),
    ),
    "text-for-number": Bad(
        {"analysis": {"threshold": "two"}}, ("spec.analysis.threshold", '"two"', "integer"), refused=("spec.analysis.threshold", "integer")
    ),
    "check-without-bound": Bad(
        {"analysis": {"metrics": [{"name": "request-success-rate", "interval": "1m"}]}},
        ("spec.analysis.metrics[0]", "thresholdRange"),
        refused=("spec.analysis.metrics[0]", "thresholdRange"),
    ),
    "no-gateway": Bad(
        {"service": {"gatewayRefs": None}},
        ("spec.service.gatewayRefs", "required", "gatewayapi:v1"),
        refused=("spec.service.gatewayRefs", "required", "gatewayapi:v1"),
    ),
}
REFUSED = [pytest.param(bad, id=name) for name, bad in BAD.items() if bad.refused]


def bad_canary(name: str, bad: Bad) -> Manifest:
    manifest = canary(name)
    manifest["spec"] = _merged(manifest["spec"], bad.spec)
    return manifest


@pytest.mark.parametrize("bad", REFUSED)
async def test_the_api_server_refuses_what_the_schema_can_say(bad: Bad) -> None:
    """api:GAP-04, GAP-41, GAP-46: with field, value and what is allowed."""
    async with memory_cluster() as cluster:
        with pytest.raises(Invalid) as refusal:
            await cluster.client.create(CANARY, bad_canary("web", bad))
        assert "Canary" in refusal.value.message
        assert "web" in refusal.value.message
        assert not [part for part in bad.refused if part not in refusal.value.message], refusal.value.message


async def test_the_controller_says_all_of_it_and_goes_on_with_the_others() -> None:
    """All of them at once, past a schema that lets everything through; each repair is enough to be initialised."""
    async with memory_cluster() as cluster:
        await _open_the_schema(cluster)
        async with running_controller(cluster):
            await settle(cluster, NEIGHBOUR)
            for name, bad in BAD.items():
                await cluster.client.create(DEPLOYMENT, deployment(name=name))
                await cluster.client.create(CANARY, bad_canary(name, bad))
            for name, bad in BAD.items():
                await told(cluster, "Valid", bad.says, name=name)
                assert (await conditions(cluster, name))["Valid"]["reason"] == bad.reason
            await neighbour_releases(cluster)
            for name, bad in BAD.items():
                await _nothing_has_happened(cluster, name)
                await cluster.client.patch(Ref(CANARY, NAMESPACE, name), merge_patch(bad_canary(name, bad), canary(name)))
            for name in BAD:
                await cluster.until_phase("Initialized", name=name, seconds=60)
                assert set(await conditions(cluster, name)) == {"Promoted"}


async def test_a_missing_target_is_named_and_taken_over_when_it_appears() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster, NEIGHBOUR)
        await cluster.client.create(CANARY, canary())
        await told(cluster, "ReferencesResolved", ("spec.targetRef", f"Deployment {NAMESPACE}/web", "does not exist"))
        await neighbour_releases(cluster)
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.until_phase("Initialized", seconds=30)
        await until_cleared(cluster, "ReferencesResolved")


async def test_of_two_canaries_on_one_target_the_older_goes_on() -> None:
    """api:GAP-60."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster)
        second = canary("second")
        second["spec"]["targetRef"]["name"] = "web"
        await cluster.client.create(CANARY, second)
        await told(cluster, "Valid", ("spec.targetRef", f"Deployment {NAMESPACE}/web", "older Canary web"), name="second")
        await cluster.release("web:2")
        await cluster.until_phase("Succeeded")
        assert not (await cluster.status("second")).get("phase")
        await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
        await until_cleared(cluster, "Valid", name="second")
        await cluster.until_phase("Initialized", name="second")


TAKEN = [pytest.param(CANARY, id="by-another-canary"), pytest.param(DEPLOYMENT, id="by-another-controller")]


@pytest.mark.parametrize("owner", TAKEN)
async def test_a_service_of_someone_else_is_left_alone(owner: Resource) -> None:
    """routers:K8S-12: nobody's traffic is taken; once the owner lets go, the rollout goes on by itself."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster, NEIGHBOUR)
        spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
        await cluster.client.create(SERVICE, {"metadata": await _owned(cluster, owner), "spec": spec})
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        await told(cluster, "ReferencesResolved", (f"Service {NAMESPACE}/web", f"{owner.kind} shop", "spec.service.name"))
        await neighbour_releases(cluster)
        assert (await cluster.get(SERVICE, "web"))["spec"]["selector"] == {"app": "web"}
        assert (await cluster.get(DEPLOYMENT, "web"))["spec"]["replicas"] == 2
        await cluster.patch(SERVICE, "web", {"metadata": {"ownerReferences": None}})
        await cluster.until_phase("Initialized", seconds=60)
        assert (await cluster.get(SERVICE, "web"))["spec"]["selector"] == {"app": "web-primary"}
        await until_cleared(cluster, "ReferencesResolved")


@pytest.mark.parametrize("owner", TAKEN)
async def test_a_route_of_someone_else_is_left_alone(owner: Resource) -> None:
    """routers:CTR-16."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster, NEIGHBOUR)
        spec = {"parentRefs": [{"name": "gateway"}], "rules": [{"backendRefs": [{"name": "shop", "port": 80}]}]}
        stored = (await cluster.client.create(HTTP_ROUTE, {"metadata": await _owned(cluster, owner), "spec": spec}))["spec"]
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        await told(cluster, "RoutingReady", (f"HTTPRoute {NAMESPACE}/web", f"{owner.kind} shop", "spec.service.name"))
        await neighbour_releases(cluster)
        assert (await cluster.get(HTTP_ROUTE, "web"))["spec"] == stored
        assert (await cluster.get(DEPLOYMENT, "web"))["spec"]["replicas"] == 2
        await cluster.patch(HTTP_ROUTE, "web", {"metadata": {"ownerReferences": None}})
        await cluster.until_phase("Initialized", seconds=60)
        first = (await cluster.get(HTTP_ROUTE, "web"))["spec"]["rules"][0]["backendRefs"]
        assert [(backend["name"], backend["weight"]) for backend in first] == [("web-primary", 100), ("web-canary", 0)]
        await until_cleared(cluster, "RoutingReady")


async def _owned(cluster: MemoryCluster, kind: Resource) -> Manifest:
    """Metadata of an object `web` that an existing `shop` of this kind controls."""
    shop = canary("shop") if kind == CANARY else deployment(name="shop")
    if kind == CANARY:
        shop["spec"]["suspend"] = True
    owner = await cluster.client.create(kind, shop)
    reference = {"apiVersion": kind.api_version, "kind": kind.kind, "name": "shop", "uid": owner["metadata"]["uid"], "controller": True}
    return {"name": "web", "namespace": NAMESPACE, "ownerReferences": [reference]}


async def _open_the_schema(cluster: MemoryCluster) -> None:
    """A Canary definition that lets everything through, as an object from before a rule was in the schema was let through."""
    ref = Ref(DEFINITION, "", "canaries.flagger.app")
    definition = await cluster.client.get(ref)
    for version in definition["spec"]["versions"]:
        version["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    await cluster.client.patch(ref, MergePatch({"spec": {"versions": definition["spec"]["versions"]}}))


async def _nothing_has_happened(cluster: MemoryCluster, name: str) -> None:
    assert not (await cluster.status(name)).get("phase")
    assert (await cluster.get(DEPLOYMENT, name))["spec"]["replicas"] == 2
    for resource, generated in ((DEPLOYMENT, f"{name}-primary"), (SERVICE, name), (HTTP_ROUTE, name)):
        assert not [found for found in await cluster.client.find(resource, NAMESPACE) if found["metadata"]["name"] == generated]
    assert len(await messages(cluster, name)) == 1


def _merged(whole: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch applied to a value."""
    merged = {key: value for key, value in whole.items() if key not in change}
    for key, value in change.items():
        if isinstance(value, Mapping):
            merged[key] = _merged(whole.get(key, {}), value)
        elif value is not None:
            merged[key] = value
    return merged
