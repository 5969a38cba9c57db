"""Canaries with `revertOnDeletion` are deleted under load: a real Envoy, real pods, and no request that fails."""

import asyncio
import sys
from typing import Any, Final

import pytest

from flagger_py.local.envoy.translation import HTTP_PROXY, HTTP_ROUTE, VIRTUAL_SERVICE
from flagger_py.local.resources import NAMESPACE
from flagger_py.local.samples import APP
from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, DAEMON_SET, DEPLOYMENT, SERVICE, Manifest, Ref, Resource
from tests.local.site import LIMIT, POLL, App, Site, site
from tests.local.stage import on_stage

RATE: Final = 50.0
AFTERWARDS: Final = 3.0
"""Seconds of load after the Canary is gone: longer than the primary's pods take to end."""


def route_of_user(provider: str, namespace: str) -> tuple[Resource, Manifest]:
    """What serves the app before there is a Canary."""
    host = f"{namespace}.example.com"
    if provider == "istio":
        spec = {"hosts": [host], "gateways": [f"{namespace}/gateway"], "http": [{"route": [{"destination": {"host": APP}}]}]}
        return VIRTUAL_SERVICE, spec
    if provider == "contour":
        return HTTP_PROXY, {"routes": [{"services": [{"name": APP, "port": 80}]}]}
    rules = [{"backendRefs": [{"name": APP, "port": 80}]}]
    return HTTP_ROUTE, {"parentRefs": [{"name": "gateway", "namespace": namespace}], "hostnames": [host], "rules": rules}


async def deploy_before(site: Site, namespace: str, resource: Resource, route: Manifest) -> None:
    """The namespace with a Service and a route of its user."""
    metadata = {"name": APP, "namespace": namespace}
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    service = {"metadata": metadata, "spec": {"selector": {"app": APP}, "ports": ports}}
    await site.cluster.apply([(NAMESPACE, {"metadata": {"name": namespace}}), (SERVICE, service)])
    await site.cluster.apply([(resource, {"metadata": metadata, "spec": route})])


async def until_gone(app: App, resource: Resource, name: str = APP) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                await app.get(resource, name)
            except NotFound:
                return
            await app.site.controllers.check()
            await asyncio.sleep(POLL)


@pytest.mark.parametrize(
    ("provider", "target", "phase"),
    [
        *(("gatewayapi:v1", DEPLOYMENT, phase) for phase in ("Initialized", "Progressing", "mended")),
        *(
            pytest.param(provider, DEPLOYMENT, phase, marks=pytest.mark.wide)
            for provider in ("istio", "contour")
            for phase in ("Initialized", "Progressing", "mended")
        ),
        pytest.param("gatewayapi:v1", DAEMON_SET, "Initialized", marks=pytest.mark.wide),
    ],
    ids=lambda value: value.kind if isinstance(value, Resource) else value,
)
@on_stage(site)
async def test_a_canary_is_deleted_and_no_request_fails(site: Site, provider: str, target: Resource, phase: str) -> None:
    """engine:FIN-02, FIN-05, ISS-10, routers:K8S-17, IST-24, GW-29, UPS-15, operations:E2E-17, E2E-18, E2E-28"""
    namespace = f"{provider.partition(':')[0]}-{target.plural}-{phase.lower()}"
    resource, route = route_of_user(provider, namespace)
    await deploy_before(site, namespace, resource, route)
    before = (await site.cluster.client.get(Ref(resource, namespace, APP)))["spec"]
    async with site.app(namespace, provider, rate=RATE, replicas=2, target=target, spec={"revertOnDeletion": True}) as app:
        await lead_to(app, phase)
        await site.cluster.client.delete(Ref(CANARY, namespace, APP))
        await app.until_phase("Terminating")
        await until_gone(app, CANARY)
        await until_gone(app, target, f"{APP}-primary")
        served = app.load.tally.requests
        await asyncio.sleep(AFTERWARDS)
        assert app.load.tally.requests > served
        app.assert_only_failures_of("2" if phase == "mended" else "")
        assert (await app.get(resource, APP))["spec"] == before
        assert (await app.get(SERVICE, APP))["spec"]["selector"] == {"app": APP}
        restored = (await app.get(target, APP))["spec"]
        assert (restored.get("replicas", 2), restored["template"]["spec"].get("nodeSelector")) == (2, None)
        await site.assert_no_gateway_failure()


@pytest.mark.wide
@pytest.mark.parametrize("phase", ["Initialized", "Progressing"])
@pytest.mark.parametrize("provider", ["gatewayapi:v1", "istio", "contour"])
@on_stage(site)
async def test_a_canary_of_a_service_is_deleted_and_no_request_fails(site: Site, provider: str, phase: str) -> None:
    """engine:FIN-02, ISS-10, workloads:FIN-09: the routes lead to the user's own Service before its copies go."""
    namespace = f"{provider.partition(':')[0]}-service-target-{phase.lower()}"
    resource, route = route_of_user(provider, namespace)
    await deploy_before(site, namespace, resource, route)
    before = (await site.cluster.client.get(Ref(resource, namespace, APP)))["spec"]
    async with site.app(namespace, provider, rate=RATE, replicas=2, target=SERVICE, spec={"revertOnDeletion": True}) as app:
        await lead_to(app, phase)
        own = (await app.get(SERVICE, APP))["metadata"]["resourceVersion"]
        await site.cluster.client.delete(Ref(CANARY, namespace, APP))
        await until_gone(app, CANARY)
        await until_gone(app, SERVICE, f"{APP}-primary")
        served = app.load.tally.requests
        await asyncio.sleep(AFTERWARDS)
        assert app.load.tally.requests > served
        app.assert_only_failures_of()
        assert (await app.get(resource, APP))["spec"] == before
        assert (await app.get(SERVICE, APP))["metadata"]["resourceVersion"] == own
        await site.assert_no_gateway_failure()


async def lead_to(app: App, phase: str) -> None:
    if phase == "Progressing":
        await app.release("2")
        await app.until_weight(25)
    elif phase == "mended":
        await app.change_analysis(threshold=1)
        await app.release("2", FAULT_ERROR_PERCENT="50")
        await app.until_phase("Failed")
        await app.release("3")
        await app.until_phase("Progressing")


async def run_cli(app: App, *arguments: str) -> str:
    """`flagger-py canary …` as a process of its own; its output."""
    command = [sys.executable, "-m", "flagger_py.cli", "canary", *arguments, "-n", app.sample.namespace]
    process = await asyncio.create_subprocess_exec(
        *command, "--kubeconfig", str(app.site.cluster.kubeconfig), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 0, output.decode()
    return output.decode()


@on_stage(site)
async def test_a_rollout_is_led_by_hand(site: Site) -> None:
    """engine:ISS-16: paused at a weight that real answers show, then promoted, without a request that fails."""
    settings: dict[str, Any] = {"rate": RATE, "interval": "2s"}
    async with site.app("by-hand", **settings) as app:
        await app.release("2")
        await app.until_weight(25)
        assert "pause done; Progressing, paused, canary weight 25" in await run_cli(app, "pause", APP)
        await asyncio.sleep(6)
        assert app.weights.latest == 25
        app.weights.assert_measured("2", app.load.tally.window(60).answers, at_least=50)
        assert "promote done" in await run_cli(app, "promote", APP)
        await app.until_phase("Succeeded")
        assert await app.primary_version() == "2"
        app.assert_only_failures_of()
        await site.assert_no_gateway_failure()
