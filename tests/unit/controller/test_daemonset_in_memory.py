"""DaemonSets rolled out by the real controller on virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flagger_py.objects.resource import CANARY, CONFIG_MAP, CONTROLLER_REVISION, DAEMON_SET, Manifest, Ref
from flagger_py.workloads.marks import SCALE_TO_ZERO
from tests.memory.cluster import NAMESPACE, NODES, MemoryCluster, canary, daemon_set, memory_cluster, running_controller, wanted_pods
from tests.memory.people import messages, told, until_cleared
from tests.memory.recordings import image_of, weights_seen, writes

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def initialised(**spec: Any) -> AsyncIterator[MemoryCluster]:
    """A DaemonSet with its Canary, and a running controller."""
    async with memory_cluster() as cluster:
        cluster.target = DAEMON_SET
        await cluster.client.create(CONFIG_MAP, settings("blue"))
        manifest = daemon_set(**spec)
        manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
        await cluster.client.create(DAEMON_SET, manifest)
        await cluster.client.create(CANARY, canary(kind="DaemonSet"))
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            yield cluster


def settings(colour: str) -> Manifest:
    return {"metadata": {"name": "settings", "namespace": NAMESPACE}, "data": {"colour": colour}}


async def image_and_pods(cluster: MemoryCluster, name: str) -> tuple[str, int]:
    manifest = await cluster.get(DAEMON_SET, name)
    return image_of(manifest), wanted_pods(manifest)


async def selector(cluster: MemoryCluster, name: str = "web") -> dict[str, str]:
    template = (await cluster.get(DAEMON_SET, name))["spec"]["template"]
    found: dict[str, str] = template["spec"].get("nodeSelector") or {}
    return found


async def test_initialised_the_target_runs_nowhere() -> None:
    """workloads:DS-01, engine:TICK-12, S16: by a node selector, beside whatever else the pods ask for."""
    async with initialised() as cluster:
        assert await selector(cluster) == {SCALE_TO_ZERO: "true"}
        assert await image_and_pods(cluster, "web-primary") == ("web:1", NODES)
        before = len(writes(cluster))
        await asyncio.sleep(300)
        assert len(writes(cluster)) == before, "zero is no new revision, and nothing is written while nothing changes"


async def test_a_good_version_is_promoted_and_a_bad_one_is_rolled_back() -> None:
    """workloads:DS-01, DS-03, DS-04, RDY-08"""
    async with initialised() as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 40)
        assert await image_and_pods(cluster, "web") == ("web:2", NODES)
        await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0)]
        assert await image_and_pods(cluster, "web-primary") == ("web:2", NODES)
        assert await image_and_pods(cluster, "web") == ("web:2", 0)
        cluster.web.success_rate = 50
        await cluster.release("web:3")
        await cluster.until_phase("Failed")
        assert await cluster.weights() == (100, 0)
        assert await image_and_pods(cluster, "web-primary") == ("web:2", NODES)
        assert await image_and_pods(cluster, "web") == ("web:3", 0)
        status = await cluster.status()
        assert status["conditions"][0]["message"] == "Canary analysis failed, DaemonSet scaled to zero."


async def test_one_that_does_not_start_is_rolled_back_at_the_deadline_of_the_canary() -> None:
    """workloads:RDY-10, engine:HAZ-18: a DaemonSet has no deadline of its own; the clock starts with the run, however old the Canary is."""
    async with initialised() as cluster:
        await asyncio.sleep(3600)
        cluster.broken_images.add("web:2")
        await cluster.release("web:2")
        await cluster.until_phase("Progressing")
        started = asyncio.get_running_loop().time()
        await cluster.until_phase("Failed")
        assert 55 <= asyncio.get_running_loop().time() - started <= 65
        assert any("0 of 2 pods available for more than 60s (progressDeadlineSeconds)" in text for text in await messages(cluster))


async def test_a_newer_version_in_the_middle_starts_again() -> None:
    """workloads:CHG-06, S14"""
    async with initialised() as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 40)
        await cluster.release("web:3")
        await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0), (80, 20), (60, 40), (100, 0)]
        assert await image_and_pods(cluster, "web-primary") == ("web:3", NODES)


async def test_a_changed_config_alone_is_rolled_out() -> None:
    """workloads:CFG-08, CFG-10, CFG-11"""
    async with initialised() as cluster:
        await cluster.patch(CONFIG_MAP, "settings", {"data": {"colour": "green"}})
        await cluster.until_phase("Progressing")
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == {"colour": "blue"}
        await cluster.until_phase("Succeeded")
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == {"colour": "green"}


async def test_a_deleted_primary_is_restored_from_what_was_promoted() -> None:
    """workloads:DEP-05: also while the target has a version that failed. Revisions that Kubernetes keeps for DaemonSets are left alone."""
    async with initialised() as cluster:
        own = {"metadata": {"name": "web-5d9c7b8f6", "namespace": NAMESPACE, "labels": {"app": "web"}}, "revision": 7, "data": {"spec": {}}}
        await cluster.client.create(CONTROLLER_REVISION, own)
        cluster.web.success_rate = 50
        await cluster.release("web:2")
        await cluster.until_phase("Failed")
        await cluster.client.delete(Ref(DAEMON_SET, NAMESPACE, "web-primary"))
        await asyncio.sleep(10)
        assert await image_and_pods(cluster, "web-primary") == ("web:1", NODES)
        kept = [one["metadata"] for one in await cluster.client.find(CONTROLLER_REVISION, NAMESPACE)]
        assert len(kept) == 2
        assert own["metadata"]["name"] in {one["name"] for one in kept}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_strategy_that_leaves_old_pods_holds_everything_until_it_is_mended(when: str) -> None:
    """workloads:DS-02"""
    on_delete, rolling = ({"spec": {"updateStrategy": {"type": name}}} for name in ("OnDelete", "RollingUpdate"))
    says = ("DaemonSet test/web: spec.updateStrategy.type is 'OnDelete'", "it must be 'RollingUpdate'")
    async with memory_cluster() as cluster, running_controller(cluster):
        cluster.target = DAEMON_SET
        await cluster.client.create(DAEMON_SET, daemon_set(**on_delete["spec"] if when == "before" else {}))
        await cluster.client.create(CANARY, canary(kind="DaemonSet"))
        if when == "after":
            await cluster.until_phase("Initialized")
            await cluster.patch(DAEMON_SET, "web", on_delete)
            await cluster.release("web:2")
        await told(cluster, "ReferencesResolved", says)
        await asyncio.sleep(120)
        assert (await cluster.status()).get("phase") == ("Initialized" if when == "after" else "")
        assert wanted_pods(await cluster.get(DAEMON_SET, "web")) == (NODES if when == "before" else 0)
        await cluster.patch(DAEMON_SET, "web", rolling)
        await until_cleared(cluster, "ReferencesResolved")
        await cluster.until_phase("Succeeded" if when == "after" else "Initialized")
