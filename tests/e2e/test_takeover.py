"""Flagger is taken away and we come: what it left behind on a real cluster, with real pods, goes on without a restart of anything."""

import asyncio
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from flagger_py.kube.client import Client
from flagger_py.local.resources import NAMESPACE, POD
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, Manifest, Ref, Resource
from tests.e2e import controller
from tests.e2e.kubectl import kubectl
from tests.e2e.waiting import until

RECORDINGS: Final = Path(__file__).parents[1] / "fixtures" / "takeover"
ROUTES: Final = ("HTTPProxy", "HTTPRoute", "VirtualService", "DestinationRule")
KINDS: Final = {
    "Deployment": DEPLOYMENT,
    "Service": Resource("", "v1", "services", "Service"),
    "ConfigMap": Resource("", "v1", "configmaps", "ConfigMap"),
    "Secret": Resource("", "v1", "secrets", "Secret"),
    "HTTPProxy": Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy"),
    "HTTPRoute": Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"),
    "VirtualService": Resource("networking.istio.io", "v1beta1", "virtualservices", "VirtualService"),
    "DestinationRule": Resource("networking.istio.io", "v1beta1", "destinationrules", "DestinationRule"),
}
SCENARIOS: Final = ("contour-weighted", "gateway-weighted", "istio-weighted")
SETTLED: Final = [RECORDINGS / scenario / f"{phase}.yaml" for scenario in SCENARIOS for phase in ("initialized", "succeeded", "failed")]
SERVER_FIELDS: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


@dataclass(frozen=True, slots=True)
class Left:
    """What Flagger left in one namespace, before we came."""

    namespace: str
    canary: Ref
    status: Manifest
    state: Any


@pytest.mark.timeout(180)
async def test_settled_canaries_are_taken_over_without_a_restart(client: Client) -> None:
    """E2E-66, design:§6."""
    left = [await _load(client, path) for path in SETTLED]
    await kubectl("apply", "--server-side", "--filename", "-", stdin=yaml.safe_dump_all(controller.manifests(Path("kubectl"))))
    for each in left:
        await _until_taken_over(client, each)
    await asyncio.sleep(6)
    for each in left:
        status = (await client.get(each.canary))["status"]
        assert [each.namespace, *_told(status)] == [each.namespace, *_told(each.status)]
        assert (each.namespace, await _state(client, each.namespace)) == (each.namespace, each.state)


def _told(status: Manifest) -> tuple[str, int]:
    return status["phase"], status["canaryWeight"]


async def _until_taken_over(client: Client, left: Left) -> None:
    async def has_record() -> bool:
        return "rollout" in (await client.get(left.canary)).get("status", {})

    await until(has_record, seconds=40, what=lambda: left.namespace)


async def _load(client: Client, path: Path) -> Left:
    """Recreate a recording, and let its pods start."""
    namespace = f"{path.parent.name}-{path.stem}"
    await client.create(NAMESPACE, {"metadata": {"name": namespace}})
    text = (await asyncio.to_thread(path.read_text)).replace(f"fx-{path.parent.name}", namespace)
    documents: list[Manifest] = list(yaml.safe_load_all(text))
    recorded = next(document for document in documents if document["kind"] == "Canary")
    canary = await client.create(CANARY, _bare(recorded, namespace, ""))
    for manifest in documents:
        if manifest["kind"] in KINDS:
            await client.create(KINDS[manifest["kind"]], _bare(manifest, namespace, canary["metadata"]["uid"]))
    ref = Ref.of(CANARY, canary)
    await client.patch(ref, MergePatch({"status": recorded["status"]}), subresource="status")
    await until(lambda: _are_ready(client, namespace), seconds=30, what=lambda: namespace)
    return Left(namespace, ref, recorded["status"], await _state(client, namespace))


def _bare(manifest: Manifest, namespace: str, owner: str) -> Manifest:
    """As it can be created elsewhere: a dangling owner would let garbage collection delete it."""
    bare = {key: deepcopy(value) for key, value in manifest.items() if key != "status"}
    metadata = {key: value for key, value in bare["metadata"].items() if key not in SERVER_FIELDS}
    bare["metadata"] = {**metadata, "namespace": namespace}
    for reference in bare["metadata"].get("ownerReferences", []):
        reference["uid"] = owner
    for field in ("clusterIP", "clusterIPs"):
        if bare["kind"] == "Service":
            bare["spec"].pop(field, None)
    return bare


async def _are_ready(client: Client, namespace: str) -> bool:
    deployments = await client.find(DEPLOYMENT, namespace)
    return all((found.get("status") or {}).get("readyReplicas", 0) == found["spec"]["replicas"] for found in deployments)


async def _state(client: Client, namespace: str) -> Any:
    """What must not change: pods, the templates they come from, replicas, and routes."""
    pods = [pod["metadata"]["name"] for pod in await client.find(POD, namespace)]
    deployments = [(found["metadata"]["name"], found["spec"]) for found in await client.find(DEPLOYMENT, namespace)]
    routes = [(kind, found["spec"]) for kind in ROUTES for found in await client.find(KINDS[kind], namespace)]
    return pods, deployments, routes
