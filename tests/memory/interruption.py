"""Numbers every API call and every hook or query of a controller, and interrupts some: the process is killed, or the call fails.

Opened watches are not numbered: whatever they show is also what a list shows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import orjson

from flagger_py.http.client import HttpClient, HttpRequest, HttpResponse
from flagger_py.http.client import Unreachable as NoAnswer
from flagger_py.kube.transport import Request, Response, Stream, Transport
from flagger_py.objects.errors import Unreachable

Reply = TypeVar("Reply")


class Interruption(StrEnum):
    """What happens at a call."""

    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    CONFLICT = "answered 409"
    THROTTLED = "answered 429"
    SERVER_ERROR = "answered 500"
    LOST_REPLY = "carried out, and not answered"


KILLS = (Interruption.KILLED_BEFORE, Interruption.KILLED_AFTER)
_REFUSALS = {
    Interruption.CONFLICT: (409, "Conflict", "the object has been modified"),
    Interruption.THROTTLED: (429, "TooManyRequests", "too many requests"),
    Interruption.SERVER_ERROR: (500, "InternalError", "etcdserver: request timed out"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One call: `PATCH /apis/…`, or a hook or query."""

    call: str
    is_api: bool

    def can_be(self, interruption: Interruption) -> bool:
        """Only a patch of what was read can conflict."""
        return interruption is not Interruption.CONFLICT or (self.is_api and self.call.startswith("PATCH"))


@dataclass
class Wire:
    """All calls from `begin` on, of one process after the other, and the numbers of those that are interrupted."""

    interruption: Interruption | None = None
    at: Container[int] = ()
    points: list[Point] = field(default_factory=list)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    is_counting: bool = False

    def begin(self) -> None:
        """Number the calls from now on."""
        self.is_counting = True

    def process(self, transport: Transport, http: HttpClient) -> "Process":
        """The connections of a new process."""
        return Process(self, transport, http)

    def pass_by(self, point: Point) -> Interruption | None:
        """Note a call; what is to happen to it, if anything."""
        if not self.is_counting:
            return None
        self.points.append(point)
        is_due = self.interruption is not None and len(self.points) - 1 in self.at and point.can_be(self.interruption)
        return self.interruption if is_due else None


class Process:
    """What one controller process is connected to: a `Transport` and an `HttpClient`. Once it is killed, no call comes back."""

    def __init__(self, wire: Wire, transport: Transport, http: HttpClient) -> None:
        self._wire = wire
        self._transport = transport
        self._http = http
        self._is_dead = False

    async def request(self, request: Request) -> Response:
        point = Point(f"{request.method} {request.path}", is_api=True)
        return await self._call(point, lambda: self._transport.request(request))

    async def send(self, request: HttpRequest) -> HttpResponse:
        point = Point(f"{request.method} {request.url.partition('?')[0]}", is_api=False)
        return await self._call(point, lambda: self._http.send(request))

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._transport.stream(request)

    async def _call(self, point: Point, carry_out: Callable[[], Awaitable[Reply]]) -> Reply:
        if self._is_dead:
            await asyncio.Event().wait()
        match self._wire.pass_by(point):
            case None:
                return await carry_out()
            case Interruption.KILLED_BEFORE:
                await self._die()
            case Interruption.KILLED_AFTER:
                await carry_out()
                await self._die()
            case Interruption.LOST_REPLY:
                await carry_out()
                raise (Unreachable if point.is_api else NoAnswer)(f"{point.call}: the connection was lost")
            case refusal:
                if not point.is_api:
                    await carry_out()  # a hook that answers 500 has been called
                return _refusal(refusal, point)  # type: ignore[return-value]  # of the kind that the call gets
        raise AssertionError("unreachable: a dead process does not go on")

    async def _die(self) -> None:
        self._is_dead = True
        self._wire.killed.set()
        await asyncio.Event().wait()


def _refusal(interruption: Interruption, point: Point) -> Response | HttpResponse:
    code, reason, message = _REFUSALS[interruption]
    if not point.is_api:
        return HttpResponse(code, reason, {"retry-after": "1"} if code == 429 else {}, message.encode())
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}
    headers = {"content-type": "application/json", **({"retry-after": "1"} if code == 429 else {})}
    return Response(code, orjson.dumps(body), headers)
