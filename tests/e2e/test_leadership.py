"""Two replicas of the controller on a real cluster: one works at a time, whatever happens to it, and the rollout goes on."""

import asyncio
import random
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from flagger_py.local.samples import APP
from flagger_py.objects.patch import MergePatch
from tests.e2e import audit
from tests.e2e.app import app
from tests.e2e.world import LEASE_REF, sample, world

TAKE_OVER: Final = 15.0
"""Seconds; the Lease's 12 and the time to notice."""


@pytest.mark.timeout(240)
async def test_a_killed_leader_is_replaced_and_the_rollout_goes_on(run_folder: Path) -> None:
    """E2E-59, design:§6: kill -9 at random moments, three times in one rollout."""
    moments = random.Random(datetime.now(UTC).isoformat())
    async with world(run_folder, "killed") as cluster, app(cluster.client, sample(), rate=20) as running:
        await running.release("2")
        for _ in range(3):
            await asyncio.sleep(moments.uniform(0, 6))
            before = await cluster.holder()
            (await cluster.leader()).signal(signal.SIGKILL)
            assert await cluster.until_another_leads(before) < TAKE_OVER
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()
        assert audit.overlapping_writes(cluster.calls()) == []
        assert len(audit.writers(cluster.calls())) >= 4


@pytest.mark.timeout(240)
async def test_a_leader_that_sleeps_past_its_lease_writes_nothing_when_it_wakes(run_folder: Path) -> None:
    """design:§6: SIGSTOP until another leads, SIGCONT in the middle of the other's work."""
    async with world(run_folder, "stopped") as cluster, app(cluster.client, sample(), rate=20) as running:
        await running.release("2")
        await running.until_phase("Progressing")
        before, stopped = await cluster.holder(), await cluster.leader()
        stopped.signal(signal.SIGSTOP)
        assert await cluster.until_another_leads(before) < TAKE_OVER
        woken_at = datetime.now(UTC)
        stopped.signal(signal.SIGCONT)
        await running.until_phase("Succeeded")
        calls = cluster.calls()
        assert [call for call in calls if call.is_write and call.identity == before and call.started > woken_at] == []
        assert audit.overlapping_writes(calls) == []


@pytest.mark.timeout(240)
async def test_the_lease_of_somebody_else_is_respected_for_as_long_as_it_says(run_folder: Path) -> None:
    """engine:ENG-07, design:§6: Flagger's Lease, which lasts 60 s, here 20."""
    async with world(run_folder, "foreign", replicas=1) as cluster, app(cluster.client, sample(), rate=20) as running:
        taken_at = datetime.now(UTC)
        spec = {"holderIdentity": "flagger-0_1234", "leaseDurationSeconds": 20, "renewTime": taken_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        await cluster.client.patch(LEASE_REF, MergePatch({"spec": spec}))
        await running.release("2")
        passed = await cluster.until_another_leads("flagger-0_1234")
        assert 18 <= passed <= 20 + TAKE_OVER
        writes = [call.started for call in cluster.calls() if call.is_write and call.started > taken_at]
        assert [moment for moment in writes if 4 < (moment - taken_at).total_seconds() < 19] == []
        await running.until_phase("Succeeded")
