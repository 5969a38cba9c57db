"""The workload controllers and the node agent against the API server in memory, on virtual time; containers serve nobody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.local.apiserver import ApiServer
from flagger_py.local.conditions import find_condition, is_true
from flagger_py.local.node.agent import NodeAgent
from flagger_py.local.node.api import EmbeddedNodeApi
from flagger_py.local.node.node import NodeHeartbeat
from flagger_py.local.resources import ENDPOINT_SLICE, POD, REPLICA_SET
from flagger_py.local.workloads.controllers import WorkloadControllers
from flagger_py.objects.errors import NotFound, Unreachable
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DAEMON_SET, DEPLOYMENT, SERVICE, Manifest, Ref
from tests.unit.local.node.fakes import FakeRuntime

pytestmark = [pytest.mark.looptime, pytest.mark.timeout(60)]
START = datetime(2026, 1, 1, tzinfo=UTC)
WEB = Ref(DEPLOYMENT, "default", "web")


def now() -> datetime:
    """The wall clock goes with the loop's virtual time."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


@asynccontextmanager
async def cluster(runtime: FakeRuntime, node_api: type[EmbeddedNodeApi] = EmbeddedNodeApi) -> AsyncIterator[Client]:
    """All controllers, above an API server in memory."""
    api = ApiServer(now=now)
    client = Client(api.transport())
    async with api.running(), Cluster(client) as objects, asyncio.TaskGroup() as group:
        agent = NodeAgent(objects, node_api(api.transport()), runtime, node="node", clock=now)
        await NodeHeartbeat(objects.objects(), "node", clock=now).beat()
        tasks = [group.create_task(part) for part in (agent.run(), WorkloadControllers(objects, clock=now).run())]
        yield client
        for task in tasks:
            task.cancel()


def deployment(image: str = "web:1", **spec: Any) -> Manifest:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec(image)}
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def pod_spec(image: str) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 9898}]}]}


async def until(claim: Callable[[], Awaitable[bool]], limit: float = 120) -> None:
    async with asyncio.timeout(limit):
        while not await claim():  # noqa: ASYNC110 (a condition with a limit, on virtual time)
            await asyncio.sleep(0.05)


def completed(client: Client, replicas: int) -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        found = await client.get(WEB)
        status = found.get("status") or {}
        counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
        return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [replicas] * 3

    return claim


def reason(client: Client, wanted: str) -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        return (find_condition(await client.get(WEB), "Progressing") or {}).get("reason") == wanted

    return claim


async def release(client: Client, image: str) -> None:
    await client.patch(WEB, MergePatch({"spec": {"template": {"spec": pod_spec(image)}}}))


async def test_a_deployment_becomes_available_and_is_told_complete() -> None:
    async with cluster(FakeRuntime()) as client:
        await client.create(DEPLOYMENT, deployment())
        await until(completed(client, 2))
        await until(reason(client, "NewReplicaSetAvailable"))
        pods = await client.find(POD, "default")
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node"}
        assert len({pod["status"]["podIP"] for pod in pods}) == 2


async def test_a_new_version_replaces_the_old_within_bounds() -> None:
    seen: list[int] = []
    async with cluster(FakeRuntime(drain=2)) as client:
        await client.create(DEPLOYMENT, deployment(replicas=4))
        await until(completed(client, 4))
        await release(client, "web:2")

        async def claim() -> bool:
            pods = await client.find(POD, "default")
            seen.append(sum(1 for pod in pods if "deletionTimestamp" not in pod["metadata"]))
            return await completed(client, 4)()

        await until(claim)
        assert max(seen) <= 5
        assert min(seen) >= 3
        sets = await client.find(REPLICA_SET, "default")
        assert sorted(found["spec"]["replicas"] for found in sets) == [0, 4]


class ForgetfulNodeApi(EmbeddedNodeApi):
    """Its first removals do not reach the server."""

    failures = 2

    async def remove(self, pod: Ref, uid: str) -> None:
        if ForgetfulNodeApi.failures:
            ForgetfulNodeApi.failures -= 1
            raise Unreachable("the API server is away")
        await super().remove(pod, uid)


async def test_a_pod_that_ends_while_the_api_server_is_away_is_removed_all_the_same() -> None:
    async with cluster(FakeRuntime(), ForgetfulNodeApi) as client:
        await client.create(DEPLOYMENT, deployment())
        await until(completed(client, 2))
        await client.patch(WEB, MergePatch({"spec": {"replicas": 0}}))

        async def are_gone() -> bool:
            return not await client.find(POD, "default")

        await until(are_gone)
        assert ForgetfulNodeApi.failures == 0


async def test_a_status_that_somebody_else_wrote_is_put_right() -> None:
    """Kubernetes takes the pods of a node that it has not heard of for unready; the node says so when it is back."""
    async with cluster(FakeRuntime()) as client:
        await client.create(DEPLOYMENT, deployment())
        await until(completed(client, 2))
        pod = (await client.find(POD, "default"))[0]
        conditions = [{**entry, "status": "False"} if entry["type"] == "Ready" else entry for entry in pod["status"]["conditions"]]
        await client.patch(Ref.of(POD, pod), MergePatch({"status": {"conditions": conditions}}), subresource="status")

        async def is_ready() -> bool:
            return is_true(await client.get(Ref.of(POD, pod)), "Ready")

        await until(is_ready)


async def test_scaling_to_zero_and_back() -> None:
    async with cluster(FakeRuntime(drain=1)) as client:
        await client.create(DEPLOYMENT, deployment())
        await until(completed(client, 2))
        for replicas in (0, 3):
            await client.patch(WEB, MergePatch({"spec": {"replicas": replicas}}))
            await until(completed(client, replicas))


async def test_an_image_that_is_missing_exceeds_the_progress_deadline() -> None:
    """workloads:RDY-04"""
    async with cluster(FakeRuntime(pulls_fail=1000)) as client:
        await client.create(DEPLOYMENT, deployment(progressDeadlineSeconds=60))
        await until(reason(client, "ProgressDeadlineExceeded"))
        assert 59 <= asyncio.get_running_loop().time() <= 65
        found = await client.get(WEB)
        assert found["status"]["unavailableReplicas"] == 2


async def test_a_pod_must_be_ready_for_a_while_to_be_available() -> None:
    async with cluster(FakeRuntime()) as client:
        await client.create(DEPLOYMENT, deployment(minReadySeconds=30))
        await until(completed(client, 2))
        assert 29 <= asyncio.get_running_loop().time() <= 35


async def test_a_deleted_deployment_takes_its_pods_with_it_after_they_have_drained() -> None:
    async with cluster(FakeRuntime(drain=5)) as client:
        await client.create(DEPLOYMENT, deployment())
        await until(completed(client, 2))
        began = asyncio.get_running_loop().time()
        await client.delete(WEB)

        async def claim() -> bool:
            return not await client.find(POD, "default") and not await client.find(REPLICA_SET, "default")

        await until(claim)
        assert asyncio.get_running_loop().time() - began >= 5
        with pytest.raises(NotFound):
            await client.get(WEB)


async def test_a_pod_leaves_the_endpoints_before_it_ends() -> None:
    async with cluster(FakeRuntime(drain=5)) as client:
        await client.create(DEPLOYMENT, deployment())
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
        await client.create(SERVICE, service)
        await until(completed(client, 2))
        await client.patch(WEB, MergePatch({"spec": {"replicas": 1}}))

        async def claim() -> bool:
            (found,) = [entry for entry in await client.find(ENDPOINT_SLICE, "default") if entry["metadata"]["name"] == "web"]
            return sum(1 for endpoint in found["endpoints"] or () if endpoint["conditions"]["ready"]) == 1

        await until(claim, limit=2)
        assert len(await client.find(POD, "default")) == 2


async def test_a_pod_that_somebody_deletes_is_replaced() -> None:
    async with cluster(FakeRuntime()) as client:
        await client.create(DEPLOYMENT, deployment())
        await until(completed(client, 2))
        victim = (await client.find(POD, "default"))[0]
        await client.delete(Ref.of(POD, victim))

        async def claim() -> bool:
            uids = {pod["metadata"]["uid"] for pod in await client.find(POD, "default")}
            return victim["metadata"]["uid"] not in uids and await completed(client, 2)()

        await until(claim)


async def test_a_daemon_set_is_rolled_pod_by_pod() -> None:
    async with cluster(FakeRuntime(drain=1)) as client:
        manifest = deployment()
        spec = {key: manifest["spec"][key] for key in ("selector", "template")}
        await client.create(DAEMON_SET, {"metadata": manifest["metadata"], "spec": spec})
        ref = Ref(DAEMON_SET, "default", "web")

        async def claim() -> bool:
            found = await client.get(ref)
            status = found.get("status") or {}
            counts = (status.get("updatedNumberScheduled"), status.get("numberAvailable"))
            return status.get("observedGeneration") == found["metadata"]["generation"] and counts == (1, 1)

        await until(claim)
        await client.patch(ref, MergePatch({"spec": {"template": {"spec": pod_spec("web:2")}}}))
        await until(claim)
        (pod,) = [found for found in await client.find(POD, "default") if "deletionTimestamp" not in found["metadata"]]
        assert pod["spec"]["containers"][0]["image"] == "web:2"
