"""How a Deployment moves its replicas from old ReplicaSets to the new one. Pure; the rules are Kubernetes'."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

from flagger_py.objects.resource import Manifest

DESIRED_ANNOTATION: Final = "deployment.kubernetes.io/desired-replicas"
MAX_ANNOTATION: Final = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Set:
    """The counts of one ReplicaSet. `desired` and `limit` are what its Deployment asked for when it was last scaled."""

    name: str
    replicas: int
    available: int
    actual: int
    created: str = ""
    desired: int | None = None
    limit: int | None = None

    @classmethod
    def of(cls, replica_set: Manifest) -> "Set":
        metadata, status = replica_set["metadata"], replica_set.get("status") or {}
        annotations = metadata.get("annotations") or {}
        return cls(
            metadata["name"],
            replica_set["spec"].get("replicas", 1),
            status.get("availableReplicas", 0),
            status.get("replicas", 0),
            metadata.get("creationTimestamp", ""),
            _number(annotations.get(DESIRED_ANNOTATION)),
            _number(annotations.get(MAX_ANNOTATION)),
        )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many pods a Deployment wants, and by how many it may be above or below while it rolls."""

    replicas: int
    surge: int
    unavailable: int

    @classmethod
    def of(cls, deployment: Manifest) -> "Bounds":
        """Percentages of surge round up, those of unavailable down; both 0 would never move, so one may be unavailable."""
        replicas = deployment["spec"].get("replicas", 1)
        strategy = deployment["spec"].get("strategy") or {}
        if strategy.get("type") == "Recreate":
            return cls(replicas, 0, 0)
        rolling = strategy.get("rollingUpdate") or {}
        surge = _resolved(rolling.get("maxSurge", "25%"), replicas, round_up=True)
        unavailable = _resolved(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
        return cls(replicas, surge, unavailable if surge or unavailable else 1)

    @property
    def limit(self) -> int:
        return self.replicas + self.surge if self.replicas else 0

    @property
    def least_available(self) -> int:
        return self.replicas - min(self.unavailable, self.replicas)


def _resolved(value: int | str, total: int, *, round_up: bool) -> int:
    if isinstance(value, int):
        return value
    share = float(value.removesuffix("%")) * total / 100
    return ceil(share) if round_up else floor(share)


def is_scaling(bounds: Bounds, sets: Iterable[Set]) -> bool:
    """Whether the Deployment's own replica count was changed since its ReplicaSets were last scaled."""
    return any(entry.replicas > 0 and entry.desired is not None and entry.desired != bounds.replicas for entry in sets)


def roll(bounds: Bounds, new: Set, old: Sequence[Set]) -> dict[str, int]:
    """The next step of a rolling update: new replica counts by name; empty where nothing can be moved now."""
    return _scale_new(bounds, new, old) or _scale_old(bounds, new, old)


def _scale_new(bounds: Bounds, new: Set, old: Sequence[Set]) -> dict[str, int]:
    if new.replicas > bounds.replicas:
        return {new.name: bounds.replicas}
    free = bounds.replicas + bounds.surge - new.replicas - sum(entry.replicas for entry in old)
    more = min(free, bounds.replicas - new.replicas)
    return {new.name: new.replicas + more} if more > 0 else {}


def _scale_old(bounds: Bounds, new: Set, old: Sequence[Set]) -> dict[str, int]:
    """Unhealthy old pods go first: they serve nobody; then as many as availability allows."""
    total = new.replicas + sum(entry.replicas for entry in old)
    spare = total - bounds.least_available - max(0, new.replicas - new.available)
    if spare <= 0:
        return {}
    oldest_first = sorted((entry for entry in old if entry.replicas), key=lambda entry: (entry.created, entry.name))
    counts = {entry.name: entry.replicas for entry in oldest_first}
    for entry in oldest_first:
        cut = min(spare, max(0, entry.replicas - entry.available))
        counts[entry.name] -= cut
        spare -= cut
    removable = new.available + sum(min(entry.available, counts[entry.name]) for entry in oldest_first) - bounds.least_available
    for entry in oldest_first:
        cut = max(0, min(removable, counts[entry.name]))
        counts[entry.name] -= cut
        removable -= cut
    return {entry.name: counts[entry.name] for entry in oldest_first if counts[entry.name] != entry.replicas}


def recreate(bounds: Bounds, new: Set, old: Sequence[Set]) -> dict[str, int]:
    """All old pods end before a new one starts."""
    if running := {entry.name: 0 for entry in old if entry.replicas}:
        return running
    gone = not any(entry.actual for entry in old)
    return {new.name: bounds.replicas} if gone and new.replicas != bounds.replicas else {}


def scale(bounds: Bounds, new: Set | None, old: Sequence[Set]) -> dict[str, int]:
    """Bring the ReplicaSets to a changed replica count: the only active one alone, several in proportion."""
    sets = [*([new] if new else []), *old]
    active = [entry for entry in sets if entry.replicas]
    if len(active) <= 1:
        chosen = active[0] if active else new or max(old, key=lambda entry: entry.created, default=None)
        return {chosen.name: bounds.replicas} if chosen and chosen.replicas != bounds.replicas else {}
    if new and new.replicas == bounds.replicas == new.available:
        return {entry.name: 0 for entry in old if entry.replicas}
    return _in_proportion(bounds, active)


def _in_proportion(bounds: Bounds, active: Sequence[Set]) -> dict[str, int]:
    total = sum(entry.replicas for entry in active)
    to_add = bounds.limit - total
    largest_first = sorted(active, key=lambda entry: (-entry.replicas, entry.created if to_add < 0 else _reversed(entry.created)))
    counts, added = {}, 0
    for entry in largest_first:
        share = _share(bounds, entry, total)
        part = max(share, to_add - added) if to_add < 0 else min(share, to_add - added)
        counts[entry.name] = max(0, entry.replicas + (part if part * to_add > 0 else 0))
        added += counts[entry.name] - entry.replicas
    first = largest_first[0].name
    counts[first] = max(0, counts[first] + to_add - added)
    return {entry.name: counts[entry.name] for entry in active if counts[entry.name] != entry.replicas}


def _share(bounds: Bounds, entry: Set, total: int) -> int:
    if not bounds.replicas:
        return -entry.replicas
    return round(entry.replicas * bounds.limit / (entry.limit or total)) - entry.replicas


def _reversed(text: str) -> str:
    return "".join(chr(0x10FFFF - ord(char)) for char in text)
