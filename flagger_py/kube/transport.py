"""The seam between our Kubernetes client and a server: plain requests and streams over HTTP, or an API server in memory."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `path` starts with `/` and carries no query; `timeout` is in seconds, for the whole call or until a stream's headers."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 4.0


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, of whatever status code; header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body is still arriving: chunks of bytes, not lines."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """Carries requests. Raises `Unreachable` where no answer comes, and nothing else: codes are judged by the client above it."""

    async def request(self, request: Request) -> Response: ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Open a stream; leaving the context closes it. Reading a chunk raises `Unreachable` when the stream breaks."""
