"""The API server over HTTP on loopback, by aiohttp: its parser is written in C, and it is installed with kubernetes-asyncio anyway."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from flagger_py.kube.transport import Request
from flagger_py.local.apiserver.answers import Answer, Streaming, refusal
from flagger_py.local.apiserver.faults import ConnectionLost
from flagger_py.local.apiserver.memory import aclose, warning_values
from flagger_py.local.apiserver.server import ApiServer
from flagger_py.local.apiserver.status import Refused, internal

log = structlog.get_logger()

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a request: the limit of kube-apiserver."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server. `port` is the one that was bound, also where 0 was asked for."""

    url: str
    host: str
    port: int


@asynccontextmanager
async def serve(api: ApiServer, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Serving]:
    """Serve within the context. Leaving it ends all watches at once. Raises `OSError` where the address is taken."""
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_route("*", "/{path:.*}", _Edge(api, host).handle)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        bound: int = runner.addresses[0][1]
        yield Serving(f"{'https' if tls else 'http'}://{host}:{bound}", host, bound)
    finally:
        await runner.cleanup()


class _Edge:
    """Turns aiohttp's requests into ours, and our answers into aiohttp's."""

    def __init__(self, api: ApiServer, host: str) -> None:
        self._api = api
        self._host = host

    async def handle(self, incoming: web.Request) -> web.StreamResponse:
        if _is_from_a_web_page(incoming, self._host):
            return web.Response(status=403, text="web pages may not use this server\n")
        query = dict(incoming.rel_url.query)
        request = Request(incoming.method, incoming.rel_url.raw_path, query, _headers(incoming), await incoming.read())
        try:
            user = self._api.authenticate(incoming.headers.get("Authorization", ""))
        except Refused as refused:
            return _whole(refusal(refused))
        try:
            answer = await self._api.handle(request, user)
            return _whole(answer) if isinstance(answer, Answer) else await _stream(incoming, answer)
        except ConnectionLost:
            return _broken(incoming)
        except Exception:  # the edge of a request's task: a bug of ours must not look like a refusal
            log.exception("request_failed", method=incoming.method, path=incoming.path)
            return _whole(refusal(internal("the embedded API server failed; its log has the traceback")))


def _is_from_a_web_page(incoming: web.Request, bound: str) -> bool:
    """Whether a browser sends this for some page: it names an origin, or was led here by a name that is not this machine's."""
    host = urlsplit(f"//{incoming.host}").hostname or ""
    return "Origin" in incoming.headers or not (host in {"localhost", "::1", bound} or host.startswith("127."))


def _headers(incoming: web.Request) -> dict[str, str]:
    """Headers by name; one that comes several times is joined by commas, as HTTP says."""
    headers: dict[str, str] = {}
    for name, value in incoming.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _whole(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type, **answer.headers})
    _warn(response, answer)
    return response


async def _stream(incoming: web.Request, answer: Streaming) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type, **answer.headers})
    _warn(response, answer)
    response.enable_chunked_encoding()
    await response.prepare(incoming)
    try:
        async for chunk in answer.chunks:
            await response.write(chunk)
    except ConnectionResetError:
        pass  # the watcher went away, which is how watches end
    finally:
        await aclose(answer.chunks)
    return response


def _broken(incoming: web.Request) -> web.Response:
    """Break the connection; the response is never sent."""
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()


def _warn(response: web.StreamResponse, answer: Answer | Streaming) -> None:
    for value in warning_values(answer):
        response.headers.add("Warning", value)
