"""One suite, several servers: the embedded one in memory and over HTTP, and a real kube-apiserver where a kubeconfig names one.

`FLAGGER_PY_CONTRACT_KUBECONFIG` is the kubeconfig of an administrator of a real cluster; its kube-controller-manager must run for the
tests of garbage collection. Each test has a namespace of its own and, where it needs one, an API group of its own.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from flagger_py.kube.session import open_transport
from flagger_py.kube.transport import Request, Response, Stream, Transport
from flagger_py.local.apiserver import ApiServer
from flagger_py.local.apiserver.http import serve

KUBECONFIG = os.environ.get("FLAGGER_PY_CONTRACT_KUBECONFIG", "")
SERVERS = ["memory", "http", *(["kube-apiserver"] if KUBECONFIG else [])]

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer, decoded."""

    code: int
    body: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", "")) if isinstance(self.body, dict) else ""

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body)

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and reason of each complaint."""
        return [(cause.get("field", ""), cause["reason"]) for cause in self.body["details"].get("causes", [])]

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


@dataclass
class Server:
    """A server under test, seen through a transport; every test has its own namespace."""

    transport: Transport
    namespace: str
    group: str = field(default_factory=lambda: f"g{uuid.uuid4().hex[:10]}.example.com")
    """An API group that no other test uses."""

    def path(self, plural: str, name: str = "", *, group: str = "", version: str = "v1", subresource: str = "") -> str:
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        return "/".join(part for part in (f"{base}/namespaces/{self.namespace}/{plural}", name, subresource) if part)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        sent = {"content-type": content_type, "user-agent": "contract/1.0", **(headers or {})}
        response = await self.transport.request(Request(method, path, query, sent, data, timeout=10))
        return Answer(response.status, decoded(response), response.headers)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.call("GET", path, **query)

    async def create(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("POST", path, body, **query)

    async def created(self, path: str, body: Any, **query: str) -> Json:
        """Create an object that the server must take."""
        answer = await self.create(path, body, **query)
        assert answer.code == 201, answer.body
        return dict(answer.body)

    async def merge(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("PATCH", path, body, content_type="application/merge-patch+json", **query)

    async def apply(self, path: str, body: Json, manager: str, **query: str) -> Answer:
        return await self.call("PATCH", path, body, content_type="application/apply-patch+yaml", fieldManager=manager, **query)

    async def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        return await self.call("DELETE", path, body, **query)

    @asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator["Events"]:
        request = Request("GET", path, {"watch": "true", **query}, {"user-agent": "contract/1.0"}, timeout=10)
        async with self.transport.stream(request) as stream:
            yield Events(stream)

    async def until(self, path: str, holds: Callable[[Answer], bool]) -> Answer:
        """Poll until a claim about the answer holds; fails after 10 s."""
        async with asyncio.timeout(10):
            while True:
                answer = await self.get(path)
                if holds(answer):
                    return answer
                await asyncio.sleep(0.02)

    async def define(self, crd: Json) -> str:
        """Create a CRD and wait until it is served; the answer is the path of its collection in the test's namespace."""
        await self.created("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        spec = crd["spec"]
        stored = next(version["name"] for version in spec["versions"] if version["storage"])
        path = self.path(spec["names"]["plural"], group=spec["group"], version=stored)
        await self.until(path, lambda answer: answer.code == 200)
        await self._writable(path, spec, stored)
        return path

    async def _writable(self, path: str, spec: Json, version: str) -> None:
        """A real server refuses writes to a fresh CRD with 429 for some seconds."""
        probe = {"apiVersion": f"{spec['group']}/{version}", "kind": spec["names"]["kind"], "metadata": {"name": "probe"}}
        async with asyncio.timeout(15):
            while True:
                answer = await self.create(path, probe, dryRun="All")
                if answer.code not in {404, 429}:
                    return
                await asyncio.sleep(0.1)


class Events:
    """The events of a watch, one after another."""

    def __init__(self, stream: Stream) -> None:
        self.status = stream.status
        self._chunks = stream.chunks
        self._buffer = b""

    async def next(self) -> Json:
        """The next event; an empty one at the end of the stream."""
        async with asyncio.timeout(10):
            while b"\n" not in self._buffer:
                try:
                    self._buffer += await anext(self._chunks)
                except StopAsyncIteration:
                    return {}
        line, _, self._buffer = self._buffer.partition(b"\n")
        event: Json = orjson.loads(line)
        return event

    async def take(self, count: int) -> list[tuple[str, str]]:
        """Type and object name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event.get("type", ""), event.get("object", {}).get("metadata", {}).get("name", "")) for event in events]


def decoded(response: Response) -> Any:
    if response.headers.get("content-type", "").startswith("application/json"):
        return orjson.loads(response.body)
    return response.body.decode()


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """A server with an empty namespace for this test."""
    async with AsyncExitStack() as stack:
        transport = await _transport(request.param, stack, tmp_path)
        namespace = f"t{uuid.uuid4().hex[:10]}"
        server = Server(transport, namespace)
        await server.created("/api/v1/namespaces", {"metadata": {"name": namespace}})
        yield server
        if request.param == "kube-apiserver":
            await server.delete(f"/api/v1/namespaces/{namespace}")


async def _transport(which: str, stack: AsyncExitStack, folder: Path) -> Transport:
    if which == "kube-apiserver":
        return await stack.enter_async_context(open_transport(KUBECONFIG))
    api = ApiServer()
    await stack.enter_async_context(api.running())
    if which == "memory":
        return api.transport()
    serving = await stack.enter_async_context(serve(api))
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(api.kubeconfig(serving.url)))
    return await stack.enter_async_context(open_transport(str(kubeconfig)))
