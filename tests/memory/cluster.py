"""A cluster in memory for whole rollouts on virtual time: the embedded API server, stand-ins for kubelet and gateway, a metrics answer.

Nothing in here sleeps for real: under looptime an hour takes milliseconds.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.kube.client import Client, WatchOptions
from flagger_py.kube.transport import Transport
from flagger_py.local.apiserver import ApiServer
from flagger_py.local.apiserver.users import AUTHENTICATED, MASTERS, User
from flagger_py.objects.errors import ApiError, NotServed
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DAEMON_SET, DEPLOYMENT, EVENT, Manifest, Ref, Resource

START = datetime(2026, 1, 1, tzinfo=UTC)
HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
ROOT = Path(__file__).parents[2]
NAMESPACE = "test"
NODES = 2
CONTROLLER = User("controller", (MASTERS, AUTHENTICATED))
"""Who the controller is on the server, so that its requests can be told from those of the test."""
StatusOf = Callable[[int, bool], Manifest]
"""The status of a workload with so many wanted pods, whose image is broken or not."""


@cache
def crds() -> list[Manifest]:
    """Ours, and those of the routers."""
    files = [*sorted((ROOT / "deploy/crds").glob("*.flagger.app.yaml")), *sorted((ROOT / "flagger_py/local/crds").glob("*.yaml"))]
    return [manifest for file in files for manifest in yaml.load_all(file.read_bytes(), yaml.CSafeLoader)]


def deployment(image: str = "web:1", name: str = "web", **spec: Any) -> Manifest:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
            **spec,
        },
    }


def daemon_set(image: str = "web:1", name: str = "web", **spec: Any) -> Manifest:
    manifest = deployment(image, name)
    return {**manifest, "kind": "DaemonSet", "spec": {key: manifest["spec"][key] for key in ("selector", "template")} | spec}


def canary(name: str = "web", *, kind: str = "Deployment", **analysis: Any) -> Manifest:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "provider": "gatewayapi:v1",
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, "targetPort": 8080, "gatewayRefs": [{"name": "gateway", "namespace": NAMESPACE}]},
            "analysis": {
                "interval": "10s",
                "threshold": 2,
                "stepWeight": 20,
                "maxWeight": 40,
                "metrics": [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}],
                **analysis,
            },
        },
    }


@dataclass
class Web:
    """Everything that the controller asks over HTTP: a PromQL endpoint and hooks."""

    success_rate: float = 100.0
    hook_status: int = 200
    requests: list[HttpRequest] = field(default_factory=list)
    answer: Callable[[HttpRequest], HttpResponse | None] | None = None
    """Comes first; `None` leaves a request to the rest."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        if self.answer and (answered := self.answer(request)):
            return answered
        if "/api/v1/query" in request.url:
            value = "1" if "vector" in request.url else str(self.success_rate)
            body = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, value]}]}}
            return HttpResponse(200, "OK", {}, orjson.dumps(body))
        return HttpResponse(self.hook_status, "", {}, b"")


@dataclass
class MemoryCluster:
    """The API server, and a client for the test as an administrator."""

    server: ApiServer
    transport: Transport
    client: Client
    web: Web = field(default_factory=Web)
    ready_after: float = 1.0
    broken_images: set[str] = field(default_factory=set)
    room: dict[str, int] = field(default_factory=dict)
    """By workload: no more pods than these find a node."""
    start: datetime = START
    """The time of day at which the loop's clock began."""
    target: Resource = DEPLOYMENT
    """The kind of what is released."""

    async def get(self, resource: Resource, name: str) -> Manifest:
        return await self.client.get(Ref(resource, NAMESPACE, name))

    async def patch(self, resource: Resource, name: str, body: Manifest) -> Manifest:
        return await self.client.patch(Ref(resource, NAMESPACE, name), MergePatch(body))

    async def release(self, image: str, name: str = "web") -> None:
        """Set another image on the target."""
        containers = [{"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]
        await self.patch(self.target, name, {"spec": {"template": {"spec": {"containers": containers}}}})

    async def mend(self) -> None:
        """From now on no image is broken, and pods that do not come up do."""
        self.broken_images.clear()
        for resource, status_of in ((DEPLOYMENT, _deployment_status), (DAEMON_SET, _daemon_set_status)):
            for manifest in await self.client.find(resource, NAMESPACE):
                await _roll(self, resource, manifest, status_of)

    async def status(self, name: str = "web") -> Manifest:
        return (await self.get(CANARY, name)).get("status") or {}

    async def weights(self, name: str = "web") -> tuple[int, int]:
        """Primary and canary weight on the route."""
        route = await self.get(HTTP_ROUTE, name)
        by_name = {ref["name"]: ref["weight"] for ref in route["spec"]["rules"][-1]["backendRefs"]}
        return by_name[f"{name}-primary"], by_name.get(f"{name}-canary", 0)

    async def events(self) -> list[str]:
        return [event["message"] for event in await self.client.find(EVENT, NAMESPACE)]

    async def until(self, condition: Callable[[Manifest], bool], *, name: str = "web", seconds: float = 600) -> Manifest:
        """Wait (in virtual time) until the Canary's status meets a condition."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                status = await self.status(name)
            except ApiError:
                status = {}
            if condition(status):
                return status
            assert asyncio.get_running_loop().time() < end, f"not reached within {seconds} s: {status}"
            await asyncio.sleep(0.25)

    async def until_phase(self, phase: str, *, name: str = "web", seconds: float = 600) -> Manifest:
        return await self.until(lambda status: status.get("phase") == phase, name=name, seconds=seconds)


@asynccontextmanager
async def memory_cluster(start: datetime = START) -> AsyncIterator[MemoryCluster]:
    """A cluster with its stand-ins running, and a namespace."""
    clock = LoopClock(start)
    server = ApiServer(now=clock.now, entropy=random.Random(1))
    server.load([*crds(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    transport = server.transport()
    cluster = MemoryCluster(server, transport, Client(transport, jitter=lambda: 0.5), start=start)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(server.run(), name="garbage collector"),
            group.create_task(_run_workloads(cluster, DEPLOYMENT, _deployment_status), name="kubelet of Deployments"),
            group.create_task(_run_workloads(cluster, DAEMON_SET, _daemon_set_status), name="kubelet of DaemonSets"),
            group.create_task(_accept_routes(cluster), name="gateway"),
        ]
        try:
            yield cluster
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def running_controller(cluster: MemoryCluster, **flags: Any) -> AsyncIterator[Controller]:
    """A controller against the cluster; leaving stops it as a signal would."""
    settings = ControllerFlags(enable_leader_election=False, log_level="error", **flags)
    controller = Controller(settings, cluster.server.transport(CONTROLLER), cluster.web, LoopClock(cluster.start), "replica-1")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(controller.run(), name="controller")
        try:
            yield controller
        finally:
            controller.stop()
            await asyncio.wait({task}, timeout=30)
            task.cancel()


async def _watch(client: Client, resource: Resource) -> AsyncIterator[Manifest]:
    """Every object of a kind as it is and as it changes, as long as there is such a kind."""
    version = "0"
    async for page in client.pages(resource):
        version = page.resource_version
        for item in page.items:
            yield item
    while True:
        try:
            async with client.watch(WatchOptions(resource, "", version, 3000)) as events:
                async for event in events:
                    version = event.object["metadata"]["resourceVersion"]
                    if event.type in ("ADDED", "MODIFIED"):
                        yield event.object
        except NotServed:
            return


async def _run_workloads(cluster: MemoryCluster, resource: Resource, status_of: StatusOf) -> None:
    """Pods become ready a while after a change, unless their image is broken: then the deadline runs out."""
    pending: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        async for manifest in _watch(cluster.client, resource):
            metadata, status = manifest["metadata"], manifest.get("status") or {}
            if status.get("observedGeneration") == metadata["generation"]:
                continue
            if task := pending.pop(metadata["uid"], None):
                task.cancel()
            pending[metadata["uid"]] = group.create_task(_roll(cluster, resource, manifest, status_of), name=f"roll {metadata['name']}")


async def _roll(cluster: MemoryCluster, resource: Resource, manifest: Manifest, status_of: StatusOf) -> None:
    ref = Ref(resource, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
    wanted, image = wanted_pods(manifest), manifest["spec"]["template"]["spec"]["containers"][0]["image"]
    is_broken = image in cluster.broken_images and wanted > 0
    await asyncio.sleep(cluster.ready_after if not is_broken else 30)
    is_broken = is_broken and image in cluster.broken_images  # it may have been mended meanwhile
    status = {"observedGeneration": manifest["metadata"]["generation"], **status_of(wanted, is_broken)}
    room = cluster.room.get(ref.name, wanted)
    status |= {key: min(status[key], room) for key in ("readyReplicas", "availableReplicas") if key in status}
    try:
        await cluster.client.patch(ref, MergePatch({"status": status}), subresource="status")
    except ApiError:
        return  # deleted meanwhile


def wanted_pods(manifest: Manifest) -> int:
    """How many pods a workload is to have. A DaemonSet: one on each node, and no node has a label that it could ask for."""
    spec = manifest["spec"]
    if "replicas" in spec:
        return int(spec["replicas"])
    return 0 if spec["template"]["spec"].get("nodeSelector") else NODES


def _deployment_status(wanted: int, is_broken: bool) -> Manifest:
    ready = 0 if is_broken else wanted
    reason = "ProgressDeadlineExceeded" if is_broken else "NewReplicaSetAvailable"
    return {
        "replicas": wanted,
        "updatedReplicas": wanted,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": [{"type": "Progressing", "status": str(not is_broken), "reason": reason}],
    }


def _daemon_set_status(wanted: int, is_broken: bool) -> Manifest:
    """A DaemonSet has no deadline of its own."""
    ready = 0 if is_broken else wanted
    return {
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": wanted,
        "updatedNumberScheduled": wanted,
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
    }


async def _accept_routes(cluster: MemoryCluster) -> None:
    """Accept every route at once, as a gateway controller does."""
    async for manifest in _watch(cluster.client, HTTP_ROUTE):
        generation = manifest["metadata"]["generation"]
        parents = (manifest.get("status") or {}).get("parents") or []
        if parents and parents[0]["conditions"][0]["observedGeneration"] == generation:
            continue
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        parent = {"parentRef": manifest["spec"]["parentRefs"][0], "controllerName": "example.com/gateway", "conditions": [condition]}
        ref = Ref(HTTP_ROUTE, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        try:
            await cluster.client.patch(ref, MergePatch({"status": {"parents": [parent]}}), subresource="status")
        except ApiError:
            continue  # deleted or changed meanwhile: its next event follows
