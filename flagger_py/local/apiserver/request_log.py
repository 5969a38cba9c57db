"""What was asked of the server and how it answered: the source of all request counts, and of recordings for replay."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from flagger_py.local.apiserver.answers import Answer, Streaming
from flagger_py.local.apiserver.calls import Call

Recorder = Callable[[Call, Answer | Streaming | None], None]
"""Takes each call with its answer; `None` where the connection was broken on purpose."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request. `code` is 0 where no answer was given; `resource` is a plural, empty outside the resources."""

    at: datetime
    user: str
    user_agent: str
    method: str
    path: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int


class RequestLog:
    """The latest requests, oldest first. `limit` bounds the memory."""

    def __init__(self, now: Callable[[], datetime], limit: int = 100_000) -> None:
        self._now = now
        self._entries: deque[LoggedRequest] = deque(maxlen=limit)
        self.recorders: list[Recorder] = []

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()

    def add(self, call: Call, answer: Answer | Streaming | None) -> None:
        """Note a call when its answer begins, as an audit log does at the stage ResponseStarted."""
        target, code = call.target, answer.status if answer else 0
        self._entries.append(
            LoggedRequest(
                at=self._now(),
                user=call.user.name,
                user_agent=call.user_agent,
                method=call.method,
                path=call.path,
                verb=call.verb,
                group=target.group,
                resource=target.plural,
                subresource=target.subresource,
                namespace=target.namespace,
                name=target.name,
                code=code,
            )
        )
        for recorder in self.recorders:
            recorder(call, answer)

    def matching(
        self, *, verb: str = "", resource: str = "", name: str = "", user_agent: str = "", code: int | None = None
    ) -> list[LoggedRequest]:
        """The requests that fit; an empty argument fits all, `user_agent` is a part of the header."""
        return [
            one
            for one in self._entries
            if verb in {"", one.verb}
            and resource in {"", one.resource}
            and name in {"", one.name}
            and user_agent in one.user_agent
            and code in {None, one.code}
        ]

    def counts(self, user_agent: str = "") -> Counter[tuple[str, str]]:
        """Requests by verb and resource of the callers whose user agent contains a text."""
        return Counter((one.verb, one.resource) for one in self._entries if user_agent in one.user_agent)
