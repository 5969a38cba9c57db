"""Verbs, retries and the errors that come out of them."""

import asyncio
from contextlib import AbstractAsyncContextManager

import orjson
import pytest

from flagger_py.kube.client import REQUESTS_AT_ONCE, WRITE_TIMEOUT, Client, WatchOptions
from flagger_py.kube.retry import TokenBucket
from flagger_py.kube.transport import Request, Response, Stream
from flagger_py.objects.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Fenced,
    Invalid,
    NotFound,
    NotServed,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from flagger_py.objects.patch import JsonPatch, MergePatch, pinned
from flagger_py.objects.resource import CANARY, DEPLOYMENT, Manifest, Ref
from tests.unit.kube.scripted import CUT, Answer, ScriptedServer, manifest, status

pytestmark = pytest.mark.looptime

PODINFO = Ref(DEPLOYMENT, "test", "podinfo")
BUSY = status(429, "TooManyRequests", "storage is (re)initializing", {"retry-after": "2"})


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer(DEPLOYMENT)


@pytest.fixture
def client(server: ScriptedServer) -> Client:
    return Client(server, jitter=lambda: 0.5)


async def send(client: Client, verb: str) -> object:
    match verb:
        case "get":
            return await client.get(PODINFO)
        case "list":
            return await client.find(DEPLOYMENT)
        case "create":
            return await client.create(DEPLOYMENT, manifest("other"))
        case "patch":
            return await client.patch(PODINFO, MergePatch({"spec": {"replicas": 2}}))
        case _:
            return await client.delete(PODINFO)


VERBS = ("get", "list", "create", "patch", "delete")
WRITES = ("create", "patch", "delete")


@pytest.mark.parametrize("verb", VERBS)
async def test_429_is_waited_out_on_every_verb(server: ScriptedServer, client: Client, verb: str) -> None:
    """engine:ENG-17."""
    server.put(DEPLOYMENT, manifest("podinfo"))
    server.fail(BUSY, times=3)
    started = asyncio.get_running_loop().time()
    await send(client, verb)
    assert asyncio.get_running_loop().time() - started == pytest.approx(6)
    assert len(server.calls) == 4


async def test_a_429_without_end_is_raised_with_its_pause(server: ScriptedServer, client: Client) -> None:
    server.fail(BUSY, times=50)
    with pytest.raises(TooManyRequests, match="initializing") as caught:
        await send(client, "patch")
    assert caught.value.retry_after == 2
    assert len(server.calls) == 11


@pytest.mark.parametrize("verb", ["get", "list"])
@pytest.mark.parametrize("answer", [CUT, status(500, "InternalError", "etcd"), Response(503, b"<html>")], ids=["cut", "500", "proxy page"])
async def test_reads_are_repeated_after_a_lost_answer_or_a_5xx(server: ScriptedServer, client: Client, verb: str, answer: Answer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    server.fail(answer, times=3)
    await send(client, verb)
    assert len(server.calls) == 4


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize(
    ("answer", "error"), [pytest.param(CUT, Unreachable, id="cut"), pytest.param(status(500, "InternalError"), ServerError, id="500")]
)
async def test_writes_are_never_repeated_blindly(
    server: ScriptedServer, client: Client, verb: str, answer: Answer, error: type[ApiError]
) -> None:
    server.fail(answer)
    with pytest.raises(error):
        await send(client, verb)
    assert len(server.calls) == 1


@pytest.mark.parametrize("verb", WRITES)
async def test_writes_end_within_the_leases_margin_and_name_us(server: ScriptedServer, client: Client, verb: str) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    await send(client, verb)
    call = server.calls[0]
    assert call.timeout == WRITE_TIMEOUT == 4
    assert call.query.get("fieldManager") == (None if verb == "delete" else "flagger")


async def test_patches_carry_their_content_type_and_strictness(server: ScriptedServer, client: Client) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    await client.patch(PODINFO, MergePatch({"status": {"phase": "x"}}), field_validation="Strict")
    server.fail(Response(200, b"{}"))
    await client.patch(PODINFO, JsonPatch(({"op": "remove", "path": "/spec/a"},)), subresource="status")
    merge, json = server.calls
    assert merge.headers["content-type"] == "application/merge-patch+json"
    assert merge.query["fieldValidation"] == "Strict"
    assert json.headers["content-type"] == "application/json-patch+json"
    assert json.path.endswith("/podinfo/status")
    assert orjson.loads(json.body or b"") == [{"op": "remove", "path": "/spec/a"}]


async def test_a_pinned_patch_of_an_outdated_object_conflicts(server: ScriptedServer, client: Client) -> None:
    read = server.put(DEPLOYMENT, manifest("podinfo"))
    server.put(DEPLOYMENT, manifest("podinfo", spec={"replicas": 5}))
    with pytest.raises(Conflict, match="patch Deployment test/podinfo"):
        await client.patch(PODINFO, pinned(MergePatch({"spec": {"replicas": 1}}), read))


async def test_a_missing_object_and_a_missing_kind_are_different_things(client: Client) -> None:
    with pytest.raises(NotFound):
        await client.get(PODINFO)
    with pytest.raises(NotServed):
        await client.get(Ref(CANARY, "test", "podinfo"))
    with pytest.raises(NotServed):
        await client.find(CANARY)


async def test_creating_what_exists_says_so(server: ScriptedServer, client: Client) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    with pytest.raises(AlreadyExists, match="create Deployment test/podinfo"):
        await client.create(DEPLOYMENT, manifest("podinfo"))


async def test_a_delete_for_another_uid_conflicts(server: ScriptedServer, client: Client) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    with pytest.raises(Conflict):
        await client.delete(PODINFO, uid="another")


async def test_a_list_comes_in_pages_and_in_name_order(server: ScriptedServer, client: Client) -> None:
    for number in range(1201):
        server.put(DEPLOYMENT, manifest(f"app-{number:04}"))
    found = await client.find(DEPLOYMENT, "test")
    assert [item["metadata"]["name"] for item in found] == [f"app-{number:04}" for number in range(1201)]
    assert [call.query.get("continue") for call in server.calls] == [None, *(str(start) for start in range(250, 1201, 250))]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2fb", "a?b", "a#b", ""])
async def test_a_name_that_would_leave_its_path_is_refused_before_it_is_sent(server: ScriptedServer, client: Client, name: str) -> None:
    with pytest.raises(Invalid):
        await client.get(Ref(DEPLOYMENT, "test", name))
    assert server.calls == []


async def test_the_fence_is_asked_before_each_attempt_of_a_write_only(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    answers = iter([True, False])
    client = Client(server).fenced(lambda: next(answers))
    await send(client, "get")
    server.fail(BUSY)
    with pytest.raises(Fenced):
        await send(client, "patch")
    assert server.count("PATCH") == 1


async def test_the_rate_limit_lets_a_burst_through_and_then_its_rate(server: ScriptedServer) -> None:
    server.put(DEPLOYMENT, manifest("podinfo"))
    client = Client(server, limiter=TokenBucket(10, 20))
    started = asyncio.get_running_loop().time()
    for _ in range(20):
        await client.get(PODINFO)
    assert asyncio.get_running_loop().time() == started
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(client.get(PODINFO))
    assert asyncio.get_running_loop().time() - started == pytest.approx(3)


class SlowServer:
    """A transport that needs a second for each request, and counts how many wait for it."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0

    async def request(self, request: Request) -> Response:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(1)
        self.waiting -= 1
        return Response(200, b"{}")

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        raise NotImplementedError


async def test_a_slow_server_is_asked_a_few_things_at_once_by_all_that_share_a_client() -> None:
    """What waits here cannot time out on the server, and be asked again on top."""
    server = SlowServer()
    client = Client(server)
    started = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for _ in range(REQUESTS_AT_ONCE):
            group.create_task(client.get(PODINFO))
            group.create_task(client.fenced(lambda: True).delete(PODINFO))
    assert server.most == REQUESTS_AT_ONCE
    assert asyncio.get_running_loop().time() - started == pytest.approx(2)


async def test_an_answer_that_is_no_json_is_an_error_of_the_server(server: ScriptedServer, client: Client) -> None:
    server.fail(Response(200, b"<html>"), times=9)
    with pytest.raises(ServerError, match="not JSON"):
        await client.get(PODINFO)


async def watched(client: Client, count: int) -> list[Manifest]:
    options = WatchOptions(DEPLOYMENT, "", "1", 60)
    async with client.watch(options) as events:
        return [(await anext(events)).object for _ in range(count)]


async def test_events_arrive_whole_however_the_bytes_are_cut(server: ScriptedServer, client: Client) -> None:
    server.cut = 7
    for number in range(5):
        server.put(DEPLOYMENT, manifest(f"app-{number}", spec={"text": "zwölf Boxkämpfer"}))
    names = [found["metadata"]["name"] for found in await watched(client, 5)]
    assert names == [f"app-{number}" for number in range(5)]


async def test_a_line_that_is_no_event_breaks_the_stream(server: ScriptedServer, client: Client) -> None:
    server.stream_faults.append(b"<html>\n")
    with pytest.raises(Unreachable, match="no event"):
        await watched(client, 1)


async def test_a_refused_watch_raises_what_the_server_said(server: ScriptedServer, client: Client) -> None:
    server.fail(status(410, "Expired", "too old resource version"))
    with pytest.raises(ApiError, match="too old") as caught:
        await watched(client, 1)
    assert caught.value.status == 410
