"""The one way out to everything that is not the Kubernetes API: hooks, metric providers, alerts. Hides httpx.

HttpError
├── Unreachable     no answer: connection refused, DNS, reset, time-out; worth another try
├── Untrusted       the TLS certificate is not accepted
├── BadUrl          the URL is not an absolute http(s) one, redirects too often, or a header cannot be sent
└── Denied          the allow/deny list of addresses forbids the URL
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

DIRECT: Final = "direct"
"""In place of a proxy URL: no proxy, whatever the environment says."""


class HttpError(Exception):
    """A request got no answer. Messages name the host, never credentials, headers or a query string."""


class Unreachable(HttpError):
    """No answer within the time-out, or no connection."""


class Untrusted(HttpError):
    """The server's certificate is not accepted."""


class BadUrl(HttpError):
    """The request can never be sent as it is."""


class Denied(HttpError):
    """The address is not allowed (`-deny-addresses`; cloud metadata services by default)."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `timeout` is in seconds and covers the whole exchange, redirects (at most 10) and body included."""

    method: str
    url: str
    headers: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)
    """A tuple is sent as one header line for each value."""
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 5.0
    verify: bool = True
    proxy: str = field(default="", repr=False)
    """A proxy URL; empty: from the environment; `DIRECT`: none."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer of whatever status code; header names are in lower case; the body is cut at 4 MiB."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """Sends requests. Raises `HttpError`."""

    async def send(self, request: HttpRequest) -> HttpResponse: ...
