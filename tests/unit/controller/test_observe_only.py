"""`-observe-only`: a look before a take-over (design §6)."""

import pytest
from structlog.testing import capture_logs

from flagger_py.objects.resource import CANARY, DEPLOYMENT
from tests.memory.cluster import canary, deployment, memory_cluster, running_controller

pytestmark = pytest.mark.looptime


async def test_the_writes_of_the_first_pass_are_listed_and_none_is_sent() -> None:
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        before = await cluster.get(CANARY, "web")
        with capture_logs() as logs:
            async with running_controller(cluster, observe_only=True):
                await cluster.until(lambda _: any(line["event"] == "would_write" for line in logs))
        (listed,) = [line for line in logs if line["event"] == "would_write"]
        assert listed["phase"] == "Initializing"
        assert [write.split(":")[0] for write in listed["writes"]][:3] == [
            "patch Canary test/web status",
            "create Service test/web-canary",
            "create Service test/web-primary",
        ]
        assert await cluster.get(CANARY, "web") == before
        assert [item["metadata"]["name"] for item in await cluster.client.find(DEPLOYMENT, "test")] == ["web"]
