"""The watch's loop against a server that misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from flagger_py.kube.client import Client
from flagger_py.kube.store import Projection, Store
from flagger_py.kube.transport import Request, Stream
from flagger_py.kube.watch import IDLE_MARGIN, Listeners, Watcher, WatchTarget
from flagger_py.kube.watch_state import Change, ListBegun, ListComplete, Removed, Upserted
from flagger_py.objects.errors import ApiError, Forbidden, Unreachable
from flagger_py.objects.resource import DEPLOYMENT
from tests.unit.kube.scripted import CUT, NOT_SERVED, ScriptedServer, manifest, status

pytestmark = pytest.mark.looptime


@dataclass
class Seen:
    """A store that is fed by the watch, and what else was reported."""

    store: Store = field(default_factory=lambda: Store(DEPLOYMENT, Projection()))
    errors: list[ApiError | None] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    lists: int = 0

    def take(self, change: Change) -> None:
        match change:
            case ListBegun():
                self.store.begin_list()
            case Upserted(found):
                self.store.upsert(found)
            case Removed(found):
                self.store.remove(found)
            case ListComplete():
                self.store.complete_list()
                self.lists += 1

    @property
    def names(self) -> list[str]:
        return sorted(name for _, name in self.store)


@asynccontextmanager
async def watching(server: ScriptedServer) -> AsyncIterator[Seen]:
    seen = Seen()
    listeners = Listeners(seen.take, seen.errors.append, lambda: seen.closed.append(asyncio.get_running_loop().time()))
    client = Client(server, jitter=lambda: 0.5)
    watcher = Watcher(client, WatchTarget(DEPLOYMENT), listeners, list_gate=asyncio.Semaphore(1), jitter=lambda: 0.5)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watcher.run())
        await asyncio.sleep(0.01)
        yield seen
        task.cancel()


async def until(claim: Callable[[], bool], limit: float = 600) -> None:
    async with asyncio.timeout(limit):
        while not claim():  # noqa: ASYNC110 - the time is virtual
            await asyncio.sleep(0.1)


@pytest.fixture
def server() -> ScriptedServer:
    server = ScriptedServer(DEPLOYMENT)
    server.put(DEPLOYMENT, manifest("a"))
    return server


async def test_a_cut_stream_resumes_without_a_new_list_and_without_a_loss(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        server.stream_faults.append(CUT)
        server.put(DEPLOYMENT, manifest("b"))
        await asyncio.sleep(0.01)
        server.put(DEPLOYMENT, manifest("c"))
        await until(lambda: seen.names == ["a", "b", "c"])
    assert seen.lists == 1


async def test_half_a_line_at_the_end_of_a_stream_is_sent_again_whole(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        server.stream_faults += [b'{"type": "ADDED", "object": {"metadata": {"na', CUT]
        server.put(DEPLOYMENT, manifest("b"))
        await until(lambda: seen.names == ["a", "b"])
    assert seen.lists == 1


async def test_an_error_event_lists_again_and_finds_what_was_deleted(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        server.put(DEPLOYMENT, manifest("b"))
        await until(lambda: seen.names == ["a", "b"])
        server.fail(CUT, times=3, watch=True)
        server.close_watches(DEPLOYMENT)
        await asyncio.sleep(0.01)
        server.remove(DEPLOYMENT, "test", "a")
        server.compact(DEPLOYMENT)
        await until(lambda: seen.names == ["b"])
    assert seen.lists == 2


async def test_bookmarks_spare_the_list_after_a_compaction(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        server.version += 50
        server.stream_faults.append(b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "%d"}}}\n' % server.version)
        server.compact(DEPLOYMENT)
        server.put(DEPLOYMENT, manifest("b"))
        await until(lambda: seen.names == ["a", "b"])
        server.close_watches(DEPLOYMENT)
        await asyncio.sleep(5)
    assert seen.lists == 1


async def test_a_list_that_expires_between_two_pages_begins_again(server: ScriptedServer) -> None:
    for number in range(700):
        server.put(DEPLOYMENT, manifest(f"app-{number}"))
    expired = status(410, "Expired", "the continue parameter is too old")
    server.faults.append(lambda request: expired if "continue" in request.query else None)
    async with watching(server) as seen:
        await until(lambda: len(seen.names) == 701)
    assert seen.lists == 1


async def test_a_stream_that_the_server_forgets_to_end_is_given_up(server: ScriptedServer) -> None:
    class Silent(ScriptedServer):
        @asynccontextmanager
        async def stream(self, request: Request) -> AsyncIterator[Stream]:
            self.calls.append(request)
            yield Stream(200, {}, never())

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    silent = Silent(DEPLOYMENT)
    async with watching(silent) as seen:
        await asyncio.sleep(290 + IDLE_MARGIN + 5)
        assert silent.count("GET", watch=True) == 2
    assert [type(error) for error in seen.errors] == [type(None), Unreachable, type(None)]


async def test_a_stream_that_is_closed_before_its_time_is_reported(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        await asyncio.sleep(1000)
        assert seen.closed == []
        server.close_watches(DEPLOYMENT)
        await asyncio.sleep(5)
        assert len(seen.closed) == 1


async def test_a_server_that_closes_at_once_again_and_again_is_asked_less_and_less(server: ScriptedServer) -> None:
    async with watching(server):
        for _ in range(1200):
            server.close_watches(DEPLOYMENT)
            await asyncio.sleep(0.5)
    assert server.count("GET", watch=True) < 70


async def test_an_outage_is_waited_out_with_growing_pauses_and_noticed_when_it_is_over(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        server.fail(Unreachable("connection refused"), times=10_000)
        server.close_watches(DEPLOYMENT)
        before = len(server.calls)
        await asyncio.sleep(120)
        assert len(server.calls) - before < 20
        server.faults.clear()
        server.put(DEPLOYMENT, manifest("b"))
        started = asyncio.get_running_loop().time()
        await until(lambda: seen.names == ["a", "b"])
        assert asyncio.get_running_loop().time() - started <= 15
    assert seen.lists == 1
    assert seen.errors[-1] is None


async def test_a_kind_that_is_not_served_is_asked_for_once_a_minute_in_the_end(server: ScriptedServer) -> None:
    server.fail(NOT_SERVED, times=10_000)
    async with watching(server):
        await asyncio.sleep(3600)
    assert 60 <= len(server.calls) <= 90


async def test_a_refused_watch_is_reported_and_comes_back_by_a_new_list(server: ScriptedServer) -> None:
    async with watching(server) as seen:
        server.fail(status(403, "Forbidden", "no"), times=3)
        server.close_watches(DEPLOYMENT)
        await until(lambda: isinstance(seen.errors[-1], Forbidden))
        server.remove(DEPLOYMENT, "test", "a")
        await until(lambda: seen.errors[-1] is None)
        assert seen.names == []
