"""Rollouts of targets without pods of their own, and of Deployments with an autoscaler, are interrupted at each of their calls."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Final

import pytest

from flagger_py.objects.knative import KNATIVE_SERVICE, PRIMARY_REVISION
from flagger_py.objects.resource import CANARY, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, SERVICE, Manifest, Resource
from tests.crash.conftest import Explore
from tests.crash.lives import controllers, run_alone
from tests.memory import knative
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, deployment, memory_cluster
from tests.memory.interruption import Wire
from tests.memory.recordings import Weights, image_of, weights_seen
from tests.memory.scaling import autoscaling, hpa, install_keda, pods_at_each_weight, reference, replicas, scaled_object

GOOD: Final = [(100, 0), (80, 20), (60, 40), (100, 0)]
BAD: Final = [(100, 0), (80, 20), (100, 0)]
PODS: Final = 10
"""What all the traffic takes."""


class Rollout(ABC):
    """What is rolled out, and how its end is told."""

    quiet: ClassVar[float] = 60.0
    """Seconds after the end, for whatever is still due."""

    @abstractmethod
    async def prepare(self, cluster: MemoryCluster, stack: AsyncExitStack) -> None:
        """The target and its Canary, and who acts on them."""

    @abstractmethod
    async def release(self, cluster: MemoryCluster) -> None:
        """Version 2."""

    @abstractmethod
    async def promoted(self, cluster: MemoryCluster) -> str:
        """The version that users have: `1` or `2`."""

    def seeing(self, cluster: MemoryCluster) -> Any:
        """The traffic in turn."""
        return weights_seen(cluster, "gatewayapi:v1")

    async def check(self, cluster: MemoryCluster) -> None:  # noqa: B027 - mostly nothing
        """What else must be true in the end."""


class CoreService(Rollout):
    """The user's Service, whose selector says the version."""

    async def prepare(self, cluster: MemoryCluster, stack: AsyncExitStack) -> None:
        spec = {"selector": {"app": "web", "version": "1"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        await cluster.client.create(SERVICE, {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": spec})
        manifest = canary(kind="Service", metrics=[{"name": "errors", "query": "errors", "thresholdRange": {"min": 99}}])
        manifest["spec"]["targetRef"]["apiVersion"] = "v1"
        del manifest["spec"]["service"]["targetPort"]
        await cluster.client.create(CANARY, manifest)

    async def release(self, cluster: MemoryCluster) -> None:
        await cluster.patch(SERVICE, "web", {"spec": {"selector": {"version": "2"}}})

    async def promoted(self, cluster: MemoryCluster) -> str:
        return str((await cluster.get(SERVICE, "web-primary"))["spec"]["selector"]["version"])


class KnativeService(Rollout):
    """A Knative Service, which routes by itself."""

    async def prepare(self, cluster: MemoryCluster, stack: AsyncExitStack) -> None:
        await knative.install(cluster)
        await stack.enter_async_context(knative.running_knative(cluster))
        await cluster.client.create(KNATIVE_SERVICE, knative.knative_service())
        await cluster.client.create(CANARY, knative.knative_canary())

    async def release(self, cluster: MemoryCluster) -> None:
        await knative.release(cluster, "web:2")

    async def promoted(self, cluster: MemoryCluster) -> str:
        return str((await cluster.get(KNATIVE_SERVICE, "web"))["metadata"]["annotations"][PRIMARY_REVISION][-1])

    def seeing(self, cluster: MemoryCluster) -> Any:
        return shares_seen(cluster)


class Autoscaled(Rollout):
    """A Deployment whose primary is shrunk as the canary takes traffic."""

    quiet = 400.0  # longer than the copy of the autoscaler keeps its raised minimum

    def __init__(self, kind: Resource, scaler: Manifest) -> None:
        self.kind = kind
        self.scaler = scaler
        self.pods: list[tuple[Weights, int]] = []

    async def prepare(self, cluster: MemoryCluster, stack: AsyncExitStack) -> None:
        if self.kind == SCALED_OBJECT:
            await install_keda(cluster)
        await cluster.client.create(DEPLOYMENT, deployment(replicas=PODS))
        await cluster.client.create(self.kind, self.scaler)
        manifest = canary()
        manifest["spec"]["autoscalerRef"] = reference(self.kind.kind)
        await cluster.client.create(CANARY, manifest)
        await stack.enter_async_context(autoscaling(cluster, PODS, self.kind))
        self.pods = await stack.enter_async_context(pods_at_each_weight(cluster))

    async def release(self, cluster: MemoryCluster) -> None:
        await cluster.release("web:2")

    async def promoted(self, cluster: MemoryCluster) -> str:
        return image_of(await cluster.get(DEPLOYMENT, "web-primary"))[-1]

    async def check(self, cluster: MemoryCluster) -> None:
        assert self.pods[-1] == ((100, 0), PODS), "all users never meet a shrunk primary"
        assert await replicas(cluster, "web") == 0
        copy = (await cluster.get(self.kind, "web-primary"))["spec"]
        assert copy.get("minReplicas", copy.get("minReplicaCount")) == 2, "its minimum is what the user says in the end"


@asynccontextmanager
async def shares_seen(cluster: MemoryCluster) -> AsyncIterator[list[Weights]]:
    """What the primary's Revision and all others are to get, each time it changes."""
    seen: list[Weights] = []

    async def follow() -> None:
        while True:
            entries = await knative.traffic(cluster)
            weights = tuple(sum(entry["percent"] for entry in entries if bool(entry.get("latestRevision")) is new) for new in (False, True))
            if seen[-1:] != [weights]:
                seen.append((weights[0], weights[1]))
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(), name="shares")
        try:
            yield seen
        finally:
            task.cancel()


ROLLOUTS: Final = {
    "a Service": CoreService,
    "a Knative Service": KnativeService,
    "a Deployment with an HPA": lambda: Autoscaled(HORIZONTAL_POD_AUTOSCALER, hpa()),
    "a Deployment with a ScaledObject": lambda: Autoscaled(SCALED_OBJECT, scaled_object()),
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad"])
@pytest.mark.parametrize("name", ROLLOUTS)
def test_it_ends_as_if_nothing_had_happened(name: str, is_good: bool, interrupted: Explore) -> None:
    """engine:ACC-18, HAZ-01, HAZ-09, HAZ-38, workloads:AS-05, SVC-05, KN-06."""
    interrupted(lambda wire: run_alone(_play(wire, ROLLOUTS[name](), is_good=is_good)), 6)


async def _play(wire: Wire, rollout: Rollout, *, is_good: bool) -> None:
    async with memory_cluster() as cluster, AsyncExitStack() as stack:
        await rollout.prepare(cluster, stack)
        await stack.enter_async_context(controllers(cluster, [wire]))
        await cluster.until_phase("Initialized")
        async with rollout.seeing(cluster) as seen:
            cluster.web.success_rate = 100.0 if is_good else 50.0
            wire.begin()
            await rollout.release(cluster)
            status = await cluster.until_phase("Succeeded" if is_good else "Failed")
            run = status["rollout"]["run"]
            await asyncio.sleep(rollout.quiet)
        status = await cluster.status()
        assert (status["phase"], status["rollout"]["run"]) == ("Succeeded" if is_good else "Failed", run)
        assert seen == (GOOD if is_good else BAD)
        assert await rollout.promoted(cluster) == ("2" if is_good else "1")
        assert [condition["type"] for condition in status["conditions"]] == ["Promoted"], "no fault is left over"
        await rollout.check(cluster)
