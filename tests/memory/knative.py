"""Knative in memory: its two kinds, as far as Canaries need them, and a stand-in for its controllers.

A changed template becomes a Revision; a Revision is ready after a while, unless its image is broken; traffic follows what the spec says.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from flagger_py.kube.client import WatchOptions
from flagger_py.objects.errors import AlreadyExists, Conflict, NotFound
from flagger_py.objects.knative import KNATIVE_REVISION, KNATIVE_SERVICE
from flagger_py.objects.patch import MergePatch, pinned
from flagger_py.objects.resource import Manifest, Ref, Resource
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, memory_cluster

DEFINITIONS: Final = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
LAG: Final = 0.2
"""Seconds after which a change is looked at."""


def definition(resource: Resource) -> Manifest:
    """A definition that keeps whatever is in spec and status."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    names = {"kind": resource.kind, "plural": resource.plural, "singular": resource.kind.lower(), "listKind": f"{resource.kind}List"}
    spec = {"group": resource.group, "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{resource.plural}.{resource.group}"}, "spec": spec}


def knative_service(image: str = "web:1", name: str = "web") -> Manifest:
    """As Knative's webhook stores it: with the traffic that it fills in."""
    template = {"spec": {"containers": [{"image": image}]}}
    traffic = [{"latestRevision": True, "percent": 100}]
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"template": template, "traffic": traffic}}


def knative_canary(name: str = "web", **spec: Any) -> Manifest:
    manifest = canary(name, metrics=[{"name": "errors", "query": "errors{revision='{{ route }}'}", "thresholdRange": {"min": 99}}])
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}
    del manifest["spec"]["service"]
    manifest["spec"] |= {"provider": "knative", "targetRef": target, **spec}
    return manifest


async def install(cluster: MemoryCluster) -> None:
    """Make the API server serve Knative's kinds."""
    for resource in (KNATIVE_SERVICE, KNATIVE_REVISION):
        await cluster.client.create(DEFINITIONS, definition(resource))


@asynccontextmanager
async def knative_cluster() -> AsyncIterator[MemoryCluster]:
    """A cluster with Knative."""
    async with memory_cluster() as cluster:
        await install(cluster)
        async with running_knative(cluster):
            yield cluster


@asynccontextmanager
async def running_knative(cluster: MemoryCluster) -> AsyncIterator[None]:
    """Knative's controllers beside the body."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_run(cluster, group), name="knative")
        try:
            yield
        finally:
            task.cancel()


async def release(cluster: MemoryCluster, image: str, name: str = "web") -> None:
    """Set another image on the Knative Service."""
    await cluster.patch(KNATIVE_SERVICE, name, {"spec": {"template": {"spec": {"containers": [{"image": image}]}}}})


async def traffic(cluster: MemoryCluster, name: str = "web") -> list[Manifest]:
    """What the spec says."""
    entries: list[Manifest] = (await cluster.get(KNATIVE_SERVICE, name))["spec"]["traffic"]
    return entries


async def shares(cluster: MemoryCluster, name: str = "web") -> dict[str, int]:
    """The percentage of users that each Revision really gets."""
    found: dict[str, int] = {}
    for entry in (await cluster.get(KNATIVE_SERVICE, name)).get("status", {}).get("traffic", ()):
        found[entry["revisionName"]] = found.get(entry["revisionName"], 0) + entry.get("percent", 0)
    return {revision: percent for revision, percent in found.items() if percent}


async def _run(cluster: MemoryCluster, group: asyncio.TaskGroup) -> None:
    version = "0"
    async for page in cluster.client.pages(KNATIVE_SERVICE):
        version = page.resource_version
        for item in page.items:
            group.create_task(_look_at(cluster, item["metadata"]["name"], group))
    while True:
        async with cluster.client.watch(WatchOptions(KNATIVE_SERVICE, "", version, 3000)) as events:
            async for event in events:
                version = event.object["metadata"]["resourceVersion"]
                observed = (event.object.get("status") or {}).get("observedGeneration")
                if event.type in {"ADDED", "MODIFIED"} and event.object["metadata"]["generation"] != observed:
                    group.create_task(_look_at(cluster, event.object["metadata"]["name"], group))


async def _look_at(cluster: MemoryCluster, name: str, group: asyncio.TaskGroup) -> None:
    """What Knative's controllers do for a generation: a Revision for a template that has none yet, then the status."""
    await asyncio.sleep(LAG)
    try:
        service = await cluster.get(KNATIVE_SERVICE, name)
        revision = await _revision_for(cluster, service, group)
        await _report(cluster, name, {"latestCreatedRevisionName": revision, "observedGeneration": service["metadata"]["generation"]})
    except NotFound:
        return  # deleted meanwhile


async def _revision_for(cluster: MemoryCluster, service: Manifest, group: asyncio.TaskGroup) -> str:
    name, spec = service["metadata"]["name"], service["spec"]["template"]["spec"]
    revisions = [one for one in await cluster.client.find(KNATIVE_REVISION, NAMESPACE) if _owner(one) == name]
    newest = max(revisions, key=lambda one: str(one["metadata"]["name"]), default=None)
    if newest is not None and newest["spec"] == spec:
        return str(newest["metadata"]["name"])
    revision = f"{name}-{len(revisions) + 1:05}"
    metadata = {"name": revision, "namespace": NAMESPACE, "labels": {"serving.knative.dev/service": name}}
    try:
        await cluster.client.create(KNATIVE_REVISION, {"metadata": metadata, "spec": spec})
    except AlreadyExists:
        return revision
    group.create_task(_start(cluster, name, revision, spec["containers"][0]["image"]), name=f"start {revision}")
    return revision


def _owner(revision: Manifest) -> str:
    return str(revision["metadata"]["labels"]["serving.knative.dev/service"])


async def _start(cluster: MemoryCluster, name: str, revision: str, image: str) -> None:
    await set_ready(cluster, revision, status="Unknown", reason="Deploying")
    await asyncio.sleep(cluster.ready_after)
    if image in cluster.broken_images:
        await set_ready(cluster, revision, status="False", reason="ImagePullBackOff", message=f"cannot pull {image}")
        return
    await set_ready(cluster, revision)
    await _report(cluster, name, {"latestReadyRevisionName": revision})


async def set_ready(cluster: MemoryCluster, revision: str, *, status: str = "True", reason: str = "", message: str = "") -> None:
    """Say of a Revision whether it is ready."""
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    body = {"status": {"observedGeneration": 1, "conditions": [condition]}}
    try:
        await cluster.client.patch(Ref(KNATIVE_REVISION, NAMESPACE, revision), MergePatch(body), subresource="status")
    except NotFound:
        return


async def _report(cluster: MemoryCluster, name: str, changes: Manifest) -> None:
    """Write a status that holds together: traffic goes to the newest ready Revision where the spec asks for the latest."""
    while True:
        try:
            service = await cluster.get(KNATIVE_SERVICE, name)
            status = {**(service.get("status") or {}), **changes}
            status["traffic"] = [_resolved(entry, status) for entry in service["spec"].get("traffic", ())]
            status["conditions"] = [{"type": "RoutesReady", "status": "True" if status.get("latestReadyRevisionName") else "Unknown"}]
            await cluster.client.patch(
                Ref(KNATIVE_SERVICE, NAMESPACE, name), pinned(MergePatch({"status": status}), service), subresource="status"
            )
        except Conflict:
            continue
        except NotFound:
            return
        return


def _resolved(entry: Manifest, status: Manifest) -> Manifest:
    is_latest = bool(entry.get("latestRevision"))
    revision = status.get("latestReadyRevisionName", "") if is_latest else entry["revisionName"]
    return {**entry, "latestRevision": is_latest, "revisionName": revision}
