"""Calls to an embedded server in memory, with their answers decoded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from flagger_py.kube.transport import Request, Response, Transport

Json = dict[str, Any]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def call(transport: Transport, method: str, path: str, body: Any = None, *, within: float = 4.0, **query: str) -> tuple[int, Any]:
    """Code and decoded body of an answer; a PATCH is a merge patch."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"content-type": kind, "user-agent": "unit/1"}
    response = await transport.request(Request(method, path, query, headers, None if body is None else orjson.dumps(body), within))
    return response.status, decoded(response)


def decoded(response: Response) -> Any:
    return orjson.loads(response.body) if response.headers["content-type"].startswith("application/json") else response.body.decode()


async def create(transport: Transport, name: str, **metadata: Any) -> Json:
    """Create a ConfigMap."""
    code, body = await call(transport, "POST", CONFIG_MAPS, {"metadata": {"name": name, **metadata}})
    assert code == 201, body
    return dict(body)


@asynccontextmanager
async def watch(transport: Transport, path: str = CONFIG_MAPS, **query: str) -> AsyncIterator[AsyncIterator[Json]]:
    """The events of a watch."""
    request = Request("GET", path, {"watch": "true", **query}, {"user-agent": "unit/1"})
    async with transport.stream(request) as stream:
        assert stream.status == 200
        yield events(stream.chunks)


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Json]:
    """Whole lines as events."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield orjson.loads(line)
