"""Taking over what Flagger 1.44 left, with the real controller: nothing restarts, and every rollout ends as it would have (design §6)."""

import asyncio

import pytest

from flagger_py.objects.resource import CONFIG_MAP
from tests.memory.cluster import HTTP_ROUTE, MemoryCluster, running_controller, wanted_pods
from tests.memory.recordings import Recording, cluster_of, image_of, weights_seen, writes

pytestmark = pytest.mark.looptime

WEIGHTED = ("gateway-weighted", "istio-weighted", "contour-weighted", "istio-daemonset", "istio-hpa")
ALLOWED = {("create", "controllerrevisions"), ("patch", "canaries"), ("create", "events")}
"""What an adoption writes: the promoted template, our part of the status, and what it says about that."""


async def _image(cluster: MemoryCluster, name: str) -> str:
    return image_of(await cluster.get(cluster.target, name))


async def _replicas(cluster: MemoryCluster, name: str) -> int:
    return wanted_pods(await cluster.get(cluster.target, name))


async def _set_image(cluster: MemoryCluster, image: str) -> None:
    containers = (await cluster.get(cluster.target, "web"))["spec"]["template"]["spec"]["containers"]
    changed = [{**containers[0], "image": image}, *containers[1:]]
    await cluster.patch(cluster.target, "web", {"spec": {"template": {"spec": {"containers": changed}}}})


@pytest.mark.parametrize("phase", ["initialized", "succeeded", "failed"])
@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_a_settled_canary_is_adopted_without_a_write_elsewhere(scenario: str, phase: str) -> None:
    """routers:CTR-22, workloads:GEN-20, engine:RST-05: no workload, Service, config or route is written in ten intervals."""
    recording = Recording(scenario, phase)
    async with cluster_of(recording) as cluster, running_controller(cluster):
        status = await cluster.until(lambda status: "rollout" in status, seconds=30)
        await asyncio.sleep(100)
        assert {(one.verb, one.resource) for one in writes(cluster)} <= ALLOWED
        now = await cluster.status()
        kept = ("phase", "canaryWeight", "failedChecks", "lastAppliedSpec", "lastPromotedSpec", "trackedConfigs")
        assert {key: now.get(key) for key in kept} == {key: recording.status.get(key) for key in kept}
        assert now["rollout"] == status["rollout"], "after the adoption nothing moves"


@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_a_rollout_goes_on_where_it_was(scenario: str) -> None:
    """engine:RST-05, Progressing weighted."""
    recording = Recording(scenario, "progressing")
    async with cluster_of(recording) as cluster, weights_seen(cluster, recording.canary["spec"]["provider"]) as seen:
        async with running_controller(cluster):
            await asyncio.sleep(7)
            assert seen == [(80, 20)], "the recorded step lasts its whole interval (engine:RST-04)"
            await cluster.until_phase("Succeeded")
        assert seen == [(80, 20), (60, 40), (100, 0)]
        assert await _image(cluster, "web-primary") == recording.image("web")
        assert await _replicas(cluster, "web") == 0


@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_failed_checks_are_counted_on(scenario: str) -> None:
    """engine:RST-02: one failed check of two is there, the next one rolls back."""
    recording = Recording(scenario, "failing")
    async with cluster_of(recording) as cluster, weights_seen(cluster, recording.canary["spec"]["provider"]) as seen:
        cluster.web.success_rate = 50
        async with running_controller(cluster):
            await cluster.until_phase("Failed", seconds=15)
        assert seen == [(80, 20), (100, 0)]
        assert await _image(cluster, "web-primary") == recording.image("web-primary")
        assert await _replicas(cluster, "web") == 0


@pytest.mark.parametrize(("phase", "weights"), [("promoting", [(60, 40), (100, 0)]), ("finalising", [(100, 0)])])
@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_a_promotion_is_finished_without_doing_it_again(scenario: str, phase: str, weights: list[tuple[int, int]]) -> None:
    """engine:RST-05, workloads:GEN-19: the primary has the new template already and is not written again."""
    recording = Recording(scenario, phase)
    async with cluster_of(recording) as cluster, weights_seen(cluster, recording.canary["spec"]["provider"]) as seen:
        async with running_controller(cluster):
            await cluster.until_phase("Succeeded")
        assert seen == weights
        assert not [one for one in writes(cluster) if one.name == "web-primary"]
        assert await _image(cluster, "web-primary") == recording.image("web")
        assert await _replicas(cluster, "web") == 0


@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_an_initialisation_goes_on(scenario: str) -> None:
    """engine:RST-05, Initializing: the target stays until the primary is ready."""
    recording = Recording(scenario, "initializing")
    async with cluster_of(recording) as cluster, running_controller(cluster):
        await cluster.until_phase("Initialized")
        assert await _image(cluster, "web-primary") == recording.image("web")
        assert await _replicas(cluster, "web-primary") == 2
        assert await _replicas(cluster, "web") == 0


@pytest.mark.parametrize("phase", ["initialized", "succeeded"])
@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_a_revision_that_was_set_meanwhile_is_run(scenario: str, phase: str) -> None:
    """design §6, workloads:CHG-02: a target that differs from the primary is a run of its own, never promoted silently."""
    recording = Recording(scenario, phase)
    async with cluster_of(recording) as cluster, weights_seen(cluster, recording.canary["spec"]["provider"]) as seen:
        await _set_image(cluster, "example/web:9")
        async with running_controller(cluster):
            await cluster.until_phase("Progressing")
            assert await _image(cluster, "web-primary") == recording.image("web-primary")
            await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0)]
        assert await _image(cluster, "web-primary") == "example/web:9"


@pytest.mark.parametrize("phase", ["initialized", "succeeded"])
@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_a_config_that_was_changed_meanwhile_is_run(scenario: str, phase: str) -> None:
    """workloads:CFG-07, engine:REV-04: Flagger's checksums of configs are ours."""
    recording = Recording(scenario, phase)
    async with cluster_of(recording) as cluster, weights_seen(cluster, recording.canary["spec"]["provider"]) as seen:
        await cluster.patch(CONFIG_MAP, "settings", {"data": {"colour": "black"}})
        async with running_controller(cluster):
            await cluster.until_phase("Progressing")
            await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0)]
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == {"colour": "black"}


@pytest.mark.parametrize("scenario", WEIGHTED)
async def test_a_failed_canary_is_taken_as_it_is(scenario: str) -> None:
    """design §6, Failed: the target as it is counts as the failed revision; a change after the take-over is a run (engine:TICK-15)."""
    recording = Recording(scenario, "failed")
    async with cluster_of(recording) as cluster, running_controller(cluster):
        await cluster.until(lambda status: "rollout" in status, seconds=30)
        await asyncio.sleep(30)
        assert (await cluster.status())["phase"] == "Failed"
        await _set_image(cluster, "example/web:9")
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Succeeded")
        assert await _image(cluster, "web-primary") == "example/web:9"


async def test_a_second_start_writes_nothing() -> None:
    """engine:RST-01: what was adopted is known."""
    async with cluster_of(Recording("gateway-weighted", "succeeded")) as cluster:
        async with running_controller(cluster):
            await cluster.until(lambda status: "rollout" in status, seconds=30)
        cluster.server.log.clear()
        async with running_controller(cluster):
            await asyncio.sleep(30)
        assert writes(cluster) == []


async def test_a_change_during_a_run_is_run_on() -> None:
    """design §6, active phase: Flagger's hash tells nothing, so the run goes on with the target as it is, and that is promoted."""
    async with cluster_of(Recording("gateway-weighted", "progressing")) as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await _set_image(cluster, "example/web:9")
        async with running_controller(cluster):
            await cluster.until_phase("Succeeded")
        assert seen == [(80, 20), (60, 40), (100, 0)]
        assert await _image(cluster, "web-primary") == "example/web:9"


@pytest.mark.parametrize(("phase", "weights"), [("waiting", (100, 0)), ("waitingpromotion", (60, 40))])
async def test_a_closed_gate_stays_closed(phase: str, weights: tuple[int, int]) -> None:
    """engine:GATE-05, engine:RST-05: traffic stays until the gate opens, then the run goes on from there."""
    recording = Recording("istio-gated", phase)
    async with cluster_of(recording) as cluster, weights_seen(cluster, "istio") as seen, running_controller(cluster):
        cluster.web.hook_status = 403
        await asyncio.sleep(60)
        assert ((await cluster.status())["phase"], seen) == (recording.status["phase"], [weights])
        cluster.web.hook_status = 200
        await cluster.until_phase("Succeeded")
        assert seen[-2:] == [(60, 40), (100, 0)]


async def test_a_route_that_flagger_spoilt_is_repaired_once() -> None:
    """routers:GW-11, MD-05: the lost origins come back, and the leaked label goes with that write. GW-B2: a defaulted path is no drift."""
    recording = Recording("gateway-rich", "initialized")
    async with cluster_of(recording) as cluster, running_controller(cluster):
        await cluster.until(lambda status: "rollout" in status, seconds=30)
        await asyncio.sleep(100)
        changed = [(one.verb, one.resource, one.name) for one in writes(cluster) if (one.verb, one.resource) not in ALLOWED]
        assert changed == [("patch", "httproutes", "web")]
        route = await cluster.get(HTTP_ROUTE, "web")
        before = next(one for one in recording.children if one["kind"] == "HTTPRoute")
        assert route["spec"]["rules"][0]["filters"][3]["cors"].pop("allowOrigins") == ["https://example.com"]
        assert (route["spec"], route["metadata"]["labels"]) == (before["spec"], {"l": "apex"})


@pytest.mark.parametrize(
    ("scenario", "provider", "weights"),
    [
        pytest.param("gateway-header", "gatewayapi:v1", [(0, 100), (100, 0)], id="engine:AB-01 header on Gateway API"),
        pytest.param("istio-header", "istio", [(0, 100), (100, 0)], id="engine:AB-01 header on Istio"),
        pytest.param("contour-cookie", "contour", [(0, 100), (100, 0)], id="engine:AB-01 cookie on Contour"),
        pytest.param("gateway-affinity", "gatewayapi:v1", [(80, 20), (60, 40), (100, 0)], id="routers:SA-03 affinity on Gateway API"),
        pytest.param("istio-affinity", "istio", [(80, 20), (60, 40), (100, 0)], id="routers:SA-03 affinity on Istio"),
        pytest.param("istio-mirror", "istio", [(80, 20), (60, 40), (100, 0)], id="engine:MIR-01 mirror"),
        pytest.param("istio-bluegreen", "istio", [(100, 0), (0, 100), (100, 0)], id="engine:BG-02 blue/green"),
    ],
)
async def test_a_run_of_another_strategy_goes_on_to_its_end(scenario: str, provider: str, weights: list[tuple[int, int]]) -> None:
    """engine:RST-05, routers:CTR-22."""
    recording = Recording(scenario, "progressing")
    async with cluster_of(recording) as cluster, weights_seen(cluster, provider) as seen, running_controller(cluster):
        await cluster.until_phase("Succeeded")
        assert seen == weights
        assert await _image(cluster, "web-primary") == recording.image("web")


async def test_a_blue_green_run_without_a_router_goes_on_to_its_end() -> None:
    """engine:BG-04, RST-05."""
    recording = Recording("kubernetes-bluegreen", "progressing")
    async with cluster_of(recording) as cluster, running_controller(cluster):
        await cluster.until_phase("Succeeded")
        assert await _image(cluster, "web-primary") == recording.image("web")


async def test_users_that_flagger_pinned_to_the_canary_stay_pinned() -> None:
    """routers:SA-03, CTR-22: the cookie of the run lasts, and is expired after it."""
    recording = Recording("gateway-affinity", "progressing")
    cookie = recording.status["sessionAffinityCookie"]
    async with cluster_of(recording) as cluster, running_controller(cluster):
        status = await cluster.until(lambda status: status.get("canaryWeight") == 40)
        assert status["sessionAffinityCookie"] == cookie
        status = await cluster.until_phase("Succeeded")
        assert status["previousSessionAffinityCookie"] == cookie
