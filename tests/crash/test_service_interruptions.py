"""Rollouts of Services and Knative Services are interrupted at each of their calls: they end as if nothing had happened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest

from flagger_py.local.apiserver.store import DELETED, Change
from flagger_py.objects.knative import KNATIVE_SERVICE, PRIMARY_REVISION, primary_revision
from flagger_py.objects.resource import CANARY, SERVICE, Manifest, Ref
from tests.crash.conftest import Explore
from tests.crash.lives import controllers, run_alone
from tests.memory import knative, service_targets
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster, memory_cluster
from tests.memory.interruption import Wire
from tests.memory.recordings import weights_of

GOOD: Final = [0, 20, 40, 0]
BAD: Final = [0, 20, 0]


@dataclass
class Seen:
    """What a target went through: its primary and the canary's weights, each time they changed, and what was stored meanwhile."""

    primaries: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    record: Manifest = field(default_factory=dict)

    def note_primary(self, name: str) -> None:
        if name and self.primaries[-1:] != [name]:
            self.primaries.append(name)
            if len(self.primaries) > 1 and not self.record.get("promoting"):
                self.problems.append(f"{name} was promoted before that was stored")

    def note_weight(self, weight: int) -> None:
        if self.weights[-1:] != [weight]:
            self.weights.append(weight)
            if (self.record.get("desired") or {}).get("canary", 0) != weight:
                self.problems.append(f"weight {weight} was routed before it was stored")


Look = Callable[[Seen, str, str, Manifest], None]


def _at_service(seen: Seen, _: str, plural: str, manifest: Manifest) -> None:
    if (plural, manifest["metadata"]["name"]) == ("services", "web-primary"):
        seen.note_primary(manifest["spec"]["selector"]["version"])
    elif plural == "httproutes":
        seen.note_weight(weights_of(manifest)[1])


def _at_knative(seen: Seen, group: str, plural: str, manifest: Manifest) -> None:
    if (group, plural) == (KNATIVE_SERVICE.group, "services") and PRIMARY_REVISION in manifest["metadata"].get("annotations", {}):
        seen.note_primary(primary_revision(manifest))
        if len(manifest["spec"]["traffic"]) > 1:
            seen.note_weight(next(entry["percent"] for entry in manifest["spec"]["traffic"] if entry.get("latestRevision")))


@dataclass(frozen=True)
class Target:
    """One kind of target: how it is made and changed, and what its two versions are called."""

    cluster: Callable[[], AbstractAsyncContextManager[MemoryCluster]]
    release: Callable[[MemoryCluster, str], Awaitable[None]]
    look: Look
    versions: tuple[str, str]


@asynccontextmanager
async def _with_service() -> AsyncIterator[MemoryCluster]:
    async with memory_cluster() as cluster:
        await cluster.client.create(SERVICE, service_targets.service())
        await cluster.client.create(CANARY, service_targets.service_canary())
        yield cluster


@asynccontextmanager
async def _with_knative() -> AsyncIterator[MemoryCluster]:
    async with knative.knative_cluster() as cluster:
        await cluster.client.create(KNATIVE_SERVICE, knative.knative_service())
        await cluster.client.create(CANARY, knative.knative_canary())
        yield cluster


TARGETS: Final = {
    "Service": Target(_with_service, service_targets.select, _at_service, ("1", "2")),
    "Knative": Target(
        _with_knative, lambda cluster, version: knative.release(cluster, f"web:{version}"), _at_knative, ("web-00001", "web-00002")
    ),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("goal", ["Initialized", "Succeeded", "Failed"])
@pytest.mark.parametrize("target", TARGETS)
def test_it_ends_as_if_nothing_had_happened(target: str, goal: str, interrupted: Explore) -> None:
    """engine:HAZ-01, HAZ-09, HAZ-29, RST-01..04, workloads:GEN-19, SVC-05, KN-04: one promotion, each weight once, then rest."""
    interrupted(lambda wire: run_alone(_play(wire, TARGETS[target], goal)), 2)


async def _play(wire: Wire, target: Target, goal: str) -> None:
    async with target.cluster() as cluster:
        seen = _watch(cluster, target.look)
        if goal == "Initialized":
            wire.begin()
        async with controllers(cluster, [wire]):
            await cluster.until_phase("Initialized")
            if goal != "Initialized":
                cluster.web.success_rate = 50 if goal == "Failed" else 100
                wire.begin()
                await target.release(cluster, "2")
                await cluster.until_phase(goal)
            await asyncio.sleep(30)
            status = await cluster.status()
        assert not seen.problems, seen.problems[0]
        assert status["phase"] == goal
        assert [condition["type"] for condition in status["conditions"]] == ["Promoted"], "no fault is left over"
        assert seen.primaries == list(target.versions[: 2 if goal == "Succeeded" else 1])
        assert seen.weights == {"Initialized": [0], "Succeeded": GOOD, "Failed": BAD}[goal]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", TARGETS)
def test_a_deletion_ends_as_if_nothing_had_happened(target: str, interrupted: Explore) -> None:
    """engine:FIN-08, HAZ-08, workloads:KN-08: in the middle of a run; nothing of ours is left, and the user's object serves."""
    interrupted(lambda wire: run_alone(_play_deletion(wire, TARGETS[target])), 2)


async def _play_deletion(wire: Wire, target: Target) -> None:
    async with target.cluster() as cluster:
        await cluster.patch(CANARY, "web", {"spec": {"revertOnDeletion": True}})
        async with controllers(cluster, [wire]):
            await cluster.until_phase("Initialized")
            await target.release(cluster, "2")
            await cluster.until(lambda status: status.get("canaryWeight") == 20)
            wire.begin()
            await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
            await _until_gone(cluster)
            await asyncio.sleep(30)
        assert {one["metadata"]["name"] for one in await cluster.client.find(SERVICE, NAMESPACE)} <= {"web"}
        assert not await cluster.client.find(HTTP_ROUTE, NAMESPACE), "the generated route goes with its Canary"
        if target is TARGETS["Knative"]:
            assert await knative.traffic(cluster) == [{"latestRevision": True, "percent": 100}]
            assert not primary_revision(await cluster.get(KNATIVE_SERVICE, "web"))


async def _until_gone(cluster: MemoryCluster) -> None:
    async with asyncio.timeout(120):
        while await cluster.client.find(CANARY, NAMESPACE):  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0.25)


def _watch(cluster: MemoryCluster, look: Look) -> Seen:
    seen = Seen()

    def on_change(group: str, plural: str, change: Change) -> None:
        if change.type == DELETED or change.key[0] != NAMESPACE:
            return
        manifest = change.record.manifest
        if plural == "canaries":
            seen.record = (manifest.get("status") or {}).get("rollout") or {}
        look(seen, group, plural, manifest)

    cluster.server.state.store.listeners.append(on_change)
    return seen
