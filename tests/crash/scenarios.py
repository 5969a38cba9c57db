"""The rollouts that are interrupted, from their preparation to what must be true in the end."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Final

from flagger_py.objects.resource import ALERT_PROVIDER, CANARY, CONFIG_MAP, DAEMON_SET, EVENT, SCALED_OBJECT, Manifest
from flagger_py.rollout.traffic import ALL_PRIMARY
from tests.crash import lives
from tests.crash.guard import Guard, image_of
from tests.crash.settings import ALERT_PROVIDER_MANIFEST, ALERTS, HOOKS, SETTINGS, WEIGHTED, Setting
from tests.memory.cluster import NAMESPACE, MemoryCluster, daemon_set, deployment, memory_cluster, wanted_pods
from tests.memory.interruption import Wire
from tests.memory.scaling import autoscaling, install_keda

QUIET: Final = 30.0
"""Seconds after the end for whatever is still due; in the last half of them nothing may change any more."""
ONCE: Final = ("Initialization done", "New revision detected", "Advance", "Copying", "Promotion completed", "Canary failed")
"""What happens once in a scenario: the Event of a replayed pass is no second one."""


@dataclass(frozen=True)
class Scenario(ABC):
    """One rollout. `prepare` runs with an undisturbed controller, `act` begins what is interrupted."""

    setting: Setting
    goal: ClassVar[str]

    @property
    def hooks(self) -> frozenset[str]:
        """The stages whose hooks must have been called."""
        return frozenset()

    @property
    def alerts(self) -> int:
        """How many different things people must have been told at least."""
        return 1

    @abstractmethod
    async def prepare(self, cluster: MemoryCluster, guard: Guard) -> None:
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

    async def prepare(self, cluster: MemoryCluster, guard: Guard) -> None:
        """Nothing: the controller starts with what is interrupted."""

    async def act(self, cluster: MemoryCluster) -> None:
        await create_app(cluster, self.setting)

    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        assert guard.primary_images == ["web:1"]
        assert guard.traffic in ((), (ALL_PRIMARY,))
        assert await image_and_pods(cluster, self.setting, "web-primary") == ("web:1", 2)
        assert await image_and_pods(cluster, self.setting, "web") == ("web:1", 0)


class GoodRollout(Scenario):
    """A version that passes all checks is promoted."""

    goal = "Succeeded"

    @property
    def hooks(self) -> frozenset[str]:
        return self.setting.promoted

    @property
    def alerts(self) -> int:
        return 3

    async def prepare(self, cluster: MemoryCluster, guard: Guard) -> None:
        await create_app(cluster, self.setting)
        await guard.until_phase("Initialized")

    async def act(self, cluster: MemoryCluster) -> None:
        await release(cluster, self.setting, "web:2")

    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        assert guard.primary_images == ["web:1", "web:2"], "one promotion write"
        assert guard.traffic == self.setting.good
        assert len(guard.runs) == 1
        assert await image_and_pods(cluster, self.setting, "web-primary") == ("web:2", 2)
        assert await image_and_pods(cluster, self.setting, "web") == ("web:2", 0)


class BadRollout(GoodRollout):
    """A version that fails is rolled back."""

    goal = "Failed"

    @property
    def hooks(self) -> frozenset[str]:
        return self.setting.rolled_back

    async def act(self, cluster: MemoryCluster) -> None:
        if self.setting.is_judged:
            cluster.web.success_rate = 50
        else:
            cluster.broken_images.add("web:2")
        await release(cluster, self.setting, "web:2")

    async def check(self, cluster: MemoryCluster, guard: Guard) -> None:
        assert guard.primary_images == ["web:1"]
        assert guard.traffic == self.setting.bad
        assert len(guard.runs) == 1
        assert await image_and_pods(cluster, self.setting, "web-primary") == ("web:1", 2)
        assert await image_and_pods(cluster, self.setting, "web") == ("web:2", 0)


ROLLOUTS: Final[dict[str, Scenario]] = {
    f"{ending}, {name}": scenario(setting)
    for name, setting in SETTINGS.items()
    for ending, scenario in (("a good rollout", GoodRollout), ("a bad rollout", BadRollout))
}
SCENARIOS: Final[dict[str, Scenario]] = {"initialisation": Initialisation(WEIGHTED), **ROLLOUTS}


def play(scenario: Scenario, wire: Wire, *, controllers: int = 1) -> None:
    """One scenario on a loop of its own. Raises what is wrong.

    With more than one of the `controllers`, all of them work at the same time, and the one on the `wire` is the first.
    """
    lives.run_alone(_play(scenario, [wire, *(Wire() for _ in range(controllers - 1))]))


async def _play(scenario: Scenario, wires: list[Wire]) -> None:
    async with memory_cluster() as cluster, lives.controllers(cluster, wires), autoscaler_of(cluster, scenario.setting):
        guard = Guard(cluster, scenario.setting.provider, scenario.setting.target)
        await scenario.prepare(cluster, guard)
        wires[0].begin()
        await scenario.act(cluster)
        await guard.until_phase(scenario.goal)
        await asyncio.sleep(QUIET)
        await _check_end(cluster, guard, scenario)


def autoscaler_of(cluster: MemoryCluster, setting: Setting) -> AbstractAsyncContextManager[None]:
    """Somebody who acts on the setting's autoscaler; nobody where it has none."""
    return autoscaling(cluster, 2, SCALED_OBJECT, rounded=math.floor) if setting.autoscaler else nullcontext()


async def _check_end(cluster: MemoryCluster, guard: Guard, scenario: Scenario) -> None:
    assert not guard.problems, "\n".join(guard.problems)
    assert guard.status["phase"] == scenario.goal
    assert asyncio.get_running_loop().time() - guard.last_change > QUIET / 2, f"it never comes to rest: {guard.status}"
    assert not guard.record.get("outbox"), "all that was due is delivered"
    assert [condition["type"] for condition in guard.status["conditions"]] == ["Promoted"], "no fault is left over"
    called = calls(cluster, HOOKS)
    assert scenario.hooks <= set(called), f"hooks are called at least once, not {dict(called)}"
    told = {request.body for request in cluster.web.requests if request.url.startswith(ALERTS)}
    assert len(told) >= scenario.alerts, f"alerts are sent at least once, not {told}"
    repeated = [event["message"] for event in await cluster.client.find(EVENT, NAMESPACE) if event.get("count", 1) > 1]
    assert not [message for message in repeated if message.startswith(ONCE)]
    await scenario.check(cluster, guard)


async def create_app(cluster: MemoryCluster, setting: Setting) -> None:
    """A workload with a ConfigMap, and its Canary."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": NAMESPACE}, "data": {"colour": "blue"}}
    await cluster.client.create(CONFIG_MAP, config)
    if setting.autoscaler:
        await install_keda(cluster)
        await cluster.client.create(SCALED_OBJECT, setting.autoscaler)
    await cluster.client.create(ALERT_PROVIDER, ALERT_PROVIDER_MANIFEST)
    await cluster.client.create(setting.target, app(setting, "web:1"))
    await cluster.client.create(CANARY, setting.canary())


async def release(cluster: MemoryCluster, setting: Setting, image: str) -> None:
    """Set another image on the target."""
    await cluster.patch(setting.target, "web", {"spec": {"template": app(setting, image)["spec"]["template"]}})


def app(setting: Setting, image: str) -> Manifest:
    """A workload whose pods read a ConfigMap."""
    manifest = daemon_set(image) if setting.target == DAEMON_SET else deployment(image)
    manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    return manifest


def calls(cluster: MemoryCluster, prefix: str) -> Counter[str]:
    """How often each URL with this prefix was called."""
    return Counter(request.url.removeprefix(prefix) for request in cluster.web.requests if request.url.startswith(prefix))


async def image_and_pods(cluster: MemoryCluster, setting: Setting, name: str) -> tuple[str, int]:
    """The image of a workload, and how many pods it wants."""
    manifest: Manifest = await cluster.get(setting.target, name)
    return image_of(manifest), wanted_pods(manifest)
