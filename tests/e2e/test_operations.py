"""Operations of spec/operations.md §16 that upstream's suite lacks: alerts, failed promotions, GitOps, references, uninstallation."""

import asyncio
import json

import pytest
import yaml

from flagger_py.kube.client import Client
from flagger_py.local.envoy.translation import HTTP_ROUTE
from flagger_py.local.samples import APP
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import ALERT_PROVIDER, Manifest, Ref, Resource
from tests.e2e.app import App, app, host_of, objects, sample
from tests.e2e.hooks import hooks
from tests.e2e.kubectl import kubectl
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(150)
QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")


async def test_alerts_reach_those_who_asked_for_their_severity(client: Client, namespace: str) -> None:
    """E2E-54."""
    async with hooks() as server:
        for name in ("everything", "errors"):
            spec = {"type": "slack", "channel": "releases", "address": f"{server.url}/{name}"}
            await client.create(ALERT_PROVIDER, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
        alerts = [
            {"name": name, "severity": severity, "providerRef": {"name": name}}
            for name, severity in (("everything", "info"), ("errors", "error"))
        ]
        async with app(client, sample(namespace, alerts=alerts)) as running:
            await running.release("2")
            await running.until_phase("Succeeded")
            await server.until_called("everything", "completed successfully")
            assert server.payloads("errors") == []
            await running.release("3", FAULT_ERROR_PERCENT="50")
            await running.until_phase("Failed")
            await server.until_called("errors", "failed")
            assert all(f"{APP}.{namespace}" in json.dumps(payload) for payload in server.payloads("everything"))


async def test_a_canary_whose_promotion_fails_serves_until_the_primary_recovers(client: Client, namespace: str) -> None:
    """E2E-58, engine:HAZ-19: a quota leaves no room for the pods of the promoted primary."""
    async with app(client, sample(namespace)) as running:
        await running.change({"progressDeadlineSeconds": 8})
        await client.create(QUOTA, {"metadata": {"name": "pods", "namespace": namespace}, "spec": {"hard": {"pods": "4"}}})
        await running.release("2")
        await until(lambda: _serves_everyone(running), seconds=60, what=lambda: running.moments)
        assert await running.replicas(APP) == running.sample.replicas
        await client.patch(Ref(QUOTA, namespace, "pods"), MergePatch({"spec": {"hard": {"pods": "20"}}}))
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def _serves_everyone(running: App) -> bool:
    return (await running.look()).get("canaryWeight") == 100


async def test_what_git_holds_may_be_applied_again_at_any_time(client: Client, namespace: str) -> None:
    """E2E-67: as Argo CD and Flux do, settled and in the middle of a rollout. Neither begins anew, and no weight moves."""
    async with app(client, sample(namespace)) as running:
        await _apply_git(running, version="1")
        await asyncio.sleep(4)
        assert (await running.look())["phase"] == "Initialized"
        await _apply_git(running, version="2")
        await running.until_weight_is_live()
        run = (await running.look())["rollout"]["run"]
        await _apply_git(running, version="2")
        status = await running.until_phase("Succeeded")
        assert status["rollout"]["promotedRevision"] == status["rollout"]["revision"]
        assert {moment.weight for moment in running.moments} == {0, 20, 40}
        assert run in {status["rollout"].get("run"), run}
        assert sum("New revision detected" in message for message in await running.events()) == 1
        running.check_no_failures()


async def _apply_git(running: App, *, version: str) -> None:
    """Target, templates and Canary, as their owner wrote them; replicas are left to the controller."""
    wanted: list[Manifest] = []
    for resource, manifest in objects(running.sample, host_of(running.sample)):
        manifest["metadata"].setdefault("namespace", running.sample.namespace)
        wanted.append({"apiVersion": resource.api_version, "kind": resource.kind, **manifest})
    for manifest in wanted:
        if manifest["kind"] == "Deployment":
            del manifest["spec"]["replicas"]
            container = manifest["spec"]["template"]["spec"]["containers"][0]
            container["image"] = container["image"].rpartition(":")[0] + f":{version}"
    kept = [manifest for manifest in wanted if manifest["kind"] != "Namespace"]
    arguments = ("apply", "--server-side", "--force-conflicts", "--field-manager", "argocd-controller", "--filename", "-")
    await kubectl(*arguments, stdin=yaml.safe_dump_all(kept))


async def test_a_route_that_somebody_edits_is_put_right_and_told(client: Client, namespace: str) -> None:
    """E2E-67, routers:CTR-18: an edit by hand in the middle of a step."""
    async with app(client, sample(namespace)) as running:
        await running.release("2")
        await running.until_weight_is_live()
        ref = Ref(HTTP_ROUTE, namespace, APP)
        rules = (await client.get(ref))["spec"]["rules"]
        for backend in rules[0]["backendRefs"]:
            backend["weight"] = 50
        await client.patch(ref, MergePatch({"spec": {"rules": rules}}))
        await running.until_phase("Succeeded")
        assert any("stand at 50/50" in message for message in await running.events())
        running.check_no_failures()
