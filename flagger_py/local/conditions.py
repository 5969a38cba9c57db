"""Conditions and times as Kubernetes objects carry them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Condition = Mapping[str, Any]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as `metav1.Time` has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def condition(kind: str, is_true: bool, reason: str = "", message: str = "") -> dict[str, Any]:
    """A condition without times."""
    words = {"reason": reason, "message": message}
    return {"type": kind, "status": "True" if is_true else "False", **{key: value for key, value in words.items() if value}}


def find_condition(manifest: Mapping[str, Any], kind: str) -> Condition | None:
    """The condition of an object's status; `None` where it has none of this type."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), None)


def is_true(manifest: Mapping[str, Any], kind: str) -> bool:
    found = find_condition(manifest, kind)
    return found is not None and found["status"] == "True"


def with_transition_times(new: Iterable[Condition], old: Iterable[Condition] | None, now: datetime) -> list[dict[str, Any]]:
    """The new conditions; `lastTransitionTime` moves only where a condition's status has changed."""
    before = {entry["type"]: entry for entry in old or ()}
    return [{**entry, "lastTransitionTime": _transition(entry, before.get(entry["type"]), now)} for entry in new]


def _transition(new: Condition, old: Condition | None, now: datetime) -> str:
    if old is not None and old["status"] == new["status"] and old.get("lastTransitionTime"):
        return str(old["lastTransitionTime"])
    return timestamp(now)
