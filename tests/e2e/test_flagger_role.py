"""The controller under the ClusterRole that Flagger 1.44 ships: it runs, and says which of its own features that leaves out."""

import asyncio
from pathlib import Path
from typing import Final

import pytest
import yaml

from flagger_py.kube.client import Client
from flagger_py.local.resources import POD
from flagger_py.local.samples import APP, Sample
from flagger_py.objects.resource import CONTROLLER_REVISION, Manifest
from tests.e2e import controller
from tests.e2e.app import PATIENCE, PROMETHEUS, app
from tests.e2e.kubectl import kubectl

ALL: Final = ["get", "list", "watch", "create", "update", "patch", "delete"]
GRANTED: Final[dict[str, list[str]]] = {
    "": ["events", "services", "configmaps", "configmaps/finalizers", "secrets", "secrets/finalizers"],
    "coordination.k8s.io": ["leases"],
    "apps": ["daemonsets", "daemonsets/finalizers", "deployments", "deployments/finalizers"],
    "autoscaling": ["horizontalpodautoscalers", "horizontalpodautoscalers/finalizers"],
    "flagger.app": ["canaries", "canaries/status", "canaries/finalizers", "metrictemplates", "alertproviders"],
    "networking.istio.io": ["virtualservices", "destinationrules"],
    "projectcontour.io": ["httpproxies"],
    "gateway.networking.k8s.io": ["httproutes"],
}
"""operations:§8, what concerns the kinds that exist here."""


def role() -> Manifest:
    rules: list[Manifest] = [{"apiGroups": [group], "resources": resources, "verbs": ALL} for group, resources in GRANTED.items()]
    rules.append({"nonResourceURLs": ["/version"], "verbs": ["get"]})
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": controller.NAME}, "rules": rules}


@pytest.mark.timeout(150)
async def test_it_runs_and_names_the_features_that_are_left_out(client: Client, namespace: str, run_folder: Path) -> None:
    """design:§6, operations:OPS-24."""
    await _install()
    sample = Sample("gatewayapi:v1", PROMETHEUS, namespace, interval="3s", step_weight=20, max_weight=40, threshold=PATIENCE)
    async with app(client, sample) as running:
        await running.release("2")
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()
    assert await client.find(CONTROLLER_REVISION, namespace) == []
    pod = (await client.find(POD, controller.NAMESPACE))[0]["metadata"]["name"]
    log = await asyncio.to_thread((run_folder / "pods" / f"{controller.NAMESPACE}_{pod}.log").read_text)
    assert "a deleted primary can be restored: without the right to controllerrevisions.apps it is only reported" in log


async def _install() -> None:
    found = await asyncio.to_thread(controller.manifests, Path("kubectl"))
    others = [manifest for manifest in found if manifest["kind"] not in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")]
    binding = next(manifest for manifest in found if manifest["kind"] == "ClusterRoleBinding" and manifest["metadata"]["name"] == "flagger")
    await kubectl("apply", "--server-side", "--filename", "-", stdin=yaml.safe_dump_all([*others, role(), binding]))
