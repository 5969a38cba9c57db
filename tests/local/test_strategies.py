"""Every strategy with real traffic: who meets the new version is measured on answers, when it is promoted and when it is rolled back.

All of them run at once, and the controller is killed now and then: nothing of what a run is may depend on its memory.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import pytest

from flagger_py.local.resources import ENDPOINT_SLICE
from flagger_py.local.samples import APP
from flagger_py.local.workloads.endpoints import SERVICE_LABEL
from tests.local.site import App, Site
from tests.local.stage import on_stage
from tests.local.test_deletions import deploy_before, route_of_user
from tests.local.test_kills import site_without_election
from tests.local.users import THINKING, Group, assert_kept, assert_matching_met, assert_stays, browsers, groups, share
from tests.local.weights import TAKEN_AFTER, is_plausible
from tests.matrix import shown_with_traffic

pytestmark = pytest.mark.wide

ITERATIONS = {"iterations": 2, "stepWeight": None, "maxWeight": None}
REGEX_COOKIE = {"headers": {"cookie": {"regex": r"^(.*;\s*)?tester=yes(;.*)?$"}}}
AB_MATCHES: dict[str, list[dict[str, Any]]] = {
    "gatewayapi:v1": [{"headers": {"x-exact": {"exact": "yes"}}}, {"headers": {"x-present": {"regex": ".*"}}}, REGEX_COOKIE],
    "istio": [
        {"headers": {"x-exact": {"exact": "yes"}}},
        {"headers": {"x-prefix": {"prefix": "inside-"}}},
        {"headers": {"x-present": {"regex": ".*"}}},
        REGEX_COOKIE,
    ],
    "contour": [
        {"headers": {"x-exact": {"exact": "yes"}}},
        {"headers": {"x-prefix": {"prefix": "inside-"}}},
        {"headers": {"cookie": {"suffix": "tester=yes"}}},
    ],
}
MATCHING = {
    "x-exact": Group({"x-exact": "yes"}, matches=True),
    "x-prefix": Group({"x-prefix": "inside-1"}, matches=True),
    "x-present": Group({"x-present": "anything"}, matches=True),
    "cookie": Group({"Cookie": "theme=dark; tester=yes"}, matches=True),
}
OTHERS = {
    "another value": Group({"x-exact": "no", "x-prefix": "outside"}, matches=False),
    "another cookie": Group({"Cookie": "tester=no; theme=yes"}, matches=False),
}


def users_of(provider: str) -> dict[str, Group]:
    """A group for each condition of the provider, and those that meet none."""
    names = {name for match in AB_MATCHES[provider] for name in match["headers"]}
    return {name: group for name, group in MATCHING.items() if name in names} | OTHERS


@pytest.mark.parametrize("provider", shown_with_traffic("A/B test by header, exact"))
@on_stage(site_without_election)
async def test_an_ab_test_shows_the_new_version_to_matching_users_only(site: Site, provider: str) -> None:
    """engine:AB-01, AB-03, routers:GW-20, IST-18, CON-08: promoted, and rolled back without anybody else having met it."""
    analysis = {**ITERATIONS, "match": AB_MATCHES[provider]}
    users = users_of(provider)
    async with site.app(f"ab-{provider.partition(':')[0]}", provider, rate=5, analysis=analysis) as app, groups(app, users) as loads:
        await app.release("2")
        await app.until_phase("Progressing")
        assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
        assert app.weights.weights == [0, 100, 0]
        assert_matching_met("2", app, users, loads)
        assert await app.primary_version() == "2"
        await fail(app, "3")
        assert_matching_met("3", app, users, loads)
        assert "3" not in app.answers()
        app.assert_only_failures_of()
        await site.assert_no_gateway_failure()


@on_stage(site_without_election)
async def test_after_a_failed_promotion_of_an_ab_test_the_canary_serves_everyone(site: Site) -> None:
    """engine:ST-17, HAZ-19, routers:CTR-15: nobody is left with the broken primary, and the repair reaches everyone."""
    analysis = {**ITERATIONS, "match": AB_MATCHES["gatewayapi:v1"]}
    async with site.app("ab-broken", rate=5, analysis=analysis, spec={"progressDeadlineSeconds": 15}) as app, groups(app, MATCHING):
        await app.release("2", FAULT_NOT_READY_PODS=f"{APP}-primary-")
        await app.until_told("Promotion of web.ab-broken failed, primary not ready", "all traffic goes to the canary")
        await app.until_phase("Failed")
        await asyncio.sleep(2 * TAKEN_AFTER)
        assert set(app.load.tally.window(TAKEN_AFTER).versions()) == {"2"}
        await app.release("3")
        await app.until_phase("Succeeded")
        await asyncio.sleep(2 * TAKEN_AFTER)
        assert set(app.load.tally.window(TAKEN_AFTER).versions()) == {"3"}
        app.assert_only_failures_of()


APP_REQUESTS: Final = 'http_request_duration_seconds_count{kubernetes_namespace="{{ namespace }}", kubernetes_pod_name=~"web-[^-]+-[^-]+"'
APP_METRIC: Final = f'sum(rate({APP_REQUESTS}, status!~"5.*"}}[5s])) / sum(rate({APP_REQUESTS}}}[5s])) * 100'
"""Of the app itself: the gateway sees nothing of what is sent directly."""
OWN_METRICS = [{"name": "success", "query": APP_METRIC, "thresholdRange": {"min": 99}}]
BLUE_GREEN: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("contour", {"metrics": OWN_METRICS}),
    "mirrored": ("gatewayapi:v1", {"mirror": True}),
    "mirrored in part": ("istio", {"mirror": True, "mirrorWeight": 50}),
}


@pytest.mark.parametrize("kind", BLUE_GREEN)
@on_stage(site_without_election)
async def test_blue_green_switches_everyone_at_once(site: Site, kind: str) -> None:
    """engine:BG-01..03, MIR-02: nobody meets a version that fails its iterations."""
    provider, fields = BLUE_GREEN[kind]
    namespace = f"bg-{kind.replace(' ', '-')}"
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(site.app(namespace, provider, rate=12, analysis={**ITERATIONS, **fields}))
        if "mirror" not in fields:
            await stack.enter_async_context(direct_users(app))
        await app.release("2")
        if "mirror" in fields:
            await assert_mirrored(app, fields.get("mirrorWeight", 100))
        await app.until_weight(100)
        before = app.weights.stays[0].until
        assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
        assert app.weights.weights == [0, 100, 0]
        assert {answer.version for answer in app.load.tally.window(60).answers if answer.at <= before} == {"1"}
        assert_matching_met("2", app, {"all": Group({}, matches=True)}, {"all": app.load})
        assert await app.primary_version() == "2"
        await fail(app, "3")
        assert app.weights.weights == [0]
        assert "3" not in app.answers()
        app.assert_only_failures_of()
        await site.assert_no_gateway_failure()


@on_stage(site_without_election)
async def test_without_a_router_users_meet_the_new_version_when_the_primary_rolls(site: Site) -> None:
    """engine:BG-04: until then it is reached through `web-canary` only."""
    namespace = "bg-kubernetes"
    await deploy_before(site, namespace, *route_of_user("gatewayapi:v1", namespace))
    spec = {"provider": "kubernetes"}
    async with site.app(namespace, rate=10, analysis={**ITERATIONS, "metrics": OWN_METRICS}, spec=spec) as app, direct_users(app) as direct:
        await app.release("2")
        while await app.primary_version() == "1":
            assert "2" not in app.answers()
            await asyncio.sleep(TAKEN_AFTER)
        assert "2" in direct
        assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
        await asyncio.sleep(TAKEN_AFTER)
        assert set(app.load.tally.window(TAKEN_AFTER).versions()) == {"2"}
        await fail(app, "3")
        assert "3" not in app.answers()
        app.assert_only_failures_of()
        await site.assert_no_gateway_failure()


@on_stage(site_without_election)
async def test_a_weighted_run_mirrors_before_its_first_weight(site: Site) -> None:
    """engine:MIR-01, routers:IST-17: a version that fails under mirrored requests is met by nobody."""
    analysis = {"mirror": True, "mirrorWeight": 50}
    async with site.app("mirror", "istio", rate=12, interval="3s", analysis=analysis) as app:
        await app.release("2")
        await assert_mirrored(app, 50)
        assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
        assert app.weights.weights == [0, 25, 50, 0]
        app.weights.assert_measured("2", app.load.tally.window(60).answers)
        await app.change_analysis(threshold=1)
        await fail(app, "3")
        assert app.weights.weights == [0]
        assert "3" not in app.answers()
        app.assert_only_failures_of()


BROWSERS: Final = 20
BETWEEN_VISITS: Final = 3 * THINKING + TAKEN_AFTER
"""Seconds in which each browser has seen what holds now, and sent what it was told."""
AFFINITY: Final = {"cookieName": "canary", "primaryCookieName": "primary", "maxAge": 600}


@pytest.mark.parametrize("provider", shown_with_traffic("weighted with session affinity, primary too"))
@on_stage(site_without_election)
async def test_sessions_stay_with_their_version(site: Site, provider: str) -> None:
    """routers:SA-03..09, SA-12, engine:SES-02..04: across weights, kills of the controller, a new revision, promotion and rollback."""
    analysis = {"sessionAffinity": AFFINITY, "stepWeights": [15, 40], "stepWeight": None, "maxWeight": None}
    namespace = f"sessions-{provider.partition(':')[0]}"
    async with site.app(namespace, provider, rate=5, interval="3s", analysis=analysis) as app, browsers(app, BROWSERS) as users:
        await app.release("2")
        await app.until_weight(15)
        site.kill_controller()
        await app.until_weight(40)
        first = await app.status()
        await asyncio.sleep(2 * TAKEN_AFTER)
        newer = asyncio.get_running_loop().time()
        await app.release("3")
        await app.until_weight(0)
        low = next(stay.until for stay in app.weights.stays if stay.weight == 15)
        assert share(users, "2", low) <= share(users, "2", newer), "a rising weight moves users to the canary, and nobody back"
        assert_stays(users, "2", newer)
        assert_kept(users, app, first["sessionAffinityCookie"], {"2", "3"})
        assert_kept(users, app, first["primarySessionAffinityCookie"], {"1"})
        app.weights.forget()
        await app.until_weight(15)
        again = asyncio.get_running_loop().time()
        site.kill_controller()
        await app.until_weight(40)
        second = await app.status()
        assert second["sessionAffinityCookie"] != first["sessionAffinityCookie"]
        assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
        assert_stays(users, "3", app.weights.end_of("3"), since=again)
        assert_kept(users, app, second["sessionAffinityCookie"], {"3"})
        await asyncio.sleep(BETWEEN_VISITS)
        assert {browser.visits[-1].answer.version for browser in users} == {"3"}
        assert not any("canary" in browser.visits[-1].sent for browser in users), "the cookie of a run that is over is deleted"
        await fail(app, "4")
        assert_stays(users, "4", app.weights.end_of("4"))
        await asyncio.sleep(BETWEEN_VISITS)
        assert {browser.visits[-1].answer.version for browser in users} == {"3"}
        app.assert_only_failures_of("4")
        await site.assert_no_gateway_failure()


@asynccontextmanager
async def direct_users(app: App) -> AsyncIterator[set[str]]:
    """Requests to the pods behind the canary's Service, as a load test in the cluster sends them; the versions that have answered."""
    met: set[str] = set()
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
        task = group.create_task(_send_directly(app, session, met), name=f"direct load of {app.sample.namespace}")
        try:
            yield met
        finally:
            task.cancel()


async def _send_directly(app: App, session: aiohttp.ClientSession, met: set[str]) -> None:
    while True:
        slices = await app.site.cluster.client.find(ENDPOINT_SLICE, app.sample.namespace)
        for found in (entry for entry in slices if entry["metadata"]["labels"][SERVICE_LABEL] == f"{APP}-canary"):
            addresses = [address for endpoint in found.get("endpoints") or () for address in endpoint["addresses"]]
            for address in addresses:
                with suppress(aiohttp.ClientError):  # it has just gone
                    async with session.get(f"http://{address}:{found['ports'][0]['port']}/") as response:
                        met.add((await response.json())["version"])
        await asyncio.sleep(0.1)


UNDER_WAY: Final = 3
"""Requests that may be counted on one side and not yet on the other."""


async def assert_mirrored(app: App, percent: int) -> None:
    """While the primary answers everyone, so many of the requests reach the canary, too."""
    samples: list[tuple[float, float]] = []
    await app.until(lambda status: bool(((status.get("rollout") or {}).get("desired") or {}).get("mirrored")), "mirroring")
    start = await requests_to(app, "canary")
    while app.weights.latest == 0 and len(samples) < 10:
        sample = await requests_to(app, "primary"), await requests_to(app, "canary")
        if sample[1] > start and not samples:
            await asyncio.sleep(TAKEN_AFTER)  # not all of Envoy's threads may have taken it
            sample = await requests_to(app, "primary"), await requests_to(app, "canary")
        if sample[1] > start and sample not in samples:
            samples.append(sample)
        await asyncio.sleep(0.1)
    assert len(samples) > 1, "the stage with the mirror was too short to be measured"
    primary, canary = (int(after - before) for after, before in zip(samples[-1], samples[0], strict=True))
    text = f"{canary} of {primary} requests were mirrored"
    assert is_plausible(min(canary, primary), primary, percent) or abs(primary * percent / 100 - canary) <= UNDER_WAY + primary // 20, text


async def requests_to(app: App, version: str) -> float:
    """How many requests Envoy has sent to the Service of this version so far."""
    query = f'sum(envoy_cluster_upstream_rq{{envoy_cluster_name="{app.sample.namespace}_{APP}-{version}_80"}})'
    async with (
        aiohttp.ClientSession(app.site.cluster.prometheus_url) as prometheus,
        prometheus.get("/api/v1/query", params={"query": query}) as response,
    ):
        result = (await response.json())["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


async def fail(app: App, version: str) -> None:
    """Release a version that answers with errors, and see it rolled back."""
    app.weights.forget()
    await app.change_analysis(threshold=2)
    await app.release(version, FAULT_ERROR_PERCENT="100")
    await app.until_phase("Progressing")
    assert await app.until_phase("Succeeded", "Failed") == "Failed"
    await app.until_weight(0)
    assert await app.primary_version() != version
