"""Faults on purpose: which call goes wrong, and how. They work in memory and over HTTP, and each says how often it has struck."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from flagger_py.local.apiserver.answers import Answer, Streaming, refusal
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.status import Refused


class ConnectionLost(Exception):
    """The connection breaks here: the caller gets no (further) answer."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls are meant; an empty field means any. `user_agent` is a part of the header, `resource` a plural."""

    verb: str = ""
    resource: str = ""
    name: str = ""
    namespace: str = ""
    subresource: str | None = None
    user_agent: str = ""

    def covers(self, call: Call) -> bool:
        target = call.target
        wanted = ((self.verb, call.verb), (self.resource, target.plural), (self.name, target.name), (self.namespace, target.namespace))
        same = all(not ours or ours == theirs for ours, theirs in wanted)
        return same and self.subresource in {None, target.subresource} and self.user_agent in call.user_agent


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an error and do nothing. `retry_after` is in seconds."""

    code: int
    reason: str = ""
    message: str = ""
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Take the request and never answer it; it is not carried out."""


@dataclass(frozen=True, slots=True)
class DropConnection:
    """Break the connection; the request is not carried out."""


@dataclass(frozen=True, slots=True)
class LoseReply:
    """Carry the request out, then break the connection."""


@dataclass(frozen=True, slots=True)
class CutWatch:
    """End a watch after so many events; `in_the_middle`: half of the next line is sent before the connection breaks."""

    after_events: int = 0
    in_the_middle: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """Wait some seconds, then carry the request out and answer."""

    seconds: float


Effect = Refuse | NoAnswer | DropConnection | LoseReply | CutWatch | Slow

_REASONS = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


@dataclass(slots=True, eq=False)
class Fault:
    """One fault: it strikes the calls that match, after the first `skip` of them, `times` times (`None`: for ever)."""

    match: Match
    effect: Effect
    skip: int = 0
    times: int | None = 1
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def strikes(self, call: Call) -> bool:
        """Whether this call goes wrong; counts it."""
        if not self.match.covers(call) or (self.times is not None and self.struck >= self.times):
            return False
        self.seen += 1
        if self.seen <= self.skip:
            return False
        self.struck += 1
        return True


class Faults:
    """The faults that are planned, in order; the first that strikes is the one."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def add(self, match: Match, effect: Effect, *, skip: int = 0, times: int | None = 1) -> Fault:
        """Plan a fault and return it, so that a test can see whether it struck."""
        fault = Fault(match, effect, skip, times)
        self._planned.append(fault)
        return fault

    def clear(self) -> None:
        self._planned.clear()

    def effect_on(self, call: Call) -> Effect | None:
        """What goes wrong with this call; `None` in most cases."""
        return next((fault.effect for fault in self._planned if fault.strikes(call)), None)


def refused(effect: Refuse) -> Answer:
    """The answer of a `Refuse`."""
    reason = effect.reason or _REASONS.get(effect.code, "")
    details = {"retryAfterSeconds": effect.retry_after} if effect.retry_after else {}
    return refusal(Refused(effect.code, reason, effect.message or f"injected fault: {reason or effect.code}", details))


async def never() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


async def cut(chunks: AsyncIterator[bytes], effect: CutWatch) -> AsyncIterator[bytes]:
    """The events of a stream up to the cut. Raises `ConnectionLost` where it is in the middle of a line."""
    left = effect.after_events
    async for chunk in chunks:
        for line in chunk.splitlines(keepends=True):
            if left <= 0:
                if effect.in_the_middle:
                    yield line[: len(line) // 2]
                    raise ConnectionLost
                return
            left -= 1
            yield line


def with_cut(answer: Answer | Streaming, effect: CutWatch) -> Answer | Streaming:
    """The same stream with a cut in it; a whole answer stays whole. A cut before the first event ends the stream at once."""
    if isinstance(answer, Answer):
        return answer
    return Streaming(cut(answer.chunks, effect), answer.status, answer.content_type, answer.headers, answer.warnings)
