"""A line to the API server that can be cut, and a controller at its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.kube.transport import Request, Response, Stream, Transport
from flagger_py.objects.errors import Unreachable
from tests.memory.cluster import CONTROLLER, MemoryCluster


class Line:
    """A `Transport`: while it is cut nothing gets through, and what was open breaks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._is_cut = False
        self._open: set[asyncio.Timeout] = set()

    def cut(self) -> None:
        self._is_cut = True
        for waiting in self._open:
            waiting.reschedule(asyncio.get_running_loop().time())

    def mend(self) -> None:
        self._is_cut = False

    async def request(self, request: Request) -> Response:
        if self._is_cut:
            raise Unreachable(f"{request.method} {request.path}: connection refused")
        return await self._transport.request(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        if self._is_cut:
            raise Unreachable(f"{request.method} {request.path}: connection refused")
        async with self._transport.stream(request) as stream:
            yield Stream(stream.status, stream.headers, self._until_cut(stream.chunks))

    async def _until_cut(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(None) as waiting:
                    self._open.add(waiting)
                    try:
                        chunk = await anext(chunks)
                    finally:
                        self._open.discard(waiting)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise Unreachable("the watch broke") from error
            yield chunk


@asynccontextmanager
async def controller_on(line: Line, cluster: MemoryCluster, **flags: Any) -> AsyncIterator[Controller]:
    """A controller at the end of the line; leaving stops it."""
    settings = ControllerFlags(**{"enable_leader_election": False, "log_level": "error", **flags})
    controller = Controller(settings, line, cluster.web, LoopClock(cluster.start), "replica-1")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(controller.run(), name="controller")
        try:
            yield controller
        finally:
            controller.stop()
            await asyncio.wait({task}, timeout=30)
            task.cancel()


def line_to(cluster: MemoryCluster) -> Line:
    """With the rights of the controller's own account."""
    return Line(cluster.server.transport(CONTROLLER))
