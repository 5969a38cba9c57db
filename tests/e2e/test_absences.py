"""What the controller needs beside Kubernetes goes away in the middle of a rollout."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.conditions import is_true
from flagger_py.local.resources import NODE
from flagger_py.local.samples import APP
from flagger_py.objects.resource import Ref
from tests.e2e.app import app
from tests.e2e.node import APPS
from tests.e2e.waiting import until
from tests.e2e.world import AWAY, in_the_middle, sample, world


@pytest.mark.timeout(180)
async def test_prometheus_is_restarted(run_folder: Path) -> None:
    """One check fails, which the threshold allows; what is wrong stands in the status and in an event."""
    async with in_the_middle(run_folder, "prometheus") as (cluster, running):
        assert cluster.stack.gateway is not None
        prometheus = cluster.stack.gateway.prometheus
        await prometheus.stop()
        await running.until_failed_check()
        await prometheus.start()
        assert any("prometheus.monitoring:9090" in message for message in await running.events())


@pytest.mark.timeout(180)
async def test_the_gateway_controller_is_away(run_folder: Path) -> None:
    """Weights that no gateway has taken over are not counted as live."""
    async with in_the_middle(run_folder, "contour") as (cluster, running):
        assert cluster.stack.gateway is not None
        contour = cluster.stack.gateway.contour
        contour.signal(signal.SIGSTOP)
        await asyncio.sleep(AWAY)
        contour.signal(signal.SIGCONT)
        assert (await running.look())["phase"] == "Progressing"


@pytest.mark.timeout(300)
async def test_the_node_of_the_apps_is_cut_off(run_folder: Path) -> None:
    """Kubernetes takes its pods for unready: no weight is given to them until the node is back."""
    slow = replace(sample(), interval="20s", max_weight=40, threshold=5)
    async with world(run_folder, "node", replicas=1) as cluster, app(cluster.client, slow, rate=20) as running:
        assert cluster.stack.nodes is not None
        await running.release("2")
        await running.until_first_check()
        cluster.stack.nodes.network.is_cut = True
        await until(lambda: _is_unready(cluster.client), seconds=60)
        await asyncio.sleep(2)
        before = (await running.look())["canaryWeight"]
        await asyncio.sleep(10)
        status = await running.look()
        assert (status["phase"], status["canaryWeight"]) == ("Progressing", before), status
        assert any("not ready" in message for message in await running.events())
        cluster.stack.nodes.network.is_cut = False
        await running.until_phase("Succeeded", seconds=180)
        assert await running.image(f"{APP}-primary") == "2"


async def _is_unready(client: Client) -> bool:
    return not is_true(await client.get(Ref(NODE, "", APPS)), "Ready")
