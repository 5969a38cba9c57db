"""Faults from outside in the middle of rollouts, on virtual time: what is told, that no other Canary notices, and the right end."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from flagger_py.http.client import HttpRequest, HttpResponse, Unreachable
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, Ref, Resource
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster, Web, canary, deployment, memory_cluster, running_controller
from tests.memory.outage import controller_on, line_to
from tests.memory.people import NEIGHBOUR, conditions, messages, neighbour_releases, settle, told, until_cleared

pytestmark = pytest.mark.looptime

DEFINITION = Ref(
    Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
    "",
    "canaries.flagger.app",
)


def now() -> float:
    return asyncio.get_running_loop().time()


async def primary_image(cluster: MemoryCluster, name: str = "web") -> str:
    primary = await cluster.get(DEPLOYMENT, f"{name}-primary")
    return str(primary["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.mark.parametrize("elected", [False, True], ids=["alone", "elected"])
async def test_an_api_server_that_is_away_for_a_minute_costs_time_and_nothing_else(*, elected: bool) -> None:
    """design §4: traffic stays where it was meanwhile, then the rollout goes on from what is stored; no check counts twice."""
    async with memory_cluster() as cluster:
        line = line_to(cluster)
        async with controller_on(line, cluster, enable_leader_election=elected, leader_election_namespace=NAMESPACE):
            await settle(cluster)
            await cluster.release("web:2")
            before = await cluster.until(lambda status: status.get("canaryWeight") == 20)
            line.cut()
            await asyncio.sleep(60)
            assert (await cluster.status())["canaryWeight"] == before["canaryWeight"]
            assert await cluster.weights() == (80, 20)
            line.mend()
            await cluster.until_phase("Succeeded", seconds=120)
            assert await primary_image(cluster) == "web:2"
            assert not [text for text in await messages(cluster) if "Rolling back" in text or "Halt" in text]


async def _swap_definition(cluster: MemoryCluster, *, keeps_rollout: bool, known: dict[str, Any]) -> None:
    """Flagger's own definition prunes `status.rollout`; ours keeps it. The published schema follows at once here."""
    definition = await cluster.client.get(DEFINITION)
    versions = definition["spec"]["versions"]
    for version in versions:
        status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        if keeps_rollout:
            status["rollout"] = known["rollout"]
        else:
            known["rollout"] = status.pop("rollout")
    await cluster.client.patch(DEFINITION, MergePatch({"spec": {"versions": versions}}))


async def test_with_flaggers_own_definition_nothing_starts_and_it_says_which_file_to_apply() -> None:
    """design §5: our CRD comes first; applied, the Canary is initialised without a restart."""
    known: dict[str, Any] = {}
    async with memory_cluster() as cluster:
        await _swap_definition(cluster, keeps_rollout=False, known=known)
        async with running_controller(cluster) as controller:
            await _create(cluster)
            await told(cluster, "CrdCurrent", ("status.rollout", "deploy/crds/canaries.flagger.app.yaml", "flagger-py crds"))
            assert not (await cluster.status()).get("phase")
            assert (await cluster.get(DEPLOYMENT, "web"))["spec"]["replicas"] == 2
            assert [check.name for check in controller.checks() if not check.ready and not check.optional] == ["crd"]
            await _swap_definition(cluster, keeps_rollout=True, known=known)
            await cluster.until_phase("Initialized", seconds=60)
            await until_cleared(cluster, "CrdCurrent")
            assert all(check.ready or check.optional for check in controller.checks())


async def _create(cluster: MemoryCluster) -> None:
    await cluster.client.create(DEPLOYMENT, deployment())
    await cluster.client.create(CANARY, canary())


class Hanging(Web):
    """Hooks of one path never answer."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.asked = asyncio.Event()
        self.is_abort_asked = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith(self.path):
            self.asked.set()
            await asyncio.sleep(request.timeout)
            raise Unreachable(f"no answer within {request.timeout:g} s")
        if request.url.endswith("/abort"):
            return HttpResponse(200 if self.is_abort_asked else 403, "", {}, b"")
        return await super().send(request)


HOOKS: list[Mapping[str, str]] = [
    {"name": "slow", "url": "http://hooks/slow", "timeout": "5m"},
    {"name": "abort", "type": "rollback", "url": "http://hooks/abort"},
]


@pytest.mark.parametrize("stage", ["pre-rollout", "rollout", "confirm-promotion", "confirm-traffic-increase"])
async def test_a_hook_that_hangs_delays_neither_a_new_revision_nor_an_abort(stage: str) -> None:
    """design §3: a hook of five minutes; a new revision is noticed within a second, an abort within one interval."""
    async with memory_cluster() as cluster:
        cluster.web = web = Hanging("/slow")
        async with running_controller(cluster):
            await settle(cluster)
            await settle(cluster, NEIGHBOUR)
            hooks = [{**HOOKS[0], "type": stage}, HOOKS[1]]
            await cluster.patch(CANARY, "web", {"spec": {"analysis": {"webhooks": hooks}}})
            await cluster.release("web:2")
            await asyncio.wait_for(web.asked.wait(), 120)
            await neighbour_releases(cluster)
            superseded = (await cluster.status())["rollout"]["run"]
            await cluster.release("web:3")
            await cluster.until(lambda status: status["rollout"]["run"] != superseded, seconds=1)
            web.asked.clear()
            await asyncio.wait_for(web.asked.wait(), 120)
            web.is_abort_asked, asked_at = True, now()
            await cluster.until_phase("Failed", seconds=30)
            assert now() - asked_at < 15
            assert await cluster.weights() == (100, 0)
            assert any("manual rollback" in text for text in await messages(cluster))


OUTAGES: Mapping[str, tuple[HttpResponse | None, tuple[str, ...]]] = {
    "down": (None, ("no usable answer", "connection refused")),
    "html": (HttpResponse(200, "OK", {"content-type": "text/html"}, b"<html>Sign in</html>"), ("no JSON but text/html", "Sign in")),
    "error": (HttpResponse(503, "Service Unavailable", {}, b""), ("503",)),
}


@pytest.mark.parametrize("outage", OUTAGES)
async def test_a_prometheus_without_a_usable_answer_is_told_counted_and_survived(outage: str) -> None:
    """metrics:EVAL-18: back before the threshold, the rollout goes on; the neighbour, which asks another server, never notices."""
    response, says = OUTAGES[outage]

    def answer(request: HttpRequest) -> HttpResponse | None:
        if "broken" not in request.url:
            return None
        if response is None:
            raise Unreachable("broken:9090: no connection (connection refused)")
        return response

    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster)
        await settle(cluster, NEIGHBOUR)
        await cluster.patch(CANARY, "web", {"spec": {"metricsServer": "http://broken:9090", "analysis": {"threshold": 20}}})
        cluster.web.answer = answer
        await cluster.release("web:2")
        status = await cluster.until(lambda found: found.get("failedChecks") == 1, seconds=60)
        check = status["rollout"]["checks"][0]
        assert (check["name"], check["result"]) == ("request-success-rate", "unreachable")
        text = next(text for text in await messages(cluster) if "Halt" in text)
        assert not [part for part in says if part not in text], text
        await neighbour_releases(cluster)
        cluster.web.answer = None
        await cluster.until_phase("Succeeded", seconds=120)
        assert await primary_image(cluster) == "web:2"
        cluster.web.answer = answer
        await cluster.patch(CANARY, "web", {"spec": {"analysis": {"threshold": 2}}})
        await cluster.release("web:3")
        await cluster.until_phase("Failed", seconds=120)
        assert await primary_image(cluster) == "web:2"
        assert await cluster.weights() == (100, 0)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        pytest.param((40, 60), "Routes of web.test stand at 40/60 instead of 80/20", id="other-weights"),
        pytest.param((70, 10), "weights 70 (primary) and 10 (canary): must be 0..100 and sum to 100", id="without-sense"),
    ],
)
async def test_a_route_edited_in_the_middle_is_told_and_put_back(weights: tuple[int, int], says: str) -> None:
    """design §4: the edited weight is not checked; the whole interval is waited again."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster)
        await settle(cluster, NEIGHBOUR)
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 20)
        await asyncio.sleep(8)
        spec = (await cluster.get(HTTP_ROUTE, "web"))["spec"]
        for backend, weight in zip(spec["rules"][0]["backendRefs"], weights, strict=True):
            backend["weight"] = weight
        edited_at = now()
        await cluster.patch(HTTP_ROUTE, "web", {"spec": spec})
        await asyncio.sleep(1)
        assert await cluster.weights() == (80, 20)
        assert [text for text in await messages(cluster) if says in text], await messages(cluster)
        await cluster.until(lambda status: status.get("canaryWeight") == 40)
        assert now() - edited_at >= 10
        await neighbour_releases(cluster)
        await cluster.until_phase("Succeeded")


async def test_a_target_deleted_in_the_middle_ends_the_run_and_its_successor_is_rolled_out() -> None:
    """engine:HAZ-25."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster)
        await settle(cluster, NEIGHBOUR)
        await cluster.release("web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 20)
        await cluster.client.delete(Ref(DEPLOYMENT, NAMESPACE, "web"))
        await told(cluster, "ReferencesResolved", ("spec.targetRef", f"Deployment {NAMESPACE}/web", "does not exist"))
        await cluster.until_phase("Failed", seconds=10)
        assert await cluster.weights() == (100, 0)
        await neighbour_releases(cluster)
        await cluster.client.create(DEPLOYMENT, deployment("web:3"))
        await cluster.until_phase("Succeeded", seconds=120)
        assert await primary_image(cluster) == "web:3"
        assert set(await conditions(cluster)) == {"Promoted"}
