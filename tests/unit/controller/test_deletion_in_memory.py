"""Canaries with `revertOnDeletion` are deleted, with the real controller on virtual time: users are served, then all is as before."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from flagger_py.api.metadata import FINALIZER, SKIP_REVERT
from flagger_py.local.apiserver.faults import Match, Refuse
from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, SERVICE, Manifest, Ref, Resource
from tests.memory.cluster import (
    HTTP_ROUTE,
    NAMESPACE,
    MemoryCluster,
    canary,
    daemon_set,
    deployment,
    memory_cluster,
    running_controller,
    wanted_pods,
)
from tests.memory.people import conditions, messages
from tests.memory.recordings import HTTP_PROXY, VIRTUAL_SERVICE, Recording, cluster_of
from tests.memory.serving import Serving

pytestmark = pytest.mark.looptime

NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
DEFINITIONS: Final = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
WEB: Final = Ref(CANARY, NAMESPACE, "web")
METADATA: Final = {"name": "web", "namespace": NAMESPACE}
SERVICE_OF_USER: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": METADATA,
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}
ROUTES_OF_USER: Final[Mapping[str, tuple[Resource, Manifest]]] = {
    "gatewayapi:v1": (
        HTTP_ROUTE,
        {
            "parentRefs": [{"name": "gateway", "namespace": NAMESPACE}],
            "hostnames": ["web.example.com"],
            "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
        },
    ),
    "istio": (VIRTUAL_SERVICE, {"hosts": ["web"], "http": [{"timeout": "3s", "route": [{"destination": {"host": "web"}}]}]}),
    "contour": (HTTP_PROXY, {"virtualhost": {"fqdn": "web.example.com"}, "routes": [{"services": [{"name": "web", "port": 80}]}]}),
}
TARGETS: Final = {"Deployment": (DEPLOYMENT, deployment()), "DaemonSet": (DAEMON_SET, daemon_set())}
GATES: Final = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")


def revertible(provider: str = "gatewayapi:v1", *, kind: str = "Deployment", **spec: Any) -> Manifest:
    manifest = canary(kind=kind, webhooks=[{"name": gate, "type": gate, "url": f"http://hooks/{gate}"} for gate in GATES])
    manifest["spec"] |= {"provider": provider, "revertOnDeletion": True, **spec}
    return manifest


@asynccontextmanager
async def app(
    provider: str = "gatewayapi:v1", *, kind: str = "Deployment", adopted: bool = True, **spec: Any
) -> AsyncIterator[tuple[MemoryCluster, Serving]]:
    """An app that serves users by a Service and a route of its own, and a Canary for it."""
    async with memory_cluster() as cluster:
        cluster.target, workload = TARGETS[kind]
        await cluster.client.create(cluster.target, workload)
        if adopted:
            await cluster.client.create(SERVICE, SERVICE_OF_USER)
            resource, route = ROUTES_OF_USER[provider]
            await cluster.client.create(resource, {"metadata": METADATA, "spec": route})
        await asyncio.sleep(5)
        serving = Serving(cluster)
        for resource in (SERVICE, cluster.target):
            for manifest in await cluster.client.find(resource, NAMESPACE):  # what is there already is shown to it by a change
                labels = MergePatch({"metadata": {"labels": {"seen": "true"}}})
                await cluster.client.patch(Ref.of(resource, manifest), labels)
        serving.problems.clear()
        await cluster.client.create(CANARY, revertible(provider, kind=kind, **spec))
        yield cluster, serving


async def until_gone(cluster: MemoryCluster, seconds: float = 60) -> float:
    """Wait until the Canary does not exist any more; how long it took."""
    start = asyncio.get_running_loop().time()
    while True:
        try:
            found = await cluster.get(CANARY, "web")
        except NotFound:
            return asyncio.get_running_loop().time() - start
        assert asyncio.get_running_loop().time() < start + seconds, found["status"]
        await asyncio.sleep(0.25)


async def reach(cluster: MemoryCluster, phase: str) -> None:
    """Lead a rollout to this phase, and stop there."""
    closed = {"Waiting": "confirm-rollout", "WaitingPromotion": "confirm-promotion"}.get(phase)
    cluster.web.answer = lambda request: None
    if phase == "Initializing":
        await cluster.until_phase(phase)
        return
    await cluster.until_phase("Initialized")
    if phase == "Initialized":
        return
    if closed:
        await cluster.patch(CANARY, "web", {"spec": {"analysis": {"webhooks": [{"name": "no", "type": closed, "url": "http://no/"}]}}})
        cluster.web.hook_status = 403
    if phase == "Failed":
        cluster.web.success_rate = 50
    await cluster.release("web:2")
    if phase == "Progressing":
        await cluster.until(lambda status: status.get("canaryWeight") == 40)
    else:
        await cluster.until_phase(phase)


PHASES: Final = (
    "Initializing",
    "Initialized",
    "Waiting",
    "Progressing",
    "WaitingPromotion",
    "Promoting",
    "Finalising",
    "Succeeded",
    "Failed",
)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("provider", "kind"), [*((one, "Deployment") for one in ROUTES_OF_USER), ("gatewayapi:v1", "DaemonSet")])
async def test_deleted_in_any_phase_everything_is_as_before_and_users_are_served_throughout(provider: str, kind: str, phase: str) -> None:
    """engine:FIN-02, FIN-05, FIN-06, HAZ-08, ISS-10, routers:K8S-17, IST-24, GW-29, UPS-15, workloads:DS-06, FIN-04, FIN-07, FIN-12."""
    resource, _ = ROUTES_OF_USER[provider]
    async with app(provider, kind=kind) as (cluster, serving):
        before = {one: (await cluster.get(one, "web"))["spec"] for one in (resource, SERVICE)}
        async with running_controller(cluster):
            await reach(cluster, phase)
            assert (await cluster.get(CANARY, "web"))["metadata"]["finalizers"] == [FINALIZER]
            serving.problems.clear()
            await cluster.client.delete(WEB)
            assert await until_gone(cluster) <= 20
            await asyncio.sleep(10)
        assert {one: (await cluster.get(one, "web"))["spec"] for one in before} == before
        assert "annotations" not in (await cluster.get(resource, "web"))["metadata"]
        assert not serving.problems, serving.problems[:3]
        assert await replicas(cluster) == {"web": 2}, "the primary is garbage-collected"
        assert [service["metadata"]["name"] for service in await cluster.client.find(SERVICE, NAMESPACE)] == ["web"]
        assert not await cluster.client.find(CONTROLLER_REVISION, NAMESPACE)
        texts = await messages(cluster)
        assert {"Normal Terminating canary web.test", "Normal Terminated canary web.test"} <= set(texts)


async def replicas(cluster: MemoryCluster) -> dict[str, int]:
    return {one["metadata"]["name"]: wanted_pods(one) for one in await cluster.client.find(cluster.target, NAMESPACE)}


async def test_what_was_generated_goes_with_the_canary() -> None:
    """routers:CTR-17, workloads:FIN-08: there was neither a Service nor a route before."""
    async with app(adopted=False) as (cluster, _), running_controller(cluster):
        await reach(cluster, "Succeeded")
        await cluster.client.delete(WEB)
        await until_gone(cluster)
        await asyncio.sleep(10)
        assert await replicas(cluster) == {"web": 2}
        assert not await cluster.client.find(SERVICE, NAMESPACE)
        assert not await cluster.client.find(HTTP_ROUTE, NAMESPACE)


async def test_without_the_wish_the_canary_goes_at_once() -> None:
    """workloads:FIN-02, engine:FIN-01"""
    async with app(revertOnDeletion=False) as (cluster, _), running_controller(cluster):
        await reach(cluster, "Initialized")
        assert "finalizers" not in (await cluster.get(CANARY, "web"))["metadata"]
        await cluster.client.delete(WEB)
        assert await until_gone(cluster) == 0


async def test_the_finalizer_follows_the_wish_and_others_stay() -> None:
    """engine:FIN-01, workloads:FIN-01, FIN-13"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Initialized")
        await cluster.patch(CANARY, "web", {"metadata": {"finalizers": ["example.com/other", FINALIZER, FINALIZER]}})
        for wish, expected in ((False, ["example.com/other"]), (True, ["example.com/other", FINALIZER])):
            await cluster.patch(CANARY, "web", {"spec": {"revertOnDeletion": wish}})
            await asyncio.sleep(1)
            assert (await cluster.get(CANARY, "web"))["metadata"]["finalizers"] == expected


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"provider": "load-balancer"}, id="a provider that nobody has installed"),
    ],
)
async def test_what_holds_a_rollout_holds_no_deletion(change: Manifest) -> None:
    """engine:HAZ-07, FIN-07, workloads:GEN-12"""
    async with app() as (cluster, serving), running_controller(cluster):
        await reach(cluster, "Progressing")
        await cluster.patch(CANARY, "web", {"spec": change})
        await asyncio.sleep(5)
        await cluster.client.delete(WEB)
        is_route_known = "provider" not in change
        await until_gone(cluster, 60 if is_route_known else 400)
        assert (await cluster.get(SERVICE, "web"))["spec"]["selector"] == {"app": "web"}
        if is_route_known:
            assert (await cluster.get(HTTP_ROUTE, "web"))["spec"]["rules"][0]["backendRefs"][0]["name"] == "web"
            assert not serving.problems
        else:
            assert any("let go" in text and "load-balancer" in text for text in await messages(cluster))


async def test_a_frozen_controller_deletes_all_the_same() -> None:
    async with app() as (cluster, _):
        async with running_controller(cluster):
            await reach(cluster, "Progressing")
        async with running_controller(cluster, freeze=True):
            await cluster.client.delete(WEB)
            await until_gone(cluster)


async def test_uninstalled_together_with_its_target() -> None:
    """engine:ISS-09, FIN-04"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Succeeded")
        for resource in (CANARY, DEPLOYMENT, SERVICE, HTTP_ROUTE):
            await cluster.client.delete(Ref(resource, NAMESPACE, "web"))
        assert await until_gone(cluster) <= 15


async def test_a_namespace_that_goes_is_not_held() -> None:
    """engine:FIN-08"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Progressing")
        await cluster.client.delete(Ref(NAMESPACES, "", NAMESPACE))
        await until_gone(cluster)
        await asyncio.sleep(10)
        with pytest.raises(NotFound):
            await cluster.client.get(Ref(NAMESPACES, "", NAMESPACE))


async def test_the_crd_of_the_router_is_removed() -> None:
    """engine:FIN-08: it waits for five minutes, tells why, and puts back what it can."""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Progressing")
        await cluster.client.delete(Ref(DEFINITIONS, "", "httproutes.gateway.networking.k8s.io"))
        await cluster.client.delete(WEB)
        assert 300 <= await until_gone(cluster, 400) <= 330
        assert (await cluster.get(SERVICE, "web"))["spec"]["selector"] == {"app": "web"}
        assert await replicas(cluster) == {"web": 2}
        (told,) = [text for text in await messages(cluster) if "let go" in text]
        assert "nothing has moved for 5 minutes; not put back: " in told
        assert "httproutes" in told


@pytest.mark.parametrize(
    ("resource", "selector"),
    [
        pytest.param("deployments", "web", id="deployments"),
        pytest.param("services", "web-primary", id="services"),
        pytest.param("httproutes", "web", id="routes"),
    ],
)
async def test_a_right_that_is_missing_is_told_and_does_not_hold_it_for_ever(resource: str, selector: str) -> None:
    """engine:FIN-08"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Succeeded")
        cluster.server.faults.add(Match("patch", resource, "web", subresource=""), Refuse(403, "Forbidden"), times=None)
        await cluster.client.delete(WEB)
        await asyncio.sleep(60)
        told = {name: condition["message"] for name, condition in (await conditions(cluster)).items()}
        assert any(f"patch {kind} test/web" in message for message in told.values() for kind in ("Deployment", "Service", "HTTPRoute"))
        assert await until_gone(cluster, 400) <= 300
        assert any("let go" in text and "not put back: " in text for text in await messages(cluster))
        assert (await cluster.get(SERVICE, "web"))["spec"]["selector"] == {"app": selector}


async def test_a_target_that_cannot_start_is_waited_for_while_the_primary_serves() -> None:
    """engine:ACC-12, workloads:FIN-05: mended after an hour, it goes, and nobody was without service."""
    async with app() as (cluster, serving), running_controller(cluster):
        await reach(cluster, "Failed")
        cluster.broken_images.add("web:2")
        await cluster.client.delete(WEB)
        await asyncio.sleep(3600)
        assert (await cluster.get(CANARY, "web"))["status"]["phase"] == "Terminating"
        (told,) = [text for text in await messages(cluster) if "The deletion of web.test waits" in text]
        assert f"{SKIP_REVERT}=true" in told
        await cluster.release("web:1")
        await until_gone(cluster)
        assert not serving.problems


async def test_the_annotation_lets_it_go_and_says_what_is_left() -> None:
    """engine:FIN-08"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Failed")
        cluster.broken_images.add("web:2")
        await cluster.client.delete(WEB)
        await asyncio.sleep(40)
        await cluster.patch(CANARY, "web", {"metadata": {"annotations": {SKIP_REVERT: "true"}}})
        assert await until_gone(cluster) < 2
        (told,) = [text for text in await messages(cluster) if "let go" in text]
        assert f"the annotation {SKIP_REVERT} asks for it; not put back: web.test is not ready" in told


async def test_the_wish_taken_back_in_the_middle_lets_it_go() -> None:
    """engine:FIN-07"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Initialized")
        cluster.broken_images.add("web:1")
        await cluster.client.delete(WEB)
        await asyncio.sleep(40)
        await cluster.patch(CANARY, "web", {"spec": {"revertOnDeletion": False}})
        assert await until_gone(cluster) < 2


async def test_of_two_canaries_on_one_target_the_younger_goes_and_touches_nothing() -> None:
    """api:GAP-60"""
    async with app() as (cluster, _), running_controller(cluster):
        await reach(cluster, "Initialized")
        second = revertible()
        second["metadata"] |= {"name": "second", "finalizers": [FINALIZER]}
        await cluster.client.create(CANARY, second)
        await asyncio.sleep(5)
        await cluster.client.delete(Ref(CANARY, NAMESPACE, "second"))
        await asyncio.sleep(5)
        assert [one["metadata"]["name"] for one in await cluster.client.find(CANARY, NAMESPACE)] == ["web"]
        assert await replicas(cluster) == {"web": 0, "web-primary": 2}
        assert await cluster.weights() == (100, 0)


@pytest.mark.parametrize("scenario", ["gateway-weighted", "istio-weighted", "contour-weighted", "istio-daemonset"])
@pytest.mark.parametrize("phase", ["initialized", "progressing", "failed"])
async def test_flaggers_own_finalizer_on_a_canary_that_was_never_adopted(scenario: str, phase: str) -> None:
    """engine:FIN-02: deleted while no controller ran, after Flagger and before us."""
    recording = Recording(scenario, phase)
    recording.canary["spec"]["revertOnDeletion"] = True
    async with cluster_of(recording) as cluster:
        await cluster.patch(CANARY, "web", {"metadata": {"finalizers": [FINALIZER]}})
        await cluster.client.delete(WEB)
        async with running_controller(cluster):
            await until_gone(cluster)
            await asyncio.sleep(10)
        wanted = await replicas(cluster)
        assert wanted.keys() == {"web"}
        assert wanted["web"] > 0
