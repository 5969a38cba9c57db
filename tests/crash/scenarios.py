"""The rollouts that are interrupted, from their preparation to what must be true in the end."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import Any, Final

import looptime

from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.objects.resource import CANARY, CONFIG_MAP, DEPLOYMENT, EVENT, Manifest
from tests.crash.guard import Guard, image_of
from tests.memory.cluster import CONTROLLER, NAMESPACE, MemoryCluster, canary, deployment, memory_cluster
from tests.memory.interruption import Interruption, Point, Wire

DOWNTIME: Final = 3.0
"""Seconds until a killed controller runs again."""
QUIET: Final = 30.0
"""Seconds after the end for whatever is still due; in the last half of them nothing may change any more."""
STAGES: Final = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout")
ONCE: Final = ("Initialization done", "New revision detected", "Advance", "Copying", "Promotion completed", "Canary failed")
"""What happens once in a scenario: the Event of a replayed pass is no second one."""


class Scenario(ABC):
    """One rollout. `prepare` runs with an undisturbed controller, `act` begins what is interrupted."""

    goal: str
    hooks: tuple[str, ...] = ()
    """The stages whose hooks must have been called."""

    @abstractmethod
    async def prepare(self, cluster: MemoryCluster) -> None:
        """What stands there before."""

    @abstractmethod
    async def act(self, cluster: MemoryCluster) -> None:
        """Begin it."""

    @abstractmethod
    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        """What must be true in the end."""


class Initialisation(Scenario):
    """A new Canary gets its primary."""

    goal = "Initialized"

    async def prepare(self, cluster: MemoryCluster) -> None:
        """Nothing: the controller starts with what is interrupted."""

    async def act(self, cluster: MemoryCluster) -> None:
        await create_app(cluster)

    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        assert guard.primary_images == ["web:1"]
        assert guard.weights == [(100, 0)]
        assert await image_and_pods(cluster, "web-primary") == ("web:1", 2)
        assert await image_and_pods(cluster, "web") == ("web:1", 0)


class GoodRollout(Scenario):
    """A version that passes all checks is promoted."""

    goal = "Succeeded"
    hooks: tuple[str, ...] = STAGES

    async def prepare(self, cluster: MemoryCluster) -> None:
        await create_app(cluster)
        await cluster.until_phase("Initialized")

    async def act(self, cluster: MemoryCluster) -> None:
        await release(cluster, "web:2")

    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        assert guard.primary_images == ["web:1", "web:2"], "one promotion write"
        assert guard.weights == [(100, 0), (80, 20), (60, 40), (100, 0)]
        assert len(guard.runs) == 1
        assert await image_and_pods(cluster, "web-primary") == ("web:2", 2)
        assert await image_and_pods(cluster, "web") == ("web:2", 0)


class BadRollout(GoodRollout):
    """A version that fails its checks is rolled back."""

    goal = "Failed"
    hooks = ("confirm-rollout", "pre-rollout", "rollout", "post-rollout")

    async def act(self, cluster: MemoryCluster) -> None:
        cluster.web.success_rate = 50
        await release(cluster, "web:2")

    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        assert guard.primary_images == ["web:1"]
        assert guard.weights == [(100, 0), (80, 20), (100, 0)]
        assert len(guard.runs) == 1
        assert await image_and_pods(cluster, "web-primary") == ("web:1", 2)
        assert await image_and_pods(cluster, "web") == ("web:2", 0)


SCENARIOS: Final[dict[str, Scenario]] = {
    "initialisation": Initialisation(),
    "a good rollout": GoodRollout(),
    "a bad rollout": BadRollout(),
}


def play(
    scenario: Scenario, interruption: Interruption | None = None, at: Container[int] = (), *, controllers: int = 1
) -> tuple[Point, ...]:
    """One scenario, interrupted at these calls, on a loop of its own; gives the calls that were made. Raises what is wrong.

    With more than one of the `controllers`, all of them work at the same time, and the first is the one that is interrupted.
    """
    random.seed(0)
    loop = looptime.new_event_loop()
    try:
        points: tuple[Point, ...] = loop.run_until_complete(_play(scenario, Wire(interruption, at), controllers))
        return points
    finally:
        loop.close()


async def _play(scenario: Scenario, wire: Wire, controllers: int) -> tuple[Point, ...]:
    async with memory_cluster() as cluster, _controllers(cluster, [wire, *(Wire() for _ in range(controllers - 1))]):
        guard = Guard(cluster)
        await scenario.prepare(cluster)
        wire.begin()
        await scenario.act(cluster)
        await cluster.until_phase(scenario.goal)
        await asyncio.sleep(QUIET)
        await _check_end(cluster, guard, scenario)
    return tuple(wire.points)


async def _check_end(cluster: MemoryCluster, guard: Guard, scenario: Scenario) -> None:
    assert not guard.problems, "\n".join(guard.problems)
    assert guard.status["phase"] == scenario.goal
    assert asyncio.get_running_loop().time() - guard.last_change > QUIET / 2, f"it never comes to rest: {guard.status}"
    assert not guard.record.get("outbox"), "all that was due is delivered"
    assert [condition["type"] for condition in guard.status["conditions"]] == ["Promoted"], "no fault is left over"
    called = stages_called(cluster)
    assert set(scenario.hooks) <= set(called), f"hooks are called at least once, not {dict(called)}"
    repeated = [event["message"] for event in await cluster.client.find(EVENT, NAMESPACE) if event.get("count", 1) > 1]
    assert not [message for message in repeated if message.startswith(ONCE)]
    await scenario.check(cluster, guard)


@asynccontextmanager
async def _controllers(cluster: MemoryCluster, wires: list[Wire]) -> AsyncIterator[None]:
    """On each wire one controller process after the other: the next one starts some time after the last was killed, and knows nothing."""
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(_live_and_die(cluster, wire), name="lives") for wire in wires]
        try:
            yield
        finally:
            for life in lives:
                life.cancel()


async def _live_and_die(cluster: MemoryCluster, wire: Wire) -> None:
    while True:
        wire.killed.clear()
        process = wire.process(cluster.server.transport(CONTROLLER), cluster.web)
        flags = ControllerFlags(enable_leader_election=False)
        controller = Controller(flags, process, process, LoopClock(cluster.start), "replica-1")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(controller.run(), name="controller")
            await wire.killed.wait()
            running.cancel()
        await asyncio.sleep(DOWNTIME)


async def create_app(cluster: MemoryCluster) -> None:
    """A Deployment with a ConfigMap, and its Canary with a hook of every stage."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": NAMESPACE}, "data": {"colour": "blue"}}
    await cluster.client.create(CONFIG_MAP, config)
    await cluster.client.create(DEPLOYMENT, app("web:1"))
    webhooks: list[Any] = [{"name": stage, "type": stage, "url": f"http://hooks.test/{stage}"} for stage in STAGES]
    await cluster.client.create(CANARY, canary(webhooks=webhooks))


async def release(cluster: MemoryCluster, image: str) -> None:
    """Set another image on the target."""
    await cluster.patch(DEPLOYMENT, "web", {"spec": {"template": app(image)["spec"]["template"]}})


def app(image: str) -> Manifest:
    """A Deployment whose pods read a ConfigMap."""
    manifest = deployment(image)
    manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    return manifest


def stages_called(cluster: MemoryCluster) -> Counter[str]:
    """How often a hook of each stage was called."""
    urls = [request.url for request in cluster.web.requests if request.url.startswith("http://hooks.test/")]
    return Counter(url.removeprefix("http://hooks.test/") for url in urls)


async def image_and_pods(cluster: MemoryCluster, name: str) -> tuple[str, int]:
    """The image of a Deployment, and how many pods it wants."""
    manifest: Manifest = await cluster.get(DEPLOYMENT, name)
    return image_of(manifest), manifest["spec"]["replicas"]
