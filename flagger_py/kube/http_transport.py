"""`Transport` over HTTP: aiohttp, with credentials that are renewed when they expire or are refused."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

import aiohttp
import structlog
from yarl import URL

from flagger_py.kube.credentials import Access, ConfigError, Credentials
from flagger_py.kube.transport import Request, Response, Stream
from flagger_py.objects.errors import Unreachable

log = structlog.get_logger()

CONNECT_TIMEOUT: Final = 3.0
"""Seconds, so that a write to a dead address still has time for an answer from another."""
CLOSING_LIMIT: Final = 0.25
"""Seconds that a close waits for sockets of unfinished TLS handshakes."""
BUFFER_BYTES: Final = 2**20
KEEPALIVE: Final = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""A peer that vanished is noticed within 40 s, even on a watch on which nothing happens."""


@dataclass(slots=True)
class _Connection:
    """The credentials in use, and the connections that were made with their TLS files."""

    access: Access
    session: aiohttp.ClientSession
    fresh_until: float


class HttpTransport:
    """Carries requests to one API server. Use `session.open_transport` to get one."""

    def __init__(self, credentials: Credentials, *, user_agent: str) -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._connection: _Connection | None = None
        self._retired: aiohttp.ClientSession | None = None
        self._loading = asyncio.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()

    @property
    def host(self) -> str:
        """The server's URL; empty before `open`."""
        return self._connection.access.host if self._connection else ""

    async def open(self) -> None:
        """Load the credentials. Raises `ConfigError`."""
        await self._load()

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._connection and self._connection.session, self._retired):
            if session:
                await session.close()
        self._connection = self._retired = None
        await self._until_closed()

    async def _until_closed(self) -> None:
        """A connection that was given up in the middle of its TLS handshake is closed by the loop some turns later, not by its session."""
        end = asyncio.get_running_loop().time() + CLOSING_LIMIT
        while any(created.fileno() >= 0 for created in self._sockets) and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.005)

    async def request(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(request.timeout):
                async with await self._send(request) as response:
                    return Response(response.status, await response.read(), _headers_of(response))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._unreachable(request, error) from error

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[Stream]:
        try:
            async with asyncio.timeout(request.timeout):
                response = await self._send(request)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(request, error) from error
        try:
            yield Stream(response.status, _headers_of(response), self._chunks(request, response))
        finally:
            response.close()

    async def _chunks(self, request: Request, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(request, error) from error

    async def _send(self, request: Request) -> aiohttp.ClientResponse:
        """The answer's head; after a 401 once more with credentials that were read again."""
        connection = await self._current()
        response = await connection.session.request(**self._arguments(request, connection.access))
        if response.status != 401:
            return response
        renewed = await self._renewed(connection.access)
        if renewed is None:
            return response
        response.close()
        return await renewed.session.request(**self._arguments(request, renewed.access))

    def _arguments(self, request: Request, access: Access) -> dict[str, Any]:
        return {
            "method": request.method,
            "url": URL(access.host + request.path).with_query(dict(request.query)),
            "headers": {**request.headers, **access.headers, "User-Agent": self._user_agent},
            "data": request.body,
            "proxy": access.proxy,
            "server_hostname": access.server_name,
            "allow_redirects": False,  # a redirect could carry our token elsewhere
        }

    async def _current(self) -> _Connection:
        """The connection, with its credentials read again when their time is over."""
        connection = self._connection
        if connection is None:
            raise Unreachable("the connection to the API server is not open")
        if asyncio.get_running_loop().time() < connection.fresh_until:
            return connection
        return await self._renewed(connection.access) or connection

    async def _renewed(self, stale: Access) -> _Connection | None:
        """The connection after `stale`: reads the credentials, unless another request just did. `None` where they cannot be read."""
        async with self._loading:
            if self._connection and self._connection.access is not stale:
                return self._connection
            try:
                return await self._load()
            except ConfigError as error:
                log.warning("credentials_not_read", error=str(error))
                return None

    async def _load(self) -> _Connection:
        access = await self._credentials.load()
        now = asyncio.get_running_loop().time()
        session = await self._session_for(access)
        self._connection = _Connection(access, session, now + (float("inf") if access.expires_in is None else access.expires_in))
        return self._connection

    async def _session_for(self, access: Access) -> aiohttp.ClientSession:
        """The connections that fit: new ones only for new TLS files, so that a new token costs no handshake."""
        if self._connection and self._connection.access.tls_key == access.tls_key:
            return self._connection.session
        if self._retired:
            await self._retired.close()
        self._retired = self._connection.session if self._connection else None  # watches may still run on it
        return self._new_session(access)

    def _new_session(self, access: Access) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=access.tls or True, socket_factory=self._socket)
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=True,
            read_bufsize=BUFFER_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            trust_env=False,  # proxies are chosen in `credentials`; the rest of it (netrc) would be read at each request
        )

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        created = socket.socket(family, kind, protocol)
        created.setblocking(False)
        created.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            if hasattr(socket, option):  # macOS lacks the first one
                created.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._sockets.add(created)
        return created

    def _unreachable(self, request: Request, error: Exception) -> Unreachable:
        reason = f"no answer within {request.timeout:g} s" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Unreachable(f"{request.method} {request.path} at {self.host}: {reason}")


def _headers_of(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """A header that comes more than once (`Warning` does) is one whose values are joined, as HTTP has it."""
    return {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
