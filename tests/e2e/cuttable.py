"""A transport that can be cut, as a node's network can."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flagger_py.kube.transport import Request, Response, Stream, Transport
from flagger_py.objects.errors import Unreachable


class CuttableTransport:
    """Passes everything on until it is cut. A stream that is open then breaks at its next chunk."""

    def __init__(self, transport: Transport) -> None:
        self.is_cut = False
        self._transport = transport

    async def request(self, request: Request) -> Response:
        self._check(request)
        return await self._transport.request(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        self._check(request)
        async with self._transport.stream(request) as stream:
            yield Stream(stream.status, stream.headers, self._chunks(request, stream.chunks))

    async def _chunks(self, request: Request, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._check(request)
            yield chunk

    def _check(self, request: Request) -> None:
        if self.is_cut:
            raise Unreachable(f"{request.method} {request.path}: the node is cut off")
