"""Whole rollouts of the real controller against the embedded API server in memory, on virtual time."""

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
