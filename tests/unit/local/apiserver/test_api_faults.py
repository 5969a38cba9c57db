"""Faults that are injected strike in memory and over HTTP alike, and the request log shows what happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from flagger_py.kube.session import open_transport
from flagger_py.kube.transport import Request, Transport
from flagger_py.local.apiserver import ApiServer, CutWatch, DropConnection, LoseReply, Match, NoAnswer, Refuse, Slow, serve
from flagger_py.objects.errors import Unreachable
from tests.unit.local.apiserver.apicalls import CONFIG_MAPS, call, create, events


@pytest.fixture(params=["memory", "http"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[ApiServer, Transport]]:
    """A server, and a transport to it."""
    api = ApiServer()
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield api, api.transport()
            return
        serving = await stack.enter_async_context(serve(api))
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(api.kubeconfig(serving.url)))
        yield api, await stack.enter_async_context(open_transport(str(kubeconfig)))


async def test_a_refusal_comes_once_and_changes_nothing(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    fault = api.faults.add(Match("create", "configmaps"), Refuse(429, retry_after=3))
    response = await transport.request(Request("POST", CONFIG_MAPS, headers={"content-type": "application/json"}, body=b"{}"))
    assert (response.status, response.headers["retry-after"]) == (429, "3")
    await create(transport, "a")
    assert (fault.struck, fault.seen) == (1, 1)


async def test_a_fault_can_wait_for_the_nth_call(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.faults.add(Match("get", "configmaps", name="a"), Refuse(500), skip=1, times=2)
    await create(transport, "a")
    codes = [(await call(transport, "GET", f"{CONFIG_MAPS}/a"))[0] for _ in range(4)]
    assert codes == [200, 500, 500, 200]


async def test_a_lost_reply_was_a_write_all_the_same(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.faults.add(Match("create", "configmaps"), LoseReply())
    with pytest.raises(Unreachable):
        await create(transport, "a")
    assert (await call(transport, "GET", f"{CONFIG_MAPS}/a"))[0] == 200


async def test_a_dropped_connection_was_no_write(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.faults.add(Match("create"), DropConnection())
    with pytest.raises(Unreachable):
        await create(transport, "a")
    assert (await call(transport, "GET", f"{CONFIG_MAPS}/a"))[0] == 404


async def test_no_answer_is_a_time_out_of_the_caller(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.faults.add(Match("list"), NoAnswer())
    with pytest.raises(Unreachable):
        await call(transport, "GET", CONFIG_MAPS, within=0.05)


async def test_a_watch_is_cut_after_so_many_events(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.faults.add(Match("watch", "configmaps"), CutWatch(after_events=1))
    for name in ("a", "b"):
        await create(transport, name)
    async with transport.stream(Request("GET", CONFIG_MAPS, {"watch": "1"})) as stream:
        seen = [event["object"]["metadata"]["name"] async for event in events(stream.chunks)]
    assert seen == ["a"]


async def test_a_watch_breaks_in_the_middle_of_a_line(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.faults.add(Match("watch"), CutWatch(after_events=1, in_the_middle=True))
    for name in ("a", "b"):
        await create(transport, name)
    received = b""
    async with transport.stream(Request("GET", CONFIG_MAPS, {"watch": "1"})) as stream:
        try:
            async for chunk in stream.chunks:
                received += chunk
        except Unreachable:
            received += b"..."
    assert received.endswith(b"...")
    assert received.count(b"\n") == 1
    assert not received.endswith(b"\n...")


@pytest.mark.looptime
async def test_a_slow_answer_is_slow_in_virtual_time() -> None:
    api = ApiServer()
    api.faults.add(Match("list"), Slow(3))
    start = asyncio.get_running_loop().time()
    assert (await call(api.transport(), "GET", CONFIG_MAPS))[0] == 200
    assert asyncio.get_running_loop().time() - start == pytest.approx(3)


async def test_the_log_counts_requests_by_user_agent(served: tuple[ApiServer, Transport]) -> None:
    api, transport = served
    api.log.clear()
    await create(transport, "a")
    await call(transport, "GET", f"{CONFIG_MAPS}/a")
    await call(transport, "GET", f"{CONFIG_MAPS}/b")
    api.faults.add(Match("create"), DropConnection())
    with pytest.raises(Unreachable):
        await create(transport, "b")
    agent = next(iter(api.log)).user_agent.partition("/")[0]
    assert api.log.counts(agent) == {("create", "configmaps"): 2, ("get", "configmaps"): 2}
    assert [one.code for one in api.log] == [201, 200, 404, 0]
    assert [one.name for one in api.log.matching(verb="get", code=404)] == ["b"]
    assert not api.log.counts("somebody else")


async def test_recorders_see_each_call_with_its_answer() -> None:
    api = ApiServer()
    seen: list[tuple[str, int]] = []
    api.log.recorders.append(lambda call, answer: seen.append((call.path, answer.status if answer else 0)))
    await create(api.transport(), "a")
    assert seen == [(CONFIG_MAPS, 201)]
