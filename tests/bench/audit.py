"""Requests as the API server counted them: kube-apiserver's audit log, which the embedded server writes in the same form.

Level `Metadata` without the stage `RequestReceived` is enough. Times are the server's, so that a busy driver measures nothing of itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """One request. Times are in seconds since the epoch; a watch counts when it is opened."""

    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str
    uri: str
    user_agent: str
    code: int
    received: float
    answered: float

    @property
    def is_lease(self) -> bool:
        return self.resource == "leases"

    @property
    def is_watch(self) -> bool:
        return self.verb == "watch"

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @property
    def what(self) -> str:
        """`patch canaries/status`, `get /openapi/v3`."""
        if not self.resource:
            return f"{self.verb} {urlsplit(self.uri).path}"
        return f"{self.verb} {self.resource}" + (f"/{self.subresource}" if self.subresource else "")

    @property
    def watch_seconds(self) -> float:
        """How long the watch was asked to last; 0 where the client did not say."""
        return float(parse_qs(urlsplit(self.uri).query).get("timeoutSeconds", ["0"])[0])


class AuditLog:
    """Follows an audit log file from where it stands now, and keeps the requests whose user agent begins with `user_agent`."""

    def __init__(self, path: Path, user_agent: str) -> None:
        self.requests: list[AuditedRequest] = []
        self._path = path
        self._user_agent = user_agent
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def read(self) -> list[AuditedRequest]:
        """What has been written since the last call; it is kept in `requests` as well."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        fresh = [request for line in lines if (request := self._request(line)) is not None]
        self.requests += fresh
        return fresh

    def _request(self, line: bytes) -> AuditedRequest | None:
        if self._user_agent.encode() not in line:
            return None
        event: dict[str, Any] = orjson.loads(line)
        user_agent = event.get("userAgent", "")
        stage = "ResponseStarted" if event["verb"] == "watch" else "ResponseComplete"
        if event["stage"] != stage or not user_agent.startswith(self._user_agent):
            return None
        reference = event.get("objectRef") or {}
        return AuditedRequest(
            verb=event["verb"],
            resource=reference.get("resource", ""),
            namespace=reference.get("namespace", ""),
            name=reference.get("name", ""),
            subresource=reference.get("subresource", ""),
            uri=event["requestURI"],
            user_agent=user_agent,
            code=(event.get("responseStatus") or {}).get("code", 0),
            received=_seconds(event["requestReceivedTimestamp"]),
            answered=_seconds(event["stageTimestamp"]),
        )


def within(requests: Iterable[AuditedRequest], start: float, end: float) -> list[AuditedRequest]:
    """The requests that were received in a span of time."""
    return [request for request in requests if start <= request.received < end]


def count(requests: Iterable[AuditedRequest], matches: Callable[[AuditedRequest], bool]) -> int:
    return sum(1 for request in requests if matches(request))


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()
