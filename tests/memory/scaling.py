"""Autoscalers in a cluster in memory: what Kubernetes and KEDA do with them, reduced to what a rollout meets."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from flagger_py.kube.client import WatchOptions
from flagger_py.objects.errors import ApiError
from flagger_py.objects.resource import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Manifest, Resource
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster
from tests.memory.recordings import weights_of

PERIOD = 5.0
"""Seconds between two looks; there is no window in which pods are kept, so that every weakness shows."""
DEFINITION = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
PAUSED = "autoscaling.keda.sh/paused-replicas"


def hpa(least: int = 2, most: int = 12, **metadata: Any) -> Manifest:
    """The HorizontalPodAutoscaler of the Deployment `web`."""
    return {
        "metadata": {"name": "web", "namespace": NAMESPACE, **metadata},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": least,
            "maxReplicas": most,
        },
    }


def scaled_object(least: int = 2, most: int = 12, **metadata: Any) -> Manifest:
    """The ScaledObject of the Deployment `web`."""
    query = {"serverAddress": "http://prometheus", "threshold": "5", "query": 'sum(rate(http_requests{app="web"}[1m]))'}
    return {
        "metadata": {"name": "web", "namespace": NAMESPACE, **metadata},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "triggers": [{"type": "prometheus", "name": "load", "metadata": query}],
        },
    }


def reference(kind: str = "HorizontalPodAutoscaler", **fields: Any) -> Manifest:
    """A Canary's `spec.autoscalerRef`."""
    version = HORIZONTAL_POD_AUTOSCALER.api_version if kind == "HorizontalPodAutoscaler" else SCALED_OBJECT.api_version
    return {"apiVersion": version, "kind": kind, "name": "web", **fields}


async def install_keda(cluster: MemoryCluster) -> None:
    """The kind of KEDA that a Canary refers to; it keeps every field."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": SCALED_OBJECT.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": SCALED_OBJECT.plural, "kind": SCALED_OBJECT.kind, "singular": "scaledobject", "listKind": "ScaledObjectList"}
    spec = {"group": SCALED_OBJECT.group, "names": names, "scope": "Namespaced", "versions": [version]}
    name = f"{SCALED_OBJECT.plural}.{SCALED_OBJECT.group}"
    await cluster.client.create(DEFINITION, {"metadata": {"name": name}, "spec": spec})


Demand = Callable[[int], int]
"""How many pods so many percent of the traffic take."""


@asynccontextmanager
async def autoscaling(
    cluster: MemoryCluster,
    pods_for_all: int,
    resource: Resource = HORIZONTAL_POD_AUTOSCALER,
    *,
    rounded: Callable[[float], int] = math.ceil,
) -> AsyncIterator[None]:
    """Each Deployment with an autoscaler has, within its limits, the pods for its share of the traffic; all of it takes `pods_for_all`."""

    def demand(share: int) -> int:
        return rounded(pods_for_all * share / 100)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(_scale(cluster, demand, resource), name="autoscaler")
        try:
            yield
        finally:
            task.cancel()


async def _scale(cluster: MemoryCluster, demand: Demand, resource: Resource) -> None:
    while True:
        await asyncio.sleep(PERIOD)
        primary, canary = await _weights(cluster)
        for scaler in await cluster.client.find(resource, NAMESPACE):
            name = scaler["spec"]["scaleTargetRef"]["name"]
            share = primary if name == "web-primary" else canary
            try:
                await _scale_one(cluster, scaler, name, demand(share))
            except ApiError:
                continue  # it is being deleted


async def _weights(cluster: MemoryCluster) -> tuple[int, int]:
    try:
        return await cluster.weights()
    except (ApiError, KeyError):
        return 0, 100  # there is no route yet, or none any more: all go to the target


async def _scale_one(cluster: MemoryCluster, scaler: Manifest, name: str, demand: int) -> None:
    spec, paused = scaler["spec"], (scaler["metadata"].get("annotations") or {}).get(PAUSED)
    least = spec.get("minReplicas", spec.get("minReplicaCount", 0))
    most = spec.get("maxReplicas", spec.get("maxReplicaCount", 100))
    current = (await cluster.get(DEPLOYMENT, name))["spec"]["replicas"]
    is_keda = "triggers" in spec
    wanted = int(paused) if paused is not None else min(max(demand, least), most)
    if wanted != current and (current > 0 or is_keda):  # Kubernetes leaves a Deployment at zero alone
        await cluster.patch(DEPLOYMENT, name, {"spec": {"replicas": wanted}})


Moment = tuple[tuple[int, int], int]
"""Primary and canary weight, and how many pods of the primary could serve then."""


@asynccontextmanager
async def pods_at_each_weight(cluster: MemoryCluster) -> AsyncIterator[list[Moment]]:
    """The pods that the primary had as each pair of weights began, the present one first."""
    seen: list[Moment] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_follow(cluster, seen), name="pods at each weight")
        try:
            yield seen
        finally:
            task.cancel()


async def _follow(cluster: MemoryCluster, seen: list[Moment]) -> None:
    async with cluster.client.watch(WatchOptions(HTTP_ROUTE, NAMESPACE, "0", 3000)) as events:
        async for event in events:
            if event.type in {"ADDED", "MODIFIED"}:
                weights = weights_of(event.object)
                if not seen or seen[-1][0] != weights:
                    seen.append((weights, await available(cluster, "web-primary")))


async def available(cluster: MemoryCluster, name: str) -> int:
    """How many pods of a Deployment can serve."""
    status = (await cluster.get(DEPLOYMENT, name)).get("status") or {}
    return int(status.get("availableReplicas") or 0)


async def replicas(cluster: MemoryCluster, name: str) -> int:
    """How many pods a Deployment is to have."""
    return int((await cluster.get(DEPLOYMENT, name))["spec"]["replicas"])
