"""The HTTP server: framing, time-outs, limits, and how it stops (operations:§3, metrics:SRV-01)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from flagger_py.http.server.connection import Limits
from flagger_py.http.server.messages import Request, Response
from flagger_py.http.server.serving import CannotListen, serve

SHORT = Limits(read=0.05, write=0.05, idle=0.05, grace=0.05, connections=2, header_size=1024, body_size=8)
PATIENT = 5.0
"""How long a test waits, in seconds, for what must happen."""

Open = Callable[[], AbstractAsyncContextManager["Client"]]


class Client:
    """A plain socket, so that half requests can be sent too."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, text: str) -> None:
        self.writer.write(text.replace("\n", "\r\n").encode())
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], str]:
        async with asyncio.timeout(PATIENT):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return int(status.split()[1]), headers, body.decode()

    async def rest(self) -> str:
        """Everything until the server closes."""
        async with asyncio.timeout(PATIENT):
            return (await self.reader.read()).decode()


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def echo(request: Request) -> Response:
    if request.path == "/fail":
        raise ZeroDivisionError
    if request.path == "/slow":
        await asyncio.Event().wait()
    return Response.text(f"{request.method} {request.path} {request.query} {request.body.decode()} {request.peer}")


@pytest.fixture
async def connect() -> AsyncIterator[Open]:
    async with serve(echo, 0, host="127.0.0.1", limits=Limits(body_size=8)) as port:
        yield lambda: client_of(port)


@pytest.fixture
async def connect_hurried() -> AsyncIterator[Open]:
    async with serve(echo, 0, host="127.0.0.1", limits=SHORT) as port:
        yield lambda: client_of(port)


async def test_a_request_is_handed_on_whole(connect: Open) -> None:
    async with connect() as client:
        await client.send("PUT /a/b?c=d HTTP/1.1\nHost: x\nContent-Length: 3\n\nxyz")
        status, headers, body = await client.answer()
    assert (status, body) == (200, "PUT /a/b c=d xyz 127.0.0.1")
    assert headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_connection_carries_several_requests_even_when_sent_at_once(connect: Open) -> None:
    async with connect() as client:
        await client.send("GET /1 HTTP/1.1\nHost: x\n\nGET /2 HTTP/1.1\nHost: x\n\n")
        assert (await client.answer())[2].startswith("GET /1")
        assert (await client.answer())[2].startswith("GET /2")
        await client.send("GET /3 HTTP/1.1\nHost: x\n\n")
        assert (await client.answer())[2].startswith("GET /3")


async def test_head_gets_the_headers_only_as_a_wget_spider_asks(connect: Open) -> None:
    """operations:OPS-29: the probe of Flagger's chart."""
    async with connect() as client:
        await client.send("HEAD / HTTP/1.1\nHost: x\nConnection: close\n\n")
        answer = await client.rest()
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("\r\n\r\n")


async def test_a_client_that_asks_for_it_is_closed_after_the_answer(connect: Open) -> None:
    async with connect() as client:
        await client.send("GET / HTTP/1.0\n\n")
        assert "GET /" in await client.rest()


async def test_a_waiting_client_is_told_to_continue(connect: Open) -> None:
    async with connect() as client:
        await client.send("PUT / HTTP/1.1\nHost: x\nContent-Length: 3\nExpect: 100-continue\n\n")
        assert (await client.answer())[0] == 100
        await client.send("xyz")
        assert (await client.answer())[0] == 200


async def test_what_is_no_http_gets_400(connect: Open) -> None:
    async with connect() as client:
        await client.send("hello\n\n")
        assert (await client.rest()).startswith("HTTP/1.1 400")


async def test_a_long_body_gets_413(connect: Open) -> None:
    async with connect() as client:
        await client.send("PUT / HTTP/1.1\nHost: x\nContent-Length: 9\n\n123456789")
        assert (await client.rest()).startswith("HTTP/1.1 413")


async def test_long_headers_get_431(connect_hurried: Open) -> None:
    async with connect_hurried() as client:
        await client.send(f"GET / HTTP/1.1\nHost: {'x' * 2000}")
        assert (await client.rest()).startswith("HTTP/1.1 431")


async def test_a_handler_that_raises_gives_500_and_the_connection_lives(connect: Open) -> None:
    async with connect() as client:
        await client.send("GET /fail HTTP/1.1\nHost: x\n\n")
        assert (await client.answer())[0] == 500
        await client.send("GET / HTTP/1.1\nHost: x\n\n")
        assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    "half",
    [
        pytest.param("", id="nothing"),
        pytest.param("GET / HTTP/1.1\nHost", id="half a head"),
        pytest.param("PUT / HTTP/1.1\nHost: x\nContent-Length: 3\n\nx", id="half a body"),
        pytest.param("GET /slow HTTP/1.1\nHost: x\n\n", id="an answer that takes too long"),
    ],
)
async def test_whoever_takes_too_long_is_closed_without_an_answer(connect_hurried: Open, half: str) -> None:
    """operations:§3: read 5 s, write 60 s."""
    async with connect_hurried() as client:
        await client.send(half)
        assert await client.rest() == ""


async def test_an_idle_connection_is_closed(connect_hurried: Open) -> None:
    """operations:§3: idle 15 s."""
    async with connect_hurried() as client:
        await client.send("GET / HTTP/1.1\nHost: x\n\n")
        assert (await client.answer())[0] == 200
        assert await client.rest() == ""


def test_the_times_are_flaggers() -> None:
    """metrics:SRV-01"""
    limits = Limits()
    assert (limits.read, limits.write, limits.idle, limits.grace) == (5, 60, 15, 3)


async def test_connections_beyond_the_limit_are_closed_unread() -> None:
    limits = Limits(connections=1)
    async with serve(echo, 0, host="127.0.0.1", limits=limits) as port, client_of(port) as first:
        await first.send("GET / HTTP/1.1\nHost: x\n\n")
        await first.answer()
        async with client_of(port) as second:
            assert await second.rest() == ""
        await first.send("GET / HTTP/1.1\nHost: x\n\n")
        assert (await first.answer())[0] == 200


async def test_stopping_closes_idle_connections_and_lets_answers_finish() -> None:
    """operations:OPS-04"""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Response:
        asked.set()
        await may_answer.wait()
        return Response.text("done")

    async with asyncio.TaskGroup() as group:
        started: asyncio.Queue[int] = asyncio.Queue()
        stop = asyncio.Event()

        async def run() -> None:
            async with serve(slow, 0, host="127.0.0.1") as port:
                started.put_nowait(port)
                await stop.wait()

        server = group.create_task(run(), name="server")
        port = await started.get()
        async with client_of(port) as idle, client_of(port) as busy:
            await busy.send("GET / HTTP/1.1\nHost: x\n\n")
            await asked.wait()
            stop.set()
            assert await idle.rest() == ""
            may_answer.set()
            status, headers, body = await busy.answer()
            assert (status, headers["connection"], body) == (200, "close", "done")
            assert await busy.rest() == ""
        await server


async def test_an_answer_that_does_not_end_within_the_grace_is_cut() -> None:
    asked = asyncio.Event()

    async def never(request: Request) -> Response:
        asked.set()
        return await asyncio.Future[Response]()

    async with AsyncExitStack() as clients:
        async with asyncio.timeout(PATIENT), serve(never, 0, host="127.0.0.1", limits=Limits(grace=0.05)) as port:
            client = await clients.enter_async_context(client_of(port))
            await client.send("GET / HTTP/1.1\nHost: x\n\n")
            await asked.wait()
        assert await client.rest() == ""


async def test_a_port_that_is_taken_is_named() -> None:
    """engine:ENG-05"""
    async with serve(echo, 0, host="127.0.0.1") as port:
        with pytest.raises(CannotListen, match=f"cannot listen on port {port}: "):
            async with serve(echo, port, host="127.0.0.1"):
                pass


async def test_an_error_of_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serve(echo, 0, host="127.0.0.1"):
            raise ZeroDivisionError
