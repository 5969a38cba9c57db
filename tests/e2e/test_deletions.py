"""Deletion with `revertOnDeletion`, and manual commands by kubectl: a real garbage collector, Contour and Envoy."""

import asyncio
import json

import pytest

from flagger_py.api.metadata import COMMAND, FINALIZER
from flagger_py.kube.client import Client
from flagger_py.local.envoy.translation import HTTP_ROUTE
from flagger_py.local.samples import APP
from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, DEPLOYMENT, SERVICE, Ref
from tests.e2e.app import App, app, sample
from tests.e2e.before import deploy_before, revertible
from tests.e2e.kubectl import kubectl
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(150)


@pytest.mark.parametrize("is_under_way", [False, True], ids=["settled", "in the middle"])
async def test_a_deleted_canary_leaves_everything_as_it_was(client: Client, namespace: str, *, is_under_way: bool) -> None:
    """E2E-17, E2E-18; engine:FIN-02, ISS-10, routers:UPS-15, GW-29: no request fails."""
    chosen = sample(namespace)
    await deploy_before(client, chosen)
    route = (await client.get(Ref(HTTP_ROUTE, namespace, APP)))["spec"]
    async with app(client, chosen, adapt=revertible) as running:
        assert FINALIZER in (await client.get(Ref(CANARY, namespace, APP)))["metadata"]["finalizers"]
        if is_under_way:
            await running.release("2")
            await running.until_weight_is_live()
        await kubectl("delete", "canary", APP, "--namespace", namespace, "--timeout=60s")
        await until(lambda: _is_gone(client, Ref(DEPLOYMENT, namespace, f"{APP}-primary")), seconds=30)
        await until(lambda: _is_gone(client, Ref(SERVICE, namespace, f"{APP}-canary")), seconds=30)
        await asyncio.sleep(5)
        assert (await client.get(Ref(HTTP_ROUTE, namespace, APP)))["spec"] == route
        assert (await client.get(Ref(SERVICE, namespace, APP)))["spec"]["selector"] == {"app": APP}
        assert await running.replicas(APP) == chosen.replicas
        assert set(running.load.tally.window(2).versions()) == {"2" if is_under_way else "1"}
        running.check_no_failures()


async def _is_gone(client: Client, ref: Ref) -> bool:
    try:
        await client.get(ref)
    except NotFound:
        return True
    return False


async def test_kubectl_leads_a_rollout(client: Client, namespace: str) -> None:
    """engine:ISS-16"""
    async with app(client, sample(namespace)) as running:
        await running.release("2")
        await running.until_weight_is_live()
        await _command(running, "pause", "1")
        await asyncio.sleep(8)
        status = await running.look()
        assert (status["canaryWeight"], "pausedSince" in status["rollout"]) == (20, True)
        await _command(running, "promote", "2")
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def _command(running: App, verb: str, command_id: str) -> None:
    """Give it, and wait until it is obeyed."""
    namespace = running.sample.namespace
    run = await kubectl("get", "canary", APP, "--namespace", namespace, "--output", "jsonpath={.status.rollout.run}")
    text = json.dumps({"id": command_id, "verb": verb, "run": run})
    await kubectl("annotate", "canary", APP, "--namespace", namespace, "--overwrite", f"{COMMAND}={text}")

    async def is_obeyed() -> bool:
        command = (await running.look())["rollout"].get("command", {})
        return (command.get("id"), command.get("result")) == (command_id, "done")

    await until(is_obeyed, seconds=10)
