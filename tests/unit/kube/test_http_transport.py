"""HTTP on real sockets: credentials that expire, certificates, time-outs, streams that break."""

import asyncio
import base64
import json
import ssl
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from flagger_py import __version__
from flagger_py.kube.client import Client
from flagger_py.kube.credentials import ConfigError, InClusterCredentials
from flagger_py.kube.http_transport import HttpTransport
from flagger_py.kube.retry import RetryPolicy
from flagger_py.kube.session import open_transport
from flagger_py.kube.transport import Request
from flagger_py.objects.errors import ServerError, Unauthorized, Unreachable

TLS = Path(__file__).parents[2] / "fixtures" / "tls"
VERSION = Request("GET", "/version")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve(handler: Handler, *, tls: bool = False) -> AsyncIterator[str]:
    """An HTTP(S) server on loopback; gives its URL."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(TLS / "ca.crt"))
        context.load_cert_chain(TLS / "server.crt", TLS / "server.key")
        context.verify_mode = ssl.CERT_OPTIONAL
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


def kubeconfig(folder: Path, server: str, user: dict[str, Any], **cluster: Any) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "test", "user": user}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def exec_plugin(folder: Path) -> dict[str, Any]:
    """A plug-in that gives token-1, token-2, … with each call."""
    script = folder / "plugin.py"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib\n"
        f"counter = pathlib.Path({str(folder / 'calls')!r})\n"
        "calls = len(counter.read_text()) + 1 if counter.exists() else 1\n"
        "counter.write_text('x' * calls)\n"
        "answer = {'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', 'status': {'token': f'token-{calls}'}}\n"
        "print(json.dumps(answer))\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}}


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Answers with what the server has seen of the client."""
    peer = request.get_extra_info("peercert") or {}
    names = [value for part in peer.get("subject", ()) for key, value in part if key == "commonName"]
    return web.json_response({"headers": dict(request.headers), "peer": names, "path": request.path_qs})


async def test_requests_carry_the_token_and_a_user_agent_that_ends_with_the_identity(tmp_path: Path) -> None:
    async with serve(echo) as server:
        path = kubeconfig(tmp_path, server + "/base/", {"token": "secret-1"})
        async with open_transport(path, identity="pod-1_abc") as transport:
            response = await transport.request(Request("GET", "/version", query={"a": "b c/d"}))
    seen = json.loads(response.body)
    assert seen["headers"]["Authorization"] == "Bearer secret-1"
    assert seen["headers"]["User-Agent"] == f"flagger-py/{__version__} pod-1_abc"
    assert seen["path"] in {"/base/version?a=b+c/d", "/base/version?a=b%20c/d", "/base/version?a=b+c%2Fd"}


async def test_after_a_401_the_exec_plugin_is_asked_once_for_all_waiting_requests(tmp_path: Path) -> None:
    valid = "Bearer token-1"

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({}, status=200 if request.headers["Authorization"] == valid else 401)

    async with serve(handler) as server, open_transport(kubeconfig(tmp_path, server, exec_plugin(tmp_path))) as transport:
        assert (await transport.request(VERSION)).status == 200
        valid = "Bearer token-2"
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(transport.request(VERSION)) for _ in range(5)]
        assert {answer.result().status for answer in answers} == {200}
        async with transport.stream(VERSION) as stream:
            assert stream.status == 200
        valid = "Bearer never"
        with pytest.raises(Unauthorized):
            await Client(transport).get_path("/version")
    assert (tmp_path / "calls").read_text() == "xxx"


async def test_a_token_file_that_rotates_in_the_pod_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    valid = "first"

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({}, status=200 if request.headers["Authorization"] == f"Bearer {valid}" else 401)

    async with serve(handler, tls=True) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.rsplit(":", 1)[1])
        (tmp_path / "token").write_text("first\n")
        (tmp_path / "ca.crt").write_bytes((TLS / "ca.crt").read_bytes())
        transport = HttpTransport(InClusterCredentials(tmp_path), user_agent="test")
        await transport.open()
        try:
            before = await transport.request(VERSION)
            valid = "second"
            (tmp_path / "token").write_text("second\n")
            after = await transport.request(VERSION)
        finally:
            await transport.close()
    assert (before.status, after.status) == (200, 200)


@pytest.mark.parametrize("inline", [pytest.param(True, id="inline"), pytest.param(False, id="files")])
async def test_client_certificates_from_a_kubeconfig_are_presented(tmp_path: Path, inline: bool) -> None:
    names = {"client-certificate": "client.crt", "client-key": "client.key"}
    if inline:
        user = {f"{key}-data": base64.b64encode((TLS / name).read_bytes()).decode() for key, name in names.items()}
    else:
        user = {key: str(TLS / name) for key, name in names.items()}
    async with serve(echo, tls=True) as server:
        path = kubeconfig(tmp_path, server, user, **{"certificate-authority": str(TLS / "ca.crt")})
        async with open_transport(path) as transport:
            response = await transport.request(VERSION)
    assert json.loads(response.body)["peer"] == ["client"]


async def test_an_unknown_certificate_is_not_accepted(tmp_path: Path) -> None:
    async with serve(echo, tls=True) as server, open_transport(kubeconfig(tmp_path, server, {"token": "t"})) as transport:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await transport.request(VERSION)


async def test_verification_can_be_switched_off_and_the_name_to_verify_can_be_given(tmp_path: Path) -> None:
    async with serve(echo, tls=True) as server:
        async with open_transport(kubeconfig(tmp_path, server, {}, **{"insecure-skip-tls-verify": True})) as transport:
            assert (await transport.request(VERSION)).status == 200
        named = {"certificate-authority": str(TLS / "ca.crt"), "tls-server-name": "localhost"}
        async with open_transport(kubeconfig(tmp_path, server, {}, **named)) as transport:
            assert (await transport.request(VERSION)).status == 200


async def test_a_slow_server_is_given_up_after_the_time_out(tmp_path: Path) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(20)
        return web.Response()

    async with serve(handler) as server, open_transport(kubeconfig(tmp_path, server, {})) as transport:
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await transport.request(Request("PATCH", "/slow", timeout=0.05))
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            async with transport.stream(Request("GET", "/slow", timeout=0.05)):
                pass


async def test_a_server_that_is_not_there_is_unreachable_and_the_message_holds_no_secret(tmp_path: Path) -> None:
    async with serve(echo) as server:
        path = kubeconfig(tmp_path, server, {"token": "very-secret"})
    async with open_transport(path) as transport:
        with pytest.raises(Unreachable) as caught:
            await transport.request(VERSION)
    assert server in str(caught.value)
    assert "very-secret" not in str(caught.value)


async def test_a_stream_arrives_as_it_is_sent_and_breaks_as_unreachable(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"half": ')
        await go_on.wait()
        assert request.transport
        request.transport.abort()
        return response

    async with (
        serve(handler) as server,
        open_transport(kubeconfig(tmp_path, server, {})) as transport,
        transport.stream(VERSION) as stream,
    ):
        assert await anext(stream.chunks) == b'{"half": '
        go_on.set()
        with pytest.raises(Unreachable):
            await anext(stream.chunks)


async def test_redirects_are_not_followed_with_our_token(tmp_path: Path) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"})

    async with serve(handler) as server, open_transport(kubeconfig(tmp_path, server, {"token": "t"})) as transport:
        assert (await transport.request(VERSION)).status == 302
        with pytest.raises(ServerError):
            await Client(transport, retries=RetryPolicy(failed_reads=0)).get_path("/version")


async def warned(request: web.BaseRequest) -> web.StreamResponse:
    response = web.json_response({})
    for text in ("one", "two"):
        response.headers.add("Warning", f'299 - "{text}"')
    return response


async def test_no_warning_of_the_server_is_lost(tmp_path: Path) -> None:
    """kube-apiserver sends one header for each."""
    async with serve(warned) as server, open_transport(kubeconfig(tmp_path, server, {})) as transport:
        assert (await transport.request(VERSION)).headers["warning"] == '299 - "one", 299 - "two"'


async def test_a_proxy_of_the_kubeconfig_is_used(tmp_path: Path) -> None:
    async with serve(echo) as proxy:
        path = kubeconfig(tmp_path, "http://cluster.invalid:6443", {}, **{"proxy-url": proxy})
        async with open_transport(path) as transport:
            response = await transport.request(VERSION)
    assert json.loads(response.body)["headers"]["Host"] == "cluster.invalid:6443"


async def test_the_master_flag_takes_the_place_of_the_kubeconfigs_server(tmp_path: Path) -> None:
    async with serve(echo) as server:
        path = kubeconfig(tmp_path, "https://cluster.invalid", {"token": "t"})
        async with open_transport(path, master=server) as transport:
            assert transport.host == server
            assert (await transport.request(VERSION)).status == 200
        async with open_transport(master=server) as transport:
            assert "Authorization" not in json.loads((await transport.request(VERSION)).body)["headers"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("current-context: absent\ncontexts: []\n", "absent", id="unknown context"),
        pytest.param("[1, 2", "config", id="no YAML"),
        pytest.param("", "config", id="empty"),
    ],
)
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        async with open_transport(str(path)):
            pass


async def test_without_any_configuration_the_message_says_what_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"missing.*KUBERNETES_SERVICE_HOST"):
        async with open_transport():
            pass


async def test_a_failing_plugin_is_reported_with_its_words(tmp_path: Path) -> None:
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "args": ["-c", "echo log in first >&2; exit 3"]}
    }
    with pytest.raises(ConfigError, match="log in first"):
        async with open_transport(kubeconfig(tmp_path, "http://127.0.0.1:1", user)):
            pass


async def test_requests_that_are_cancelled_in_their_handshake_leave_no_socket_behind(tmp_path: Path) -> None:
    """Found on a busy kube-apiserver: asyncio closes such a socket some turns later, when the loop of a test may have ended."""
    async with serve(echo, tls=True) as server:
        path = kubeconfig(tmp_path, server, {}, **{"insecure-skip-tls-verify": True})
        for turns in range(0, 60, 2):
            async with open_transport(path) as transport:
                request = asyncio.create_task(transport.request(VERSION))
                for _ in range(turns):
                    await asyncio.sleep(0)
                request.cancel()
                await asyncio.wait([request])
            assert [created for created in transport._sockets if created.fileno() >= 0] == [], turns
