"""The HTTP server: started before anything else, so that `/healthz` answers while caches fill (operations:OPS-03), and stopped last."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from flagger_py.http.server.connection import Connection, Limits
from flagger_py.http.server.messages import Handler

__all__ = ["CannotListen", "Limits", "serve"]

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class CannotListen(Exception):
    """The port cannot be opened: it is taken, or not allowed. Fatal at start (engine:ENG-05)."""


@asynccontextmanager
async def serve(handler: Handler, port: int, *, host: str | None = None, limits: Limits | None = None) -> AsyncIterator[int]:
    """Serve while the body runs; gives the port, which matters where 0 asked for a free one. Raises `CannotListen`.

    `host=None` listens on all interfaces. Leaving the body takes no new connection, closes the idle ones, lets answers under way
    finish for `limits.grace` seconds, and cancels what is left.
    """
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        clients = _Clients(group, handler, limits or Limits())
        try:
            async with _listening(clients.accept, host, port) as real_port:
                yield real_port
        except (Exception, asyncio.CancelledError) as error:
            failure = error  # raised after the group has ended, which would wrap it in an ExceptionGroup
        finally:
            await clients.stop()
    if failure:
        raise failure


@asynccontextmanager
async def _listening(accept: Accept, host: str | None, port: int) -> AsyncIterator[int]:
    try:
        server = await asyncio.start_server(accept, host, port)
    except OSError as error:
        raise CannotListen(f"cannot listen on port {port}: {error.strerror or error}") from error
    try:
        yield _port(server)
    finally:
        server.close()


def _port(server: asyncio.Server) -> int:
    """Where 0 asked for a free port, IPv4 and IPv6 have got one each: that of IPv4, which every machine has."""
    first = next((bound for bound in server.sockets if bound.family is socket.AF_INET), server.sockets[0])
    return int(first.getsockname()[1])


class _Clients:
    """The open connections, each in a task of its own."""

    def __init__(self, group: asyncio.TaskGroup, handler: Handler, limits: Limits) -> None:
        self._group = group
        self._handler = handler
        self._limits = limits
        self._open: dict[asyncio.Task[None], Connection] = {}

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Start to serve a client, unless there are too many."""
        if len(self._open) >= self._limits.connections:
            writer.close()
            return
        connection = Connection(reader, writer, self._limits)
        task = self._group.create_task(connection.serve(self._handler), name="http-connection")
        self._open[task] = connection
        task.add_done_callback(self._open.pop)

    async def stop(self) -> None:
        """Close the idle connections now and the others after their answer, within the grace."""
        for task, connection in list(self._open.items()):
            connection.close_after_answer()
            if not connection.is_busy:
                task.cancel()
        if self._open:
            await asyncio.wait(list(self._open), timeout=self._limits.grace)
        for task in list(self._open):
            task.cancel()
