"""What the audit log says about the controllers. Each replica's User-Agent ends with its Lease identity (design §6)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.e2e.controller import USER

WRITES: Final = frozenset({"create", "update", "patch", "delete"})
HARMLESS: Final = frozenset({"leases", "events", "selfsubjectaccessreviews"})
"""What a replica may write that does not lead (any more): the Lease is compared and swapped, events are told by name."""


@dataclass(frozen=True, slots=True)
class Call:
    """One finished request of a controller."""

    identity: str
    verb: str
    resource: str
    """With its sub-resource, or the path of what is no resource."""
    code: int
    message: str
    started: datetime
    ended: datetime

    @property
    def is_write(self) -> bool:
        """Whether it changed something that only the leader may change."""
        return self.verb in WRITES and self.resource not in HARMLESS and self.code < 400


def read(log: Path, user: str) -> list[dict[str, Any]]:
    """The finished requests of one user in a log that is being written."""
    entries = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return [entry for entry in entries if entry["user"].get("username") == user]


def calls(audit: Iterable[dict[str, Any]]) -> list[Call]:
    """Those of the controllers' service account, in the order of their ends."""
    return [_call(entry) for entry in audit if entry["user"].get("username") == USER and entry["stage"] == "ResponseComplete"]


def refused_calls(audit: Iterable[dict[str, Any]]) -> list[Call]:
    """Those with credentials that the server did not accept (401)."""
    return [_call(entry) for entry in audit if (entry.get("responseStatus") or {}).get("code") == 401]


def _call(entry: dict[str, Any]) -> Call:
    target, status = entry.get("objectRef") or {}, entry.get("responseStatus") or {}
    parts = [part for part in (target.get("resource"), target.get("subresource")) if part]
    return Call(
        identity=entry.get("userAgent", "").rpartition(" ")[2],
        verb=entry["verb"],
        resource="/".join(parts) or entry["requestURI"],
        code=status.get("code", 0),
        message=status.get("message", ""),
        started=datetime.fromisoformat(entry["requestReceivedTimestamp"]),
        ended=datetime.fromisoformat(entry["stageTimestamp"]),
    )


def writers(found: Iterable[Call]) -> list[str]:
    """The identities that wrote, each as often as it took turns: two that took turns more than once wrote at the same time."""
    turns: list[str] = []
    for call in sorted((call for call in found if call.is_write), key=lambda call: call.started):
        if not turns or turns[-1] != call.identity:
            turns.append(call.identity)
    return turns


def overlapping_writes(found: Iterable[Call]) -> list[tuple[Call, Call]]:
    """Each write of a replica that ended after a replica whose turn came later had begun to write."""
    writes = sorted((call for call in found if call.is_write), key=lambda call: call.started)
    order = list(dict.fromkeys(call.identity for call in writes))
    first = {identity: next(call for call in writes if call.identity == identity) for identity in order}
    return [
        (write, first[later])
        for write in writes
        for later in order[order.index(write.identity) + 1 :]
        if write.ended > first[later].started
    ]
