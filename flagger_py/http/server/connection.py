"""One HTTP/1.1 connection: requests come in, answers go out, each within its time (operations:§3).

h11 parses and frames, because httpx has it loaded anyway: 0.4 MiB, where aiohttp.web takes 2 and starlette with uvicorn 2.4, and neither
of those bounds how long a request may take to arrive.
"""

import asyncio
from dataclasses import dataclass

import h11
import structlog

from flagger_py.http.server.messages import TEXT, Handler, Request, Response

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, as Flagger has them, and sizes in bytes."""

    read: float = 5
    """For one whole request, body included."""
    write: float = 60
    """For one answer, from the last byte of the request on."""
    idle: float = 15
    """Until the next request on the same connection."""
    grace: float = 3
    """For the answers under way when the server stops."""
    connections: int = 128
    """Open at once; further ones are closed unread."""
    header_size: int = 16 * 1024
    body_size: int = 4 * 1024


class TooLarge(Exception):
    """The request's body is longer than allowed."""


class Connection:
    """Serves one client until it closes, misbehaves, runs out of time, or the server stops."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_size)
        self._closing = False
        self.is_busy = False
        """Whether a request has come in whole and its answer has not gone out whole."""

    def close_after_answer(self) -> None:
        """Take no further request."""
        self._closing = True

    async def serve(self, handler: Handler) -> None:
        """Answer requests until the connection ends. Never raises but for cancellation."""
        try:
            await self._serve(handler)
        except (TimeoutError, ConnectionError):
            log.debug("http_connection_dropped", peer=self._peer())
        except Exception:  # the task's edge: one client must not stop the server
            log.exception("http_connection_failed", peer=self._peer())
        finally:
            self._writer.close()

    async def _serve(self, handler: Handler) -> None:
        patience = self._limits.read
        while not self._closing:
            try:
                async with asyncio.timeout(patience):
                    if not await self._has_begun():
                        return
                async with asyncio.timeout(self._limits.read):
                    request = await self._request()
            except (h11.RemoteProtocolError, TooLarge) as error:
                await self._refuse(error)
                return
            if request is None:
                return
            self.is_busy = True
            async with asyncio.timeout(self._limits.write):
                await self._send(await _answered(handler, request), request.method)
            self.is_busy = False
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()
            patience = self._limits.idle

    async def _has_begun(self) -> bool:
        """Wait for the first bytes of a request; false where the client has closed instead."""
        if self._http.trailing_data[0]:
            return True
        data = await self._reader.read(64 * 1024)
        self._http.receive_data(data)
        return bool(data)

    async def _request(self) -> Request | None:
        """The whole request; `None` where the client has closed before one."""
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        body = b""
        while isinstance(part := await self._event(), h11.Data):
            body += part.data
            if len(body) > self._limits.body_size:
                raise TooLarge(f"the body may have {self._limits.body_size} bytes")
        path, _, query = head.target.decode().partition("?")
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return Request(head.method.decode(), path, query, headers, body, self._peer())

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            self._http.receive_data(await self._reader.read(64 * 1024))
        return event  # type: ignore[return-value]  # the loop has ruled NEED_DATA out

    async def _send(self, response: Response, method: str) -> None:
        headers = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            ("x-content-type-options", "nosniff"),
            *response.headers,
        ]
        if self._closing:
            headers.append(("connection", "close"))
        head = self._http.send(h11.Response(status_code=response.status, headers=headers))
        body = self._http.send(h11.Data(data=response.body)) if method != "HEAD" else b""
        await self._write((head or b"") + (body or b"") + (self._http.send(h11.EndOfMessage()) or b""))

    async def _refuse(self, error: Exception) -> None:
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 413
        self._closing = True
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            async with asyncio.timeout(self._limits.write):
                await self._send(Response(status, f"{error}\n".encode(), TEXT), "GET")

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        await self._writer.drain()

    def _peer(self) -> str:
        peer = self._writer.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""


async def _answered(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except Exception:  # the request's edge: the client gets an answer and the log the traceback
        log.exception("http_request_failed", method=request.method, path=request.path)
        return Response.text("internal error; the log has the cause\n", 500)
