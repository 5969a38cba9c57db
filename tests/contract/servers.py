"""A server under test, seen through a transport, and what it answers."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from flagger_py.kube.transport import Request, Response, Stream, Transport

Json = dict[str, Any]
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


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
    defined: list[str] = field(default_factory=list)
    """Names of the CRDs that the test created."""

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
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        sent = {"content-type": content_type, "user-agent": "contract/1.0", **(headers or {})}
        response = await self.transport.request(Request(method, path, query or {}, sent, data, timeout=10))
        return Answer(response.status, decoded(response), response.headers)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.call("GET", path, query=query)

    async def create(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("POST", path, body, query=query)

    async def created(self, path: str, body: Any, **query: str) -> Json:
        """Create an object that the server must take."""
        answer = await self.create(path, body, **query)
        assert answer.code == 201, answer.body
        return dict(answer.body)

    async def merge(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("PATCH", path, body, content_type="application/merge-patch+json", query=query)

    async def patch(self, path: str, body: Any, content_type: str, **query: str) -> Answer:
        return await self.call("PATCH", path, body, content_type=content_type, query=query)

    async def as_user(self, user: str, method: str, path: str, body: Any = None, *groups: str) -> Answer:
        """A call that acts as another user."""
        headers = {"impersonate-user": user} | ({"impersonate-group": ",".join(groups)} if groups else {})
        return await self.call(method, path, body, headers=headers)

    async def apply(self, path: str, body: Json, manager: str, **query: str) -> Answer:
        return await self.call("PATCH", path, body, content_type="application/apply-patch+yaml", query={"fieldManager": manager, **query})

    async def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        return await self.call("DELETE", path, body, query=query)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = "application/json", **query: str) -> AsyncIterator["Events"]:
        request = Request("GET", path, {"watch": "true", **query}, {"user-agent": "contract/1.0", "accept": accept}, timeout=10)
        async with self.transport.stream(request) as stream:
            yield Events(stream)

    async def until(self, path: str, holds: Callable[[Answer], bool]) -> Answer:
        """Ask until a claim about the answer holds; fails after 25 s: a busy kube-controller-manager takes its time."""
        async with asyncio.timeout(25):
            while True:
                answer = await self.get(path)
                if holds(answer):
                    return answer
                await asyncio.sleep(0.02)

    async def until_created(self, path: str, body: Json, holds: Callable[[Answer], bool]) -> Answer:
        """Create an object until a claim about the answer holds (a real server takes a change of a CRD in by and by)."""
        async with asyncio.timeout(15):
            while True:
                answer = await self.create(path, body)
                if holds(answer):
                    return answer
                if answer.code == 201:
                    await self.delete(f"{path}/{body['metadata']['name']}")
                await asyncio.sleep(0.05)

    async def define(self, crd: Json) -> str:
        """Create a CRD and wait until it is served; the answer is the path of its collection in the test's namespace."""
        await self.created(DEFINITIONS, crd)
        self.defined.append(crd["metadata"]["name"])
        spec = crd["spec"]
        stored = next(version["name"] for version in spec["versions"] if version["storage"])
        path = self.path(spec["names"]["plural"], group=spec["group"], version=stored)
        await self.until(path, lambda answer: answer.code == 200)
        probe = {"apiVersion": f"{spec['group']}/{stored}", "kind": spec["names"]["kind"], "metadata": {"name": "probe"}}
        async with asyncio.timeout(15):
            while True:  # a real server refuses writes to a fresh CRD with 429 for some seconds
                answer = await self.create(path, probe, dryRun="All")
                if answer.code not in {404, 429}:
                    break
                await asyncio.sleep(0.05)
        return path


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
    if response.headers.get("content-type", "").startswith("application/json") or response.body[:1] == b"{":
        return orjson.loads(response.body)
    return response.body.decode()
