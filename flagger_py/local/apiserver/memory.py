"""A `Transport` that calls the server in memory. Time-outs are those of the event loop, so it works on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

from flagger_py.kube.transport import Request, Response, Stream
from flagger_py.local.apiserver.answers import Answer, Streaming
from flagger_py.local.apiserver.faults import ConnectionLost
from flagger_py.local.apiserver.users import User
from flagger_py.objects.errors import Unreachable


class _Server(Protocol):
    async def handle(self, request: Request, user: User) -> Answer | Streaming: ...


class MemoryTransport:
    """All calls of one user."""

    def __init__(self, server: _Server, user: User) -> None:
        self._server = server
        self._user = user

    async def request(self, request: Request) -> Response:
        """Carry one request. Raises `Unreachable` where no answer comes in time."""
        with _no_answer(request):
            async with asyncio.timeout(request.timeout):
                answer = await self._server.handle(request, self._user)
                body = answer.body if isinstance(answer, Answer) else b"".join([chunk async for chunk in answer.chunks])
        return Response(answer.status, body, answer_headers(answer))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open a stream; the time-out covers the wait for its headers only."""
        with _no_answer(request):
            async with asyncio.timeout(request.timeout):
                answer = await self._server.handle(request, self._user)
        chunks = _whole(answer.body) if isinstance(answer, Answer) else answer.chunks
        try:
            yield Stream(answer.status, answer_headers(answer), _broken_is_unreachable(chunks, request))
        finally:
            await aclose(chunks)


@contextmanager
def _no_answer(request: Request) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise Unreachable(f"{request.method} {request.path}: no answer within {request.timeout} s") from error
    except ConnectionLost as error:
        raise Unreachable(f"{request.method} {request.path}: connection lost") from error


async def _broken_is_unreachable(chunks: AsyncIterator[bytes], request: Request) -> AsyncIterator[bytes]:
    with _no_answer(request):
        async for chunk in chunks:
            yield chunk


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def aclose(chunks: AsyncIterator[bytes]) -> None:
    """End a stream that may not have been read to its end."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


def answer_headers(answer: Answer | Streaming) -> dict[str, str]:
    """Headers by lower-case name; several warnings are joined, as HTTP allows."""
    headers = {"content-type": answer.content_type, **answer.headers}
    if answer.warnings:
        headers["warning"] = ", ".join(warning_values(answer))
    return headers


def warning_values(answer: Answer | Streaming) -> list[str]:
    """One value of a `Warning` header per warning, as kube-apiserver writes them."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in dict.fromkeys(answer.warnings))
    return [f'299 - "{text}"' for text in escaped]
