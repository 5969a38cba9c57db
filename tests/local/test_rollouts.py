"""Whole rollouts with real traffic: the controller as a process, a real Envoy, weights measured on real answers.

For each provider version 2 is promoted and version 3, half of whose answers are errors, is rolled back. All of them at once.
"""

import pytest

from flagger_py.local.samples import new_version
from flagger_py.objects.resource import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SERVICE, Resource
from tests.local.site import Site, site
from tests.local.stage import on_stage
from tests.local.weights import is_plausible

STEPS = [10, 30, 50]
RATE = 50.0
LEAST = 30
"""Answers that each weight is judged by; a machine with two cores does not always reach what is asked for."""


@pytest.mark.parametrize(
    ("provider", "target"),
    [
        *((provider, DEPLOYMENT) for provider in ("gatewayapi:v1", "istio", "contour")),
        pytest.param("gatewayapi:v1beta1", DEPLOYMENT, marks=pytest.mark.wide),
        pytest.param("gatewayapi:v1", DAEMON_SET, marks=pytest.mark.wide),
        *(pytest.param(provider, SERVICE, marks=pytest.mark.wide) for provider in ("gatewayapi:v1", "istio", "contour")),
    ],
    ids=lambda value: value.kind if isinstance(value, Resource) else value,
)
@on_stage(site)
async def test_a_good_version_is_promoted_and_a_bad_one_is_rolled_back(site: Site, provider: str, target: Resource) -> None:
    """engine:WGT-01, routers:GW-12, IST-17, CON-01: at each step the answers fit the weight; no request fails but the bad version's.

    workloads:DS-01, S17: a DaemonSet is rolled out likewise, and so is a Service that is led to the pods of another version.
    """
    analysis = {"stepWeights": STEPS, "stepWeight": None, "maxWeight": None}
    namespace = f"{provider.replace(':', '-')}-{target.plural}"
    async with site.app(namespace, provider, rate=RATE, interval="3s", replicas=2, target=target, analysis=analysis) as app:
        await app.release("2")
        await app.until_phase("Progressing")
        await app.until_phase("Succeeded", "Failed")
        assert app.weights.weights == [0, *STEPS, 0]
        app.weights.assert_measured("2", app.load.tally.window(60).answers, at_least=LEAST)
        assert await app.primary_version() == "2"
        app.assert_only_failures_of()

        await app.change_analysis(threshold=2)
        await app.release("3", FAULT_ERROR_PERCENT="50")
        await app.until_phase("Progressing")
        assert await app.until_phase("Succeeded", "Failed") == "Failed"
        assert await app.primary_version() == "2"
        assert await app.is_at_zero()
        assert app.weights.latest == 0
        app.assert_only_failures_of("3")
        await site.assert_no_gateway_failure()


def test_the_bound_tells_weights_apart() -> None:
    """With the number of answers that a step has mostly."""
    assert is_plausible(10, 100, 10)
    assert not is_plausible(30, 100, 10)
    assert not is_plausible(8, 100, 30)
    assert not is_plausible(55, 100, 30)
    assert not is_plausible(1, 100, 0)


@pytest.mark.wide
@on_stage(site)
async def test_settings_that_turn_bad_in_the_middle_of_a_rollout_reach_its_pods_and_are_rolled_back(site: Site) -> None:
    """workloads:CHG-06: the pods have read good ones when they started; they start anew, and their errors are seen."""
    async with site.app("settings", rate=RATE) as app:
        await app.change_analysis(threshold=2)
        settings = {"metadata": {"name": "settings", "namespace": app.sample.namespace}, "data": {"FAULT_ERROR_PERCENT": "0"}}
        await site.cluster.client.create(CONFIG_MAP, settings)
        version = new_version("2")
        version["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
        await app.patch(DEPLOYMENT, "web", version)
        await app.until_weight(25)
        app.assert_only_failures_of()
        await app.patch(CONFIG_MAP, "settings", {"data": {"FAULT_ERROR_PERCENT": "50"}})
        await app.until_told("Restarting analysis for web.settings")
        await app.until_phase("Failed")
        assert await app.primary_version() == "1"
        app.assert_only_failures_of("2")
        await site.assert_no_gateway_failure()
