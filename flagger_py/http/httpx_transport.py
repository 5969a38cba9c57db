"""The httpx transport that checks every address before it connects, after redirects and DNS too, and picks a proxy per URL."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from flagger_py.http.addresses import Address, AddressRules
from flagger_py.http.client import DIRECT
from flagger_py.http.proxies import EnvironmentProxies

KEEP_ALIVE_SECONDS = 5.0
"""Short: a kept connection stays with one pod of a Service."""


@dataclass(frozen=True, slots=True)
class ProxyChoice:
    """The proxy that an object names, else the one of the environment for each URL, redirects included."""

    environment: EnvironmentProxies
    explicit: str = ""

    def proxy_for(self, url: httpx.URL) -> str:
        """The proxy's URL, or empty for a direct connection."""
        if self.explicit:
            return "" if self.explicit == DIRECT else self.explicit
        return self.environment.proxy_for(url.scheme, url.host, url.port)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name, checks each of its addresses, and connects to one that was checked: a second DNS answer is never asked."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature; the whole exchange has a time-out
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        self._rules.check(host, addresses)
        failed: Exception = httpcore.ConnectError("the name resolves to no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass  # a name
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


class CheckedTransport(httpx.AsyncBaseTransport):
    """One connection pool for direct requests and one for each proxy."""

    def __init__(self, context: ssl.SSLContext, rules: AddressRules, proxies: ProxyChoice) -> None:
        self._context = context
        self._rules = rules
        self._proxies = proxies
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpcore's exceptions and `Denied`."""
        url = request.url
        proxy = self._proxies.proxy_for(url)
        if proxy:  # the proxy resolves the name, so only the name can be judged
            self._rules.check(url.host, ())
        response = await self._pool(proxy).handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, proxy: str) -> httpcore.AsyncConnectionPool:
        if proxy not in self._pools:
            self._pools[proxy] = self._open(proxy)
        return self._pools[proxy]

    def _open(self, proxy: str) -> httpcore.AsyncConnectionPool:
        # A proxy of the environment is the operator's choice: the rules are for what objects name.
        is_checked = not proxy or proxy == self._proxies.explicit
        return httpcore.AsyncConnectionPool(
            ssl_context=self._context,
            # No limit: one that hangs must not delay the others, and httpcore loses a place in the pool for each request that is
            # cancelled between being given a connection and using it.
            max_connections=None,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            proxy=_proxy(proxy) if proxy else None,
            network_backend=CheckedBackend(self._rules) if is_checked else None,
        )


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), auth=auth)


class _Body(httpx.AsyncByteStream):
    """Hands httpcore's body to httpx."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()
