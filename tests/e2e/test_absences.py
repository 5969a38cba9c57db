"""What the controller needs beside Kubernetes goes away in the middle of a rollout."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.e2e.world import AWAY, in_the_middle


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
