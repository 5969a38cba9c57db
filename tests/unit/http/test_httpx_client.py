"""`HttpxClient` against a real server on loopback."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import httpcore
import httpx
import pytest

from flagger_py.http.addresses import AddressRules
from flagger_py.http.client import DIRECT, BadUrl, Denied, HttpError, HttpRequest, HttpResponse, Unreachable, Untrusted
from flagger_py.http.httpx_client import MAX_BODY_BYTES, MEANING, HttpxClient, meaning_of

TLS = Path(__file__).parents[2] / "fixtures" / "tls"


@dataclass(frozen=True)
class Seen:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name, []))


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler: TypeAlias = Callable[[Seen], Reply | Awaitable[Reply]]


@dataclass
class Server:
    port: int
    seen: list[Seen] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


async def _read(reader: asyncio.StreamReader) -> Seen:
    method, target, _ = (await reader.readline()).decode().split(" ", 2)
    headers: dict[str, list[str]] = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    length = int(headers.get("content-length", ["0"])[0])
    return Seen(method, target, headers, await reader.readexactly(length))


@asynccontextmanager
async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve each connection's first request with `handler`, which may be a coroutine function."""
    server = Server(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen = await _read(reader)
            server.seen.append(seen)
            reply = handler(seen)
            if isinstance(reply, Awaitable):
                reply = await reply
            headers = {"content-length": str(len(reply.body)), "connection": "close", **reply.headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {reply.status} Some Reason\r\n{lines}\r\n".encode() + reply.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the client went away, which some tests want
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def echo(seen: Seen) -> Reply:
    return Reply(body=seen.method.encode() + b" " + seen.body)


def get(url: str, **more: object) -> HttpRequest:
    return HttpRequest("GET", url, **more)  # type: ignore[arg-type] # keyword arguments of the dataclass


async def send(request: HttpRequest, rules: AddressRules | None = None, environ: Mapping[str, str] | None = None) -> HttpResponse:
    async with HttpxClient(rules, environ or {}) as client:
        return await client.send(request)


async def test_a_whole_answer_of_any_status_is_returned() -> None:
    async with serve(lambda _: Reply(503, b"later", {"Retry-After": "7"})) as server:
        response = await send(get(server.url()))
    assert (response.status, response.reason, response.body) == (503, "Some Reason", b"later")
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_post_that_is_redirected_becomes_a_get(status: int) -> None:
    """metrics:WH-02, engine:HOOK-04"""
    async with serve(lambda seen: echo(seen) if seen.target == "/end" else Reply(status, headers={"location": "/end"})) as server:
        response = await send(HttpRequest("POST", server.url("/start"), body=b"payload"))
    assert response.body == b"GET "


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_that_is_redirected_with_its_body_is_posted_again(status: int) -> None:
    """engine:HOOK-04"""
    async with serve(lambda seen: echo(seen) if seen.target == "/end" else Reply(status, headers={"location": "/end"})) as server:
        response = await send(HttpRequest("POST", server.url("/start"), body=b"payload"))
    assert response.body == b"POST payload"


@pytest.mark.parametrize(("redirects", "arrives"), [(10, True), (11, False)])
async def test_ten_redirects_are_followed(redirects: int, arrives: bool) -> None:
    """metrics:PRV-03"""

    def hop(seen: Seen) -> Reply:
        number = int(seen.target[1:])
        return Reply(302, headers={"location": f"/{number + 1}"}) if number < redirects else Reply(body=b"here")

    async with serve(hop) as server:
        if arrives:
            assert (await send(get(server.url("/0")))).body == b"here"
        else:
            with pytest.raises(BadUrl, match="redirects more than 10 times"):
                await send(get(server.url("/0")))


async def test_a_redirect_to_another_scheme_is_a_bad_url() -> None:
    async with serve(lambda _: Reply(302, headers={"location": "file:///etc/passwd"})) as server:
        with pytest.raises(BadUrl, match="not http or https"):
            await send(get(server.url()))


async def test_a_user_in_the_url_is_sent_as_basic() -> None:
    """metrics:PRV-06"""
    async with serve(echo) as server:
        await send(get(server.url(host="me:p%40ss@127.0.0.1")))
    assert server.seen[0].header("authorization") == "Basic bWU6cEBzcw=="


async def test_a_given_authorization_wins_over_the_user_in_the_url() -> None:
    """metrics:PRV-06"""
    async with serve(echo) as server:
        await send(get(server.url(host="me:pass@127.0.0.1"), headers={"authorization": "Bearer token"}))
    assert server.seen[0].header("authorization") == "Bearer token"


async def test_all_values_of_a_header_are_sent_without_white_space_around_them() -> None:
    """metrics:PROM-03, PRV-07"""
    async with serve(echo) as server:
        await send(get(server.url(), headers={"X-Scope": ("a", " b\t"), "X-Name": "grüße"}))
    assert server.seen[0].headers["x-scope"] == ["a", "b"]
    assert server.seen[0].headers["x-name"] == ["grüße"]


async def test_a_header_with_a_line_break_is_refused_without_quoting_it() -> None:
    with pytest.raises(BadUrl, match="the header Authorization holds a line break") as refused:
        await send(get("http://127.0.0.1:1/", headers={"Authorization": "Bearer secret\nX-Evil: 1"}))
    assert "secret" not in str(refused.value)


async def test_cookies_are_not_remembered() -> None:
    async with serve(lambda _: Reply(headers={"set-cookie": "session=1; path=/"})) as server, HttpxClient(environ={}) as client:
        await client.send(get(server.url()))
        await client.send(get(server.url()))
    assert [seen.header("cookie") for seen in server.seen] == ["", ""]


async def test_gzip_is_decoded() -> None:
    """metrics:PRV-03"""
    async with serve(lambda _: Reply(body=gzip.compress(b"plain"), headers={"content-encoding": "gzip"})) as server:
        assert (await send(get(server.url()))).body == b"plain"


async def test_a_body_is_cut_at_4_mib() -> None:
    async with serve(lambda _: Reply(body=b"x" * (MAX_BODY_BYTES + 70_000))) as server:
        assert len((await send(get(server.url()))).body) == MAX_BODY_BYTES


async def test_the_time_out_covers_the_whole_exchange() -> None:
    """metrics:PRV-02"""

    async def hang(_: Seen) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with serve(hang) as server:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: no answer within 0\.05 s"):
            await send(get(server.url(), timeout=0.05))


async def test_requests_that_hang_delay_no_others() -> None:
    """design §3: a slow provider, or a hook of five minutes, delays only its own Canaries."""

    async def handler(seen: Seen) -> Reply:
        if seen.target == "/slow":
            await asyncio.sleep(60)
        return Reply()

    async with serve(handler) as server, HttpxClient() as client, asyncio.TaskGroup() as group:
        hanging = [group.create_task(client.send(get(server.url("/slow"), timeout=60))) for _ in range(50)]
        while len(server.seen) < len(hanging):  # noqa: ASYNC110 (the test has a limit)
            await asyncio.sleep(0.01)
        assert (await client.send(get(server.url(), timeout=5))).status == 200
        for task in hanging:
            task.cancel()


async def test_a_refused_connection_names_the_host_and_nothing_else_of_the_url() -> None:
    async with serve(echo) as server:
        url = server.url("/path?token=secret", host="me:secret@127.0.0.1")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: no connection \(Connection refused\)") as failed:
        await send(get(url))
    assert "secret" not in str(failed.value)


async def test_an_answer_that_is_no_http_is_unreachable() -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(garbage, "127.0.0.1", 0)
    with pytest.raises(Unreachable, match="the answer is no HTTP"):
        await send(get(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"))
    listening.close()


@pytest.mark.parametrize(
    "url",
    ["prometheus:9090", "ftp://host/", "/relative", "http://", "", "http://user:pa/ss@host:port/", "http://[::1", "http://exa mple/"],
)
async def test_a_url_that_is_not_absolute_http_is_refused(url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        await send(get(url))
    assert "ss@host" not in str(refused.value)


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="no connection"):
        await send(get("http://no-such-host.invalid/"))


@pytest.mark.parametrize(("verify", "accepted"), [(True, False), (False, True)])
async def test_an_unknown_certificate_is_untrusted_unless_not_verified(verify: bool, accepted: bool) -> None:
    """metrics:WH-06, PRV-04"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.crt", TLS / "localhost.key")
    async with serve(lambda _: Reply(body=b"safe"), tls=context) as server:
        request = get(server.url(scheme="https"), verify=verify)
        if accepted:
            assert (await send(request)).body == b"safe"
        else:
            with pytest.raises(Untrusted, match="certificate is not accepted"):
                await send(request)


async def test_a_metadata_address_is_denied_before_a_connection() -> None:
    with pytest.raises(Denied, match=r"169\.254\.169\.254: the address is on the deny list"):
        await send(get("http://169.254.169.254/latest/meta-data/"))


async def test_an_address_is_checked_after_the_name_is_resolved() -> None:
    with pytest.raises(Denied, match="localhost: the address is on the deny list"):
        await send(get("http://localhost:1/"), AddressRules.parse(deny=["127.0.0.0/8", "::1"]))


async def test_an_address_is_checked_after_a_redirect() -> None:
    async with serve(lambda _: Reply(302, headers={"location": "http://169.254.169.254/"})) as server:
        with pytest.raises(Denied, match=r"169\.254\.169\.254"):
            await send(get(server.url()))


async def test_the_proxy_of_the_environment_is_asked_with_its_user() -> None:
    """metrics:PRV-03"""
    async with serve(echo) as proxy:
        environ = {"HTTP_PROXY": proxy.url(host="me:pw@127.0.0.1")}
        await send(get("http://hook.example/gate"), AddressRules.parse(deny=["127.0.0.0/8"]), environ)
    assert proxy.seen[0].target == "http://hook.example/gate"
    assert proxy.seen[0].header("proxy-authorization") == "Basic bWU6cHc="


async def test_a_proxy_that_an_object_names_comes_first_and_is_checked() -> None:
    async with serve(echo) as proxy:
        request = get("http://hook.example/", proxy=proxy.url())
        await send(request, environ={"HTTP_PROXY": "http://127.0.0.1:1"})
        with pytest.raises(Denied, match=r"127\.0\.0\.1"):
            await send(request, AddressRules.parse(deny=["127.0.0.0/8"]))
    assert len(proxy.seen) == 1


async def test_a_direct_request_uses_no_proxy() -> None:
    """engine:HOOK-08"""
    async with serve(echo) as server:
        environ = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "nothing"}
        await send(get(server.url(), proxy=DIRECT), environ=environ)
    assert server.seen[0].target == "/"


async def test_a_metadata_name_is_denied_through_a_proxy_too() -> None:
    async with serve(echo) as proxy:
        for host in ("metadata.google.internal", "2852039166"):
            with pytest.raises(Denied):
                await send(get(f"http://{host}/"), environ={"HTTP_PROXY": proxy.url()})
    assert not proxy.seen


@pytest.mark.parametrize("proxy", ["socks5://host:1", "http://", "http://u:secret@h:port"])
async def test_a_proxy_that_is_no_http_url_is_refused(proxy: str) -> None:
    with pytest.raises(BadUrl, match="proxy") as refused:
        await send(get("http://hook.example/", proxy=proxy))
    assert "secret" not in str(refused.value)


def exceptions_of(*modules: object) -> list[type[Exception]]:
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type) and issubclass(value, Exception)]
    return sorted(set(found), key=repr)


@pytest.mark.parametrize("kind", exceptions_of(httpx, httpcore), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_the_libraries_has_a_meaning(kind: type[Exception]) -> None:
    assert issubclass(kind, tuple(MEANING))
    ours, text = meaning_of(kind.__new__(kind))
    assert issubclass(ours, HttpError)
    assert text
