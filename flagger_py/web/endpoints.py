"""The paths that the process answers: `/healthz`, `/readyz`, `/metrics`, `/loglevel` (operations:§3, metrics:SRV-01)."""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flagger_py.http.server.messages import Request, Response
from flagger_py.web import readiness

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class LogLevel(Protocol):
    """The log level of the process."""

    def get(self) -> str: ...

    def set(self, level: str) -> None:
        """Raises `ValueError` for a word that is no level; the message says which are."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Answers requests. Each function is asked anew for every request and must return at once."""

    problem: Callable[[], str]
    """Why the process must be restarted (a dead task, a loop that was blocked); empty while it is alive."""
    checks: Callable[[], Sequence[readiness.Check]]
    metrics: Callable[[], bytes]
    """The text exposition; called in a thread, because thousands of series take tens of milliseconds."""
    log_level: LogLevel

    async def __call__(self, request: Request) -> Response:
        match request.path:
            case "/healthz":
                return self._health()
            case "/readyz":
                return readiness.answer(self.checks(), verbose=request.has("verbose"))
            case "/metrics":
                return Response(body=await asyncio.to_thread(self.metrics), content_type=METRICS_TYPE)
            case "/loglevel":
                return self._log_level(request)
            case _:
                return Response.text("404 page not found\n", 404)

    def _health(self) -> Response:
        problem = self.problem()
        return Response.text(f"{problem}\n", 500) if problem else Response.text("OK")

    def _log_level(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return Response.text(f"{self.log_level.get()}\n")
        if request.method != "PUT":
            # A web page may make a browser POST to localhost without asking; a PUT it may not.
            return Response(405, b"use GET or PUT\n", headers=(("allow", "GET, HEAD, PUT"),))
        if not _is_local(request):
            return Response.text("the log level can be changed from this machine only: use `kubectl port-forward`\n", 403)
        try:
            self.log_level.set(request.body.decode(errors="replace").strip())
        except ValueError as error:
            return Response.text(f"{error}\n", 400)
        return Response.text(f"{self.log_level.get()}\n")


def _is_local(request: Request) -> bool:
    """Whether it came over loopback and was meant for it; a name that was rebound to loopback is not."""
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    try:
        address = ipaddress.ip_address(request.peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback and name in _LOCAL_HOSTS
