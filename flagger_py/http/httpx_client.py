"""`HttpClient` over httpx: pooled connections, one total time-out, redirects as Go follows them, checked addresses, our errors.

What httpx does not do as we need it is here: it keeps cookies, its time-outs are per phase, and its log lines carry whole URLs.
"""

import asyncio
import base64
import logging
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from urllib.parse import unquote

import httpcore
import httpx

from flagger_py import __version__
from flagger_py.http.addresses import AddressRules
from flagger_py.http.client import DIRECT, BadUrl, HttpError, HttpRequest, HttpResponse, Unreachable, Untrusted
from flagger_py.http.httpx_transport import CheckedTransport, ProxyChoice
from flagger_py.http.proxies import EnvironmentProxies

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_REDIRECTS = 10
"""As Go's client (metrics:PRV-03, WH-02)."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SCHEMES = ("http", "https")

MEANING: Mapping[type[Exception], tuple[type[HttpError], str]] = {
    httpx.TooManyRedirects: (BadUrl, f"redirects more than {MAX_REDIRECTS} times"),
    httpx.UnsupportedProtocol: (BadUrl, "leads to a URL that is not http or https"),
    httpx.InvalidURL: (BadUrl, "leads to a URL that cannot be read"),
    httpx.LocalProtocolError: (BadUrl, "the request cannot be sent as it is"),
    httpx.TimeoutException: (Unreachable, "no answer in time"),
    httpx.NetworkError: (Unreachable, "no connection"),
    httpx.ProxyError: (Unreachable, "the proxy refuses"),
    httpx.RemoteProtocolError: (Unreachable, "the answer is no HTTP"),
    httpx.DecodingError: (Unreachable, "the answer's body cannot be decoded"),
    httpx.HTTPStatusError: (Unreachable, "the answer is an error"),
    httpx.HTTPError: (Unreachable, "the request failed"),
    httpx.StreamError: (Unreachable, "the answer's body broke off"),
    httpx.CookieConflict: (Unreachable, "the answer's cookies contradict each other"),
    httpcore.UnsupportedProtocol: (BadUrl, "leads to a URL that is not http or https"),
    httpcore.LocalProtocolError: (BadUrl, "the request cannot be sent as it is"),
    httpcore.TimeoutException: (Unreachable, "no answer in time"),
    httpcore.NetworkError: (Unreachable, "no connection"),
    httpcore.ProxyError: (Unreachable, "the proxy refuses"),
    httpcore.ProtocolError: (Unreachable, "the answer is no HTTP"),
    httpcore.ConnectionNotAvailable: (Unreachable, "the connection was closed"),
}
"""Every exception of httpx and httpcore, by its closest base class; the texts are ours because theirs may quote a URL or header."""


def meaning_of(error: Exception) -> tuple[type[HttpError], str]:
    """Our error class and text for an exception of httpx or httpcore."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return Untrusted, "the TLS certificate is not accepted"
    return next(MEANING[base] for base in type(error).__mro__ if base in MEANING)


class HttpxClient:
    """Sends requests over pooled connections, one pool for each way to verify and to proxy. Close it when done.

    `rules` limit where a request may lead; the proxies are read once from `environ`.
    """

    def __init__(self, rules: AddressRules | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._rules = rules or AddressRules.parse()
        self._environment = EnvironmentProxies.read(environ)
        self._clients: dict[tuple[bool, str], httpx.AsyncClient] = {}
        # Built here, at start: loading the trusted certificates blocks for some 20 ms.
        self._contexts = {verify: httpx.create_ssl_context(verify=verify) for verify in (True, False)}
        for logger in ("httpx", "httpcore"):  # their lines hold URLs and headers, and so tokens
            logging.getLogger(logger).setLevel(logging.WARNING)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The whole answer of whatever status code. Raises `HttpError`; cancelling it closes the connection."""
        url = _parse(request.url)
        host = url.netloc.decode("ascii")
        headers = _headers(request, url, host)
        client = self._client(request, host)
        prepared = client.build_request(request.method, url.copy_with(userinfo=b""), headers=headers, content=request.body)
        async with _our_errors(host, request.timeout):
            response = await client.send(prepared, stream=True, follow_redirects=True)
            try:
                body = await _body(response)
            finally:
                await response.aclose()
        return HttpResponse(response.status_code, response.reason_phrase, dict(response.headers), body)

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def __aenter__(self) -> "HttpxClient":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def _client(self, request: HttpRequest, host: str) -> httpx.AsyncClient:
        key = (request.verify, request.proxy)
        if key not in self._clients:
            proxies = ProxyChoice(self._environment, _proxy(request.proxy, host))
            transport = CheckedTransport(self._contexts[request.verify], self._rules, proxies)
            self._clients[key] = httpx.AsyncClient(
                transport=transport,
                timeout=None,  # noqa: S113 - `send` limits the whole exchange
                max_redirects=MAX_REDIRECTS,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # nothing is remembered between requests
                headers={"user-agent": f"flagger-py/{__version__}"},
            )
        return self._clients[key]


def _proxy(url: str, host: str) -> str:
    """The proxy's URL once it is seen to be one; messages never quote it, since it may hold a password."""
    if url in {"", DIRECT}:
        return url
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise BadUrl(f"{host}: the proxy's URL cannot be read") from None
    if parsed.scheme not in _SCHEMES or not parsed.host:
        raise BadUrl(f"{host}: the proxy must be an http or https URL with a host")
    return url


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise BadUrl("the URL cannot be read") from None  # httpx's message quotes the URL, which may hold a password
    if parsed.scheme not in _SCHEMES or not parsed.host or "%" in parsed.host:
        raise BadUrl("the URL must be an absolute one that starts with http:// or https://")
    return parsed


def _headers(request: HttpRequest, url: httpx.URL, host: str) -> list[tuple[bytes, bytes]]:
    """All values in their order; a user in the URL is sent as Basic where no Authorization is given (metrics:PRV-06)."""
    headers = [(name, value) for name, given in request.headers.items() for value in ((given,) if isinstance(given, str) else given)]
    if bad := next((name for name, value in headers if _CONTROL.search(name + value)), None):
        raise BadUrl(f"{host}: the header {_CONTROL.sub('?', bad)} holds a line break or another control character")
    if url.userinfo and not any(name.lower() == "authorization" for name, _ in headers):
        user = unquote(url.userinfo.decode("ascii"), errors="replace")
        credentials = user if ":" in user else f"{user}:"
        headers.append(("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode()))
    return [(name.encode(), value.strip().encode()) for name, value in headers]


@asynccontextmanager
async def _our_errors(host: str, limit: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(limit):
            yield
    except TimeoutError as error:
        raise Unreachable(f"{host}: no answer within {limit:g} s") from error
    except tuple(MEANING) as error:
        kind, text = meaning_of(error)
        raise kind(f"{host}: {text}{_system_reason(error)}") from error


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _system_reason(error: Exception) -> str:
    """What the operating system says (`connection refused`): it never holds anything of the request."""
    system = next((cause for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror), None)
    if system is None:
        return ""
    # asyncio puts a text of its own in place of the system's for a refused connection
    number = 0 if system.errno is None or isinstance(system, ssl.SSLError) else system.errno
    return f" ({os.strerror(number) if number > 0 else system.strerror})"


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= MAX_BODY_BYTES:
            break
    return bytes(body[:MAX_BODY_BYTES])
