"""The cluster itself goes away in the middle of a rollout: nothing is lost, no request fails, and the controller says what is wrong."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.world import AWAY, in_the_middle


@pytest.mark.timeout(180)
async def test_the_api_server_is_restarted(run_folder: Path) -> None:
    """E2E-60: all that it had stored in etcd is compacted meanwhile, so that every watch begins anew (410)."""
    async with in_the_middle(run_folder, "api-server", keeps_rights=False) as (cluster, _):
        plane = cluster.stack.plane
        await plane.api_server.kill()
        await plane.compact_etcd()
        await asyncio.sleep(AWAY)
        await plane.start_api_server()
    assert "leadership_lost" in cluster.controller_log()
    assert "(410 Expired)" in cluster.controller_log()


@pytest.mark.timeout(180)
async def test_etcd_is_restarted(run_folder: Path) -> None:
    async with in_the_middle(run_folder, "etcd") as (cluster, _):
        await cluster.stack.plane.etcd.kill()
        await asyncio.sleep(AWAY)
        await cluster.stack.plane.start_etcd()
