"""Taking over from Flagger is interrupted at each of its calls: what the primary carries is kept, and the rollout goes on all the same."""

import asyncio
from typing import Final

import pytest

from flagger_py.local.apiserver.store import DELETED, Change
from flagger_py.objects.resource import CONTROLLER_REVISION
from tests.crash.conftest import Explore
from tests.crash.lives import controllers, run_alone
from tests.memory.cluster import NAMESPACE, MemoryCluster
from tests.memory.interruption import Wire
from tests.memory.recordings import Recording, cluster_of, image_of

ENDS: Final = {"succeeded": "Succeeded", "failed": "Failed", "progressing": "Succeeded", "promoting": "Succeeded"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("phase", ENDS)
@pytest.mark.parametrize("scenario", ["gateway-weighted", "istio-weighted", "contour-weighted", "istio-daemonset"])
def test_what_flagger_left_is_taken_over_all_the_same(scenario: str, phase: str, interrupted: Explore) -> None:
    """engine:RST-05, workloads:DEP-05: no record without the snapshot that a deleted primary is restored from."""
    interrupted(lambda wire: run_alone(_play(wire, scenario, phase)), 4)


async def _play(wire: Wire, scenario: str, phase: str) -> None:
    recording = Recording(scenario, phase)
    async with cluster_of(recording) as cluster:
        problems = _watch_records(cluster)
        wire.begin()
        async with controllers(cluster, [wire]):
            await cluster.until(lambda status: "rollout" in status and status["phase"] == ENDS[phase])
            await asyncio.sleep(30)
        assert not problems, problems[0]
        names = {one["metadata"]["name"] for one in await cluster.client.find(CONTROLLER_REVISION, NAMESPACE)}
        assert len(names) == (2 if phase == "progressing" else 1)
        expected = "web" if ENDS[phase] == "Succeeded" else "web-primary"
        assert image_of(await cluster.get(cluster.target, "web-primary")) == recording.image(expected)


def _watch_records(cluster: MemoryCluster) -> list[str]:
    """What is wrong when the record appears."""
    problems: list[str] = []
    store = cluster.server.state.store

    def look(_: str, plural: str, change: Change) -> None:
        if plural != "canaries" or change.type == DELETED or "rollout" not in (change.record.manifest.get("status") or {}):
            return
        if not store.collection("apps", "controllerrevisions").records:
            problems.append("the Canary has a record, and what its primary carries is not kept")

    store.listeners.append(look)
    return problems
