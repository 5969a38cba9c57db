"""A backend that loses its weight and its pods at once, as on a rollback, loses no request."""

from pathlib import Path

import pytest

from flagger_py.local.envoy.translation import HTTP_ROUTE
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DEPLOYMENT, Ref
from tests.local.deployed import TEST, answers, deploy_gateway, deploy_two_versions, load, running, set_rules, split, until_available

pytestmark = pytest.mark.local


async def test_a_backend_that_goes_away_with_its_weight_loses_no_request(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(50, 50))
        async with load(cluster, 200) as generator:
            for _ in range(5):
                await cluster.client.patch(Ref(HTTP_ROUTE, TEST, "web"), MergePatch({"spec": {"rules": [split(100, 0)]}}))
                await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-canary"), MergePatch({"spec": {"replicas": 0}}))
                await until_available(cluster, "web-canary")
                await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-canary"), MergePatch({"spec": {"replicas": 2}}))
                await until_available(cluster, "web-canary")
                await set_rules(cluster, split(50, 50))
                await answers(generator, 20)
        assert generator.tally.failures() == 0
        assert (await cluster.flags()).failures() == {}
