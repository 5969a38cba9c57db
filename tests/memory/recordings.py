"""What Flagger 1.44 left in a cluster (`tests/fixtures/takeover`), put into a cluster in memory as if Flagger had just stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from flagger_py.kube.client import WatchOptions
from flagger_py.local.apiserver.request_log import LoggedRequest
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SECRET, SERVICE, Manifest, Ref, Resource
from tests.memory.cluster import CONTROLLER, HTTP_ROUTE, NAMESPACE, MemoryCluster, memory_cluster

FOLDER = Path(__file__).parents[1] / "fixtures" / "takeover"
VIRTUAL_SERVICE = Resource("networking.istio.io", "v1beta1", "virtualservices", "VirtualService")
DESTINATION_RULE = Resource("networking.istio.io", "v1beta1", "destinationrules", "DestinationRule")
HTTP_PROXY = Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy")
AUTOSCALER = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
ROUTES = (HTTP_ROUTE, VIRTUAL_SERVICE, HTTP_PROXY)
RESOURCES = {one.kind: one for one in (DEPLOYMENT, DAEMON_SET, SERVICE, CONFIG_MAP, SECRET, AUTOSCALER, DESTINATION_RULE, *ROUTES)}

Weights = tuple[int, int]


class Recording:
    """One phase of one scenario."""

    def __init__(self, scenario: str, phase: str) -> None:
        self.documents = deepcopy(_documents(scenario, phase))
        self.canary = next(manifest for manifest in self.documents if manifest["kind"] == "Canary")
        self.children = [manifest for manifest in self.documents if manifest["kind"] in RESOURCES]

    @property
    def status(self) -> Manifest:
        status: Manifest = self.canary["status"]
        return status

    @property
    def recorded_at(self) -> datetime:
        """Shortly after the last thing that Flagger wrote into the status."""
        return datetime.fromisoformat(self.status["lastTransitionTime"]) + timedelta(seconds=1.5)

    def image(self, name: str) -> str:
        """The image of a recorded workload."""
        return image_of(next(one for one in self.children if "template" in one.get("spec", {}) and one["metadata"]["name"] == name))

    @property
    def weights(self) -> list[Weights]:
        """Primary and canary weight of the recorded route; empty where there is none."""
        return [weights_of(one) for one in self.children if one["kind"] in {route.kind for route in ROUTES}]


@cache
def _documents(scenario: str, phase: str) -> list[Manifest]:
    text = (FOLDER / scenario / f"{phase}.yaml").read_text()
    return list(yaml.load_all(text.replace(f"fx-{scenario}", NAMESPACE), yaml.CSafeLoader))


@asynccontextmanager
async def cluster_of(recording: Recording) -> AsyncIterator[MemoryCluster]:
    """A cluster that holds the recording, at the time of the recording, with no controller in it."""
    async with memory_cluster(recording.recorded_at) as cluster:
        uid = await _create(cluster, CANARY, recording.canary, "")
        for manifest in recording.children:
            await _create(cluster, RESOURCES[manifest["kind"]], manifest, uid)
        cluster.target = RESOURCES[recording.canary["spec"]["targetRef"]["kind"]]
        cluster.server.log.clear()
        yield cluster


async def _create(cluster: MemoryCluster, resource: Resource, manifest: Manifest, owner: str) -> str:
    """Create an object under a new uid, its status through the sub-resource."""
    kept = {key: value for key, value in manifest["metadata"].items() if key in {"name", "namespace", "labels", "annotations"}}
    owners = [{**one, "uid": owner} for one in manifest["metadata"].get("ownerReferences", ())]
    stored = await cluster.client.create(resource, {**manifest, "metadata": {**kept, "ownerReferences": owners}})
    metadata = stored["metadata"]
    if status := manifest.get("status"):
        seen = {"observedGeneration": metadata["generation"]} if "observedGeneration" in status else {}
        ref = Ref(resource, NAMESPACE, metadata["name"])
        await cluster.client.patch(ref, MergePatch({"status": {**status, **seen}}), subresource="status")
    return str(metadata["uid"])


def weights_of(route: Manifest) -> Weights:
    """Primary and canary weight in the last rule of a route that names both: of an A/B test those of the matching requests."""
    match route["kind"]:
        case "HTTPRoute":
            rules = [rule["backendRefs"] for rule in route["spec"]["rules"]]
        case "VirtualService":
            http = [*route["spec"].get("http", ()), *route["spec"].get("tcp", ())]
            rules = [[{"name": one["destination"]["host"], "weight": one.get("weight", 0)} for one in rule["route"]] for rule in http]
        case _:
            rules = [route["spec"]["routes"][0]["services"]]
    by_name = next({one["name"]: one.get("weight", 0) for one in rule} for rule in reversed(rules) if len(rule) == 2)
    return by_name["web-primary"], by_name["web-canary"]


def image_of(workload: Manifest) -> str:
    image: str = workload["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def writes(cluster: MemoryCluster) -> list[LoggedRequest]:
    """What the controller has written since the recording was put in."""
    return [one for one in cluster.server.log if one.user == CONTROLLER.name and one.method != "GET" and "selfsubject" not in one.path]


@asynccontextmanager
async def weights_seen(cluster: MemoryCluster, provider: str) -> AsyncIterator[list[Weights]]:
    """Every pair of weights that the route has in turn, its present ones first."""
    resource = next(one for one in ROUTES if one.group.startswith(_GROUPS[provider.partition(":")[0]]))
    seen: list[Weights] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_follow(cluster, resource, seen), name="weights seen")
        try:
            yield seen
        finally:
            task.cancel()


_GROUPS = {"gatewayapi": "gateway", "istio": "networking.istio", "contour": "projectcontour"}


async def _follow(cluster: MemoryCluster, resource: Resource, seen: list[Weights]) -> None:
    version = "0"
    async for page in cluster.client.pages(resource, NAMESPACE):
        version = page.resource_version
        _note(seen, *page.items)
    async with cluster.client.watch(WatchOptions(resource, NAMESPACE, version, 3000)) as events:
        async for event in events:
            if event.type in {"ADDED", "MODIFIED"}:
                _note(seen, event.object)


def _note(seen: list[Weights], *routes: Any) -> None:
    for route in routes:
        if seen[-1:] != [weights_of(route)]:
            seen.append(weights_of(route))
