"""Whole rollouts of the real controller against the embedded API server in memory, on virtual time."""

import asyncio

import pytest

from flagger_py.objects.resource import CANARY, DEPLOYMENT
from tests.memory.cluster import canary, deployment, memory_cluster, running_controller

pytestmark = pytest.mark.looptime


async def test_a_good_version_is_promoted_and_a_bad_one_is_rolled_back() -> None:
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            assert await cluster.weights() == (100, 0)
            await cluster.release("web:2")
            await cluster.until(lambda status: status.get("canaryWeight") == 40)
            assert await cluster.weights() == (60, 40)
            await cluster.until_phase("Succeeded")
            primary = await cluster.get(DEPLOYMENT, "web-primary")
            assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
            cluster.web.success_rate = 50
            await cluster.release("web:3")
            await cluster.until_phase("Failed")
            assert await cluster.weights() == (100, 0)
            primary = await cluster.get(DEPLOYMENT, "web-primary")
            assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
            assert (await cluster.get(DEPLOYMENT, "web"))["spec"]["replicas"] == 0


async def test_pods_are_ready_for_two_seconds_before_they_get_their_first_traffic() -> None:
    """Gateways hear of endpoints and of weights on different ways."""
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            await cluster.release("web:2")
            await cluster.until_phase("Progressing")
            while not (await cluster.get(DEPLOYMENT, "web"))["status"].get("availableReplicas"):  # noqa: ASYNC110 - polled as people do
                await asyncio.sleep(0.1)
            ready = asyncio.get_running_loop().time()
            await cluster.until(lambda status: status.get("canaryWeight") == 20)
            assert 1.8 <= asyncio.get_running_loop().time() - ready <= 3
