"""Every strategy that works with a traffic provider is promoted and rolled back: all of them side by side in one cluster in memory."""

import asyncio

import pytest

from flagger_py.api import support
from flagger_py.objects.resource import CANARY, DEPLOYMENT
from tests.matrix import SPLITTING, Cell, cells
from tests.memory.cluster import MemoryCluster, deployment, memory_cluster, running_controller

pytestmark = pytest.mark.looptime
METRICS = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]


@pytest.mark.parametrize("provider", [*SPLITTING, "kubernetes"])
async def test_every_strategy_is_promoted_and_rolled_back(provider: str) -> None:
    """engine:§6: of Deployments; the crash suite and `tests/local` show more of each."""
    wanted = {f"web-{number}": cell for number, cell in enumerate(cells()) if can_run(cell, provider)}
    async with memory_cluster() as cluster:
        for name, cell in wanted.items():
            await cluster.client.create(DEPLOYMENT, deployment(name=name))
            manifest = cell.canary(name=name)
            manifest["spec"]["analysis"]["metrics"] = METRICS
            await cluster.client.create(CANARY, manifest)
        async with running_controller(cluster):
            await release(cluster, wanted, "web:2", "Succeeded")
            cluster.web.success_rate = 50
            cluster.broken_images.add("broken:3")
            await release(cluster, wanted, "web:3", "Failed")
        for name, cell in wanted.items():
            image = (await cluster.get(DEPLOYMENT, f"{name}-primary"))["spec"]["template"]["spec"]["containers"][0]["image"]
            assert image == "web:2", str(cell)


def can_run(cell: Cell, provider: str) -> bool:
    return cell.provider == provider and cell.target == support.DEPLOYMENT and cell.refusal is None


async def release(cluster: MemoryCluster, wanted: dict[str, Cell], image: str, phase: str) -> None:
    """Release a version of every app, and wait until all have ended so; without an analysis only its pods can make it fail."""
    for name in wanted:
        await cluster.until(lambda status: status.get("phase") in ("Initialized", "Succeeded"), name=name)
    for name, cell in wanted.items():
        is_judged = not (cell.strategy.spec or {}).get("skipAnalysis")
        await cluster.release(image if is_judged or phase == "Succeeded" else "broken:3", name)
    await asyncio.sleep(1)
    for name in wanted:
        await cluster.until_phase(phase, name=name)
