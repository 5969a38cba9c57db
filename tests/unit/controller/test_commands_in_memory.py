"""Manual commands to the real controller on virtual time: given as `flagger-py canary` gives them, and as `kubectl annotate` does."""

import asyncio
import json

import pytest

from flagger_py.api.commands import Verb
from flagger_py.api.metadata import COMMAND
from flagger_py.cli.manual_command import Answer, NotAcknowledged, NotSent, Order, give
from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, DEPLOYMENT, Ref
from tests.memory.cluster import NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.people import conditions, messages, settle

pytestmark = pytest.mark.looptime

WEB = Ref(CANARY, NAMESPACE, "web")


async def order(cluster: MemoryCluster, verb: Verb, *, command_id: str = "", run: str = "", seconds: float = 30) -> Answer:
    return await give(cluster.client, Order(WEB, verb, run, command_id or f"id-{verb}"), seconds)


async def started(cluster: MemoryCluster) -> None:
    """The first weight is live."""
    await settle(cluster)
    await cluster.release("web:2")
    await cluster.until(lambda status: status.get("canaryWeight") == 20)


async def primary_image(cluster: MemoryCluster) -> str:
    primary = await cluster.get(DEPLOYMENT, "web-primary")
    return str(primary["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_a_paused_rollout_stays_for_an_hour_and_across_a_restart_then_goes_on() -> None:
    """engine:ISS-16"""
    async with memory_cluster() as cluster:
        async with running_controller(cluster):
            await started(cluster)
            answer = await order(cluster, Verb.PAUSE)
            run = (await cluster.status())["rollout"]["run"]
            assert answer == Answer("done", f"Progressing, paused, canary weight 20, run {run}")
            await asyncio.sleep(1800)
        async with running_controller(cluster):
            await asyncio.sleep(1800)
            assert await cluster.weights() == (80, 20)
            assert (await conditions(cluster))["Promoted"]["message"] == "The rollout is paused by hand."
            assert (await order(cluster, Verb.RESUME)).is_done
            await cluster.until_phase("Succeeded", seconds=60)
            assert await primary_image(cluster) == "web:2"


async def test_promoted_by_hand() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await started(cluster)
        start = asyncio.get_running_loop().time()
        assert (await order(cluster, Verb.PROMOTE)).is_done
        await cluster.until(lambda status: status["phase"] == "Finalising", seconds=5)
        assert await primary_image(cluster) == "web:2"
        await cluster.until_phase("Succeeded", seconds=30)
        assert asyncio.get_running_loop().time() - start < 20
        assert f"Normal Manual command promote (id-promote) on web.{NAMESPACE} obeyed" in await messages(cluster)


async def test_aborted_by_hand_and_tried_once_more() -> None:
    """engine:ISS-07, ISS-08"""
    async with memory_cluster() as cluster, running_controller(cluster):
        await started(cluster)
        assert (await order(cluster, Verb.ABORT)).is_done
        await cluster.until_phase("Failed", seconds=5)
        assert await cluster.weights() == (100, 0)
        assert await primary_image(cluster) == "web:1"
        await asyncio.sleep(100)
        assert (await cluster.status())["phase"] == "Failed"
        assert (await order(cluster, Verb.RETRY)).is_done
        await cluster.until_phase("Succeeded", seconds=120)
        assert await primary_image(cluster) == "web:2"


async def test_skipped_and_begun_again() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await started(cluster)
        first = (await cluster.status())["rollout"]["run"]
        assert (await order(cluster, Verb.SKIP)).is_done
        await asyncio.sleep(0.5)
        assert await cluster.weights() == (60, 40)
        assert (await order(cluster, Verb.RESTART)).is_done
        await cluster.until(lambda status: status["rollout"]["run"] != first and status["canaryWeight"] == 20, seconds=5)
        await cluster.until_phase("Succeeded", seconds=120)


async def test_kubectl_annotate_is_enough_and_nobody_takes_the_annotation_away() -> None:
    """design §6"""
    async with memory_cluster() as cluster, running_controller(cluster):
        await started(cluster)
        run = (await cluster.status())["rollout"]["run"]
        text = json.dumps({"id": "2026-01-01", "verb": "abort", "run": run})
        await cluster.patch(CANARY, "web", {"metadata": {"annotations": {COMMAND: text}}})
        await cluster.until_phase("Failed", seconds=5)
        stored = (await cluster.status())["rollout"]["command"]
        assert {key: stored[key] for key in ("id", "verb", "result")} == {"id": "2026-01-01", "verb": "abort", "result": "done"}
        await cluster.release("web:3")
        await cluster.until_phase("Succeeded", seconds=120)
        assert (await cluster.get(CANARY, "web"))["metadata"]["annotations"][COMMAND] == text
        assert len([text for text in await messages(cluster) if "Manual command" in text]) == 1


async def test_a_late_command_hits_no_other_run() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await started(cluster)
        late = (await cluster.status())["rollout"]["run"]
        await cluster.release("web:3")
        await cluster.until(lambda status: status["rollout"]["run"] != late)
        run = (await cluster.status())["rollout"]["run"]
        answer = await order(cluster, Verb.ABORT, run=late)
        assert answer.result == f"refused: the run is {run}, not {late}"
        assert f"Warning Manual command abort (id-abort) on web.{NAMESPACE} {answer.result}" in await messages(cluster)
        await cluster.until_phase("Succeeded", seconds=120)


async def test_with_no_run_under_way_nothing_is_sent() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        with pytest.raises(NotFound):
            await order(cluster, Verb.PAUSE)
        await settle(cluster)
        with pytest.raises(NotSent, match=r"Canary test/web: no run is under way, it is Initialized"):
            await order(cluster, Verb.PAUSE)
        assert (await order(cluster, Verb.RETRY)).result == "refused: nothing has failed, it is Initialized"


async def test_without_an_answer_it_says_what_can_be_seen() -> None:
    async with memory_cluster() as cluster:
        async with running_controller(cluster):
            await started(cluster)
            await cluster.patch(CANARY, "web", {"spec": {"suspend": True}})
            with pytest.raises(NotAcknowledged, match=r"abort is not acknowledged after 5 s: spec.suspend is true"):
                await order(cluster, Verb.ABORT, seconds=5)
            await cluster.patch(CANARY, "web", {"spec": {"suspend": False}})
            await cluster.until_phase("Failed", seconds=10)
        with pytest.raises(NotAcknowledged, match=r"is a controller running"):
            await order(cluster, Verb.RETRY, seconds=5)
