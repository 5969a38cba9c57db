"""The cluster's cache: one watch per kind, reads that are recorded, own writes that are seen at once."""

import asyncio
from collections.abc import Callable

import pytest

from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster, kind_of
from flagger_py.kube.store import Projection
from flagger_py.objects.errors import Forbidden, NotServed, Unreachable
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONFIG_MAP, DEPLOYMENT, SERVICE, Ref, Resource
from tests.unit.kube.scripted import CUT, NOT_SERVED, ScriptedServer, manifest, status

pytestmark = pytest.mark.looptime

PODINFO = Ref(DEPLOYMENT, "test", "podinfo")
ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer(DEPLOYMENT, SERVICE, CONFIG_MAP, CANARY)


def open_cluster(server: ScriptedServer, **options: object) -> Cluster:
    return Cluster(Client(server, jitter=lambda: 0.5), jitter=lambda: 0.5, **options)  # type: ignore[arg-type] # forwarded as given


async def until(claim: Callable[[], bool], limit: float = 120) -> None:
    async with asyncio.timeout(limit):
        while not claim():  # noqa: ASYNC110 - the time is virtual
            await asyncio.sleep(0.1)


async def until_raises(cluster: Cluster) -> None:
    """Read for a while: the list may still be good when the watch is refused."""
    for _ in range(10):
        await cluster.ensure_watched(DEPLOYMENT)
        await asyncio.sleep(1)


async def test_many_reads_cost_one_list_and_one_watch(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    async with open_cluster(server) as cluster:
        objects = cluster.objects()
        found = [await objects.read(PODINFO) for _ in range(20)]
        await asyncio.sleep(60)
    assert all(each and each["kind"] == "Deployment" for each in found)
    assert (server.count("GET", watch=False), server.count("GET", watch=True)) == (1, 1)


async def test_settled_watches_are_reopened_about_every_five_minutes_and_list_only_once(server: ScriptedServer) -> None:
    async with open_cluster(server) as cluster:
        await cluster.ensure_watched(DEPLOYMENT)
        await asyncio.sleep(3600)
    assert server.count("GET", watch=False) == 1
    assert 12 <= server.count("GET", watch=True) <= 14


async def test_a_change_wakes_its_subscribers_and_is_read(server: ScriptedServer) -> None:
    woken: list[Ref] = []
    async with open_cluster(server) as cluster:
        cluster.subscribe(woken.append)
        await cluster.ensure_watched(DEPLOYMENT)
        server.put(DEPLOYMENT, manifest("podinfo", spec={"replicas": 2}))
        await until(lambda: PODINFO in woken)
        found = await cluster.objects().read(PODINFO)
        server.remove(DEPLOYMENT, "test", "podinfo")
        await until(lambda: woken.count(PODINFO) == 2)
        gone = await cluster.objects().read(PODINFO)
    assert found
    assert found["spec"] == {"replicas": 2}
    assert gone is None


async def test_a_read_records_the_object_and_its_kind(server: ScriptedServer) -> None:
    reads: list[Ref] = []
    async with open_cluster(server) as cluster:
        await cluster.objects(reads.append).read(PODINFO)
    assert reads == [PODINFO, kind_of(DEPLOYMENT)]


async def test_own_writes_are_read_at_once(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo", spec={"replicas": 1}))
    async with open_cluster(server) as cluster:
        objects = cluster.objects()
        await objects.read(PODINFO)
        await objects.patch(PODINFO, MergePatch({"spec": {"replicas": 3}}))
        patched = await objects.read(PODINFO)
        created = await objects.create(SERVICE, manifest("podinfo"))
        await objects.delete(PODINFO, uid=(patched or {})["metadata"]["uid"])
        deleted = await objects.read(PODINFO)
        await objects.delete(PODINFO)
    assert patched
    assert patched["spec"]["replicas"] == 3
    assert created["kind"] == "Service"
    assert deleted is None


async def test_objects_deleted_while_we_were_away_are_found_by_the_list_after_410(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    woken: list[Ref] = []
    async with open_cluster(server) as cluster:
        await cluster.ensure_watched(DEPLOYMENT)
        cluster.subscribe(woken.append)
        server.fail(CUT, times=5, method="GET", watch=True)
        server.close_watches(DEPLOYMENT)
        await asyncio.sleep(0.05)
        server.remove(DEPLOYMENT, "test", "podinfo")
        server.compact(DEPLOYMENT)
        await until(lambda: woken == [PODINFO])
        assert await cluster.objects().read(PODINFO) is None
    assert server.count("GET", watch=False) == 2


async def test_a_kind_that_is_not_served_raises_and_begins_to_work_when_it_appears(server: ScriptedServer) -> None:
    woken: list[Ref] = []
    ref = Ref(ROUTE, "test", "podinfo")
    async with open_cluster(server) as cluster:
        cluster.subscribe(woken.append)
        with pytest.raises(NotServed, match=r"httproutes\.gateway\.networking\.k8s\.io"):
            await cluster.objects().read(ref)
        assert isinstance(cluster.health()[ROUTE].problem, NotServed)
        server.serve(ROUTE)
        server.put(ROUTE, manifest("podinfo"))
        await until(lambda: woken[-1] == kind_of(ROUTE) and ref in woken)
        assert await cluster.objects().read(ref)
        assert cluster.health()[ROUTE].problem is None


async def test_a_definition_that_is_removed_makes_reads_fail_and_wakes_its_readers(server: ScriptedServer) -> None:
    server.put(CANARY, manifest("podinfo"))
    woken: list[Ref] = []
    ended: list[Resource] = []
    async with open_cluster(server, on_watch_ended=ended.append) as cluster:
        await cluster.ensure_watched(CANARY)
        await asyncio.sleep(1)
        cluster.subscribe(woken.append)
        server.unserve(CANARY)
        await until(lambda: kind_of(CANARY) in woken)
        with pytest.raises(NotServed):
            await cluster.ensure_watched(CANARY)
    assert ended == [CANARY]


async def test_a_missing_right_raises_until_it_is_granted(server: ScriptedServer) -> None:
    server.fail(status(403, "Forbidden", "cannot list deployments"), times=3)
    async with open_cluster(server) as cluster:
        with pytest.raises(Forbidden, match="cannot list deployments"):
            await cluster.ensure_watched(DEPLOYMENT)
        await until(lambda: cluster.health()[DEPLOYMENT].problem is None)
        await cluster.ensure_watched(DEPLOYMENT)


async def test_the_right_to_list_without_the_right_to_watch_is_not_enough(server: ScriptedServer) -> None:
    server.fail(status(403, "Forbidden", "cannot watch deployments"), times=50, watch=True)
    async with open_cluster(server) as cluster:
        with pytest.raises(Forbidden):
            await until_raises(cluster)
        await asyncio.sleep(600)
        with pytest.raises(Forbidden):
            await cluster.ensure_watched(DEPLOYMENT)
        assert server.count("GET", watch=False) < 20


async def test_a_server_that_is_away_is_waited_for_within_a_limit_and_found_again(server: ScriptedServer) -> None:
    woken: list[Ref] = []
    server.fail(Unreachable("connection refused"), times=60)
    async with open_cluster(server) as cluster:
        cluster.subscribe(woken.append)
        with pytest.raises(Unreachable, match="could not be listed yet: connection refused"):
            await cluster.ensure_watched(DEPLOYMENT)
        await until(lambda: kind_of(DEPLOYMENT) in woken, limit=600)
        await cluster.ensure_watched(DEPLOYMENT)


async def test_a_broken_watch_does_not_stop_reads_from_the_cache(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    async with open_cluster(server) as cluster:
        await cluster.ensure_watched(DEPLOYMENT)
        server.fail(Unreachable("connection refused"), times=100)
        server.close_watches(DEPLOYMENT)
        await until(lambda: cluster.health()[DEPLOYMENT].problem is not None)
        assert await cluster.objects().read(PODINFO)


async def test_with_a_namespace_only_that_one_is_watched_and_others_are_read_live(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    server.put(DEPLOYMENT, manifest("podinfo", "elsewhere"))
    async with open_cluster(server, namespace="test") as cluster:
        await cluster.ensure_watched(DEPLOYMENT)
        assert len(list(cluster.items(DEPLOYMENT))) == 1
        other = await cluster.objects().read(Ref(DEPLOYMENT, "elsewhere", "podinfo"))
        assert await cluster.objects().read(Ref(DEPLOYMENT, "elsewhere", "missing")) is None
    assert other
    assert server.calls[0].path == "/apis/apps/v1/namespaces/test/deployments"


async def test_a_kind_is_watched_in_one_version_and_read_live_in_others(server: ScriptedServer) -> None:
    older = Resource(ROUTE.group, "v1beta1", ROUTE.plural, ROUTE.kind)
    server.serve(ROUTE)
    server.serve(older)
    server.put(older, manifest("podinfo"))
    reads: list[Ref] = []
    async with open_cluster(server) as cluster:
        await cluster.ensure_watched(ROUTE)
        found = await cluster.objects(reads.append).read(Ref(older, "test", "podinfo"))
        assert list(cluster.health()) == [ROUTE]
    assert found
    assert found["apiVersion"] == older.api_version
    assert Ref(ROUTE, "test", "podinfo") in reads


async def test_metadata_only_kinds_are_asked_for_and_kept_as_metadata(server: ScriptedServer) -> None:
    server.put(CONFIG_MAP, manifest("settings", data={"color": "blue"}))
    async with open_cluster(server, projections={CONFIG_MAP: Projection(metadata_only=True)}) as cluster:
        ref = Ref(CONFIG_MAP, "test", "settings")
        kept = await cluster.objects().read(ref)
        live = await cluster.objects().get(ref)
        kept_after = await cluster.objects().read(ref)
    assert kept
    assert "data" not in kept
    assert live
    assert live["data"] == {"color": "blue"}
    assert kept_after == kept
    assert all("PartialObjectMetadata" in call.headers["accept"] for call in server.calls if not call.path.endswith("settings"))


async def test_a_change_of_nothing_that_is_kept_wakes_nobody(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo", spec={"replicas": 1}))
    woken: list[Ref] = []
    spec_only = Projection(lambda whole: {"metadata": whole["metadata"], "spec": whole["spec"]})
    async with open_cluster(server, projections={DEPLOYMENT: spec_only}) as cluster:
        await cluster.ensure_watched(DEPLOYMENT)
        cluster.subscribe(woken.append)
        changed = server.put(DEPLOYMENT, manifest("podinfo", spec={"replicas": 1}, status={"replicas": 1}))
        await asyncio.sleep(1)
        found = await cluster.objects().read(PODINFO)
    assert woken == []
    assert found
    assert found["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


async def test_a_list_of_a_new_definition_waits_out_429(server: ScriptedServer) -> None:
    """engine:ENG-17."""
    server.fail(status(429, "TooManyRequests", "storage is (re)initializing", {"retry-after": "1"}), times=4)
    async with open_cluster(server) as cluster:
        started = asyncio.get_running_loop().time()
        await cluster.ensure_watched(CANARY)
        assert asyncio.get_running_loop().time() - started == pytest.approx(4)


async def test_a_dead_end_is_not_hidden(server: ScriptedServer) -> None:
    """A watch on a path that is no kind gives the server's own words."""
    server.fail(NOT_SERVED)
    async with open_cluster(server) as cluster:
        with pytest.raises(NotServed, match="404 page not found"):
            await cluster.ensure_watched(SERVICE)
