"""An installation for one namespace, with a Role and nothing else, that refuses references to other namespaces."""

import asyncio
from pathlib import Path

import pytest
import yaml

from flagger_py.controller import rbac
from flagger_py.kube.client import Client
from flagger_py.local.resources import NAMESPACE
from flagger_py.local.samples import APP, Sample
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, METRIC_TEMPLATE, Manifest, Ref
from tests.e2e import audit, controller
from tests.e2e.app import PATIENCE, PROMETHEUS, App, app
from tests.e2e.kubectl import kubectl

PROVIDER = "gatewayapi:v1"


@pytest.mark.timeout(150)
async def test_references_to_other_namespaces_are_refused(client: Client, namespace: str, run_folder: Path) -> None:
    """E2E-62: after an edit, too: such a Canary is held, and goes on once the reference is mended."""
    elsewhere = f"{namespace}-elsewhere"
    await client.create(NAMESPACE, {"metadata": {"name": elsewhere}})
    await _install(namespace)
    chosen = Sample(PROVIDER, PROMETHEUS, namespace, interval="3s", step_weight=20, max_weight=40, threshold=PATIENCE)
    async with app(client, chosen) as running:
        await _copy_template(client, namespace, elsewhere)
        await _refer_to(running, elsewhere)
        await running.release("2")
        await asyncio.sleep(5)
        status = await running.look()
        refused = next(condition for condition in status["conditions"] if condition["type"] == "Valid")
        assert (status["phase"], refused["status"]) == ("Initialized", "False")
        assert "-no-cross-namespace-refs" in refused["message"]
        await _refer_to(running, namespace)
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()
    assert _of_the_controller(run_folder, namespace) <= {namespace}


async def _install(namespace: str) -> None:
    rights = [*rbac.core_rights(), *rbac.router_rights([PROVIDER]), *rbac.lease_rights()]
    manifests = controller.namespaced(Path("kubectl"), namespace, rights, ("-no-cross-namespace-refs",))
    await kubectl("apply", "--server-side", "--filename", "-", stdin=yaml.safe_dump_all(manifests))


async def _copy_template(client: Client, namespace: str, elsewhere: str) -> None:
    template: Manifest = await client.get(Ref(METRIC_TEMPLATE, namespace, "success-rate"))
    await client.create(METRIC_TEMPLATE, {"metadata": {"name": "success-rate", "namespace": elsewhere}, "spec": template["spec"]})


async def _refer_to(running: App, namespace: str) -> None:
    ref = Ref(CANARY, running.sample.namespace, APP)
    metrics = (await running.client.get(ref))["spec"]["analysis"]["metrics"]
    metrics[0]["templateRef"] = {"name": "success-rate", "namespace": namespace}
    await running.client.patch(ref, MergePatch({"spec": {"analysis": {"metrics": metrics}}}))


def _of_the_controller(folder: Path, namespace: str) -> set[str]:
    """The namespaces that it asked about; empty for what is of the whole cluster."""
    user = f"system:serviceaccount:{namespace}:flagger"
    return {(entry.get("objectRef") or {}).get("namespace", namespace) for entry in audit.read(folder / "audit.log", user)}
