"""What one Canary has to know of the others: who owns a target, and how many runs are starting."""

from collections.abc import Callable
from dataclasses import dataclass

from flagger_py.api.references import target_kind
from flagger_py.api.status import Phase
from flagger_py.objects.resource import Manifest, Ref

_Target = tuple[str, str, str]
"""Namespace, kind and name."""
_Age = tuple[str, str]
"""Creation time and name: the lower one is older."""


@dataclass(frozen=True, slots=True)
class _Member:
    target: _Target
    age: _Age
    is_starting: bool


class Fleet:
    """An index of all Canaries, so that a look-up is no walk over them. Fed with every Canary at start, then by their passes."""

    def __init__(self) -> None:
        self._members: dict[Ref, _Member] = {}
        self._by_target: dict[_Target, set[Ref]] = {}
        self._starting: set[Ref] = set()
        self._on_rivals_changed: Callable[[Ref], None] = lambda ref: None

    def on_rivals_changed(self, callback: Callable[[Ref], None]) -> None:
        """Call it with each Canary that another one has joined at its target, or left alone there."""
        self._on_rivals_changed = callback

    def note(self, ref: Ref, manifest: Manifest) -> None:
        """Take in a Canary as it is now; one that cannot be parsed counts as long as it names a target."""
        spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
        target = spec.get("targetRef") or {}
        age = (str(manifest["metadata"].get("creationTimestamp", "")).replace("Z", "+00:00"), ref.name)
        is_starting = status.get("phase") == Phase.PROGRESSING and not status.get("canaryWeight")
        kind = target_kind(str(target.get("kind", "")), str(target.get("apiVersion", "")))
        self._put(ref, _Member((ref.namespace, kind, str(target.get("name", ""))), age, is_starting))

    def refs(self) -> list[Ref]:
        """All Canaries."""
        return list(self._members)

    def forget(self, ref: Ref) -> None:
        """The Canary is gone."""
        self._starting.discard(ref)
        if member := self._members.pop(ref, None):
            rivals = self._by_target[member.target]
            rivals.discard(ref)
            self._tell(rivals)
            if not rivals:
                del self._by_target[member.target]

    def older_owner(self, ref: Ref) -> Ref | None:
        """The oldest Canary with the same target, where it is not this one: it goes on, this one does not (design §6, api:GAP-60)."""
        own = self._members[ref]
        oldest = min(self._by_target[own.target], key=lambda other: self._members[other].age)
        return None if oldest == ref else oldest

    def starting_besides(self, ref: Ref) -> int:
        """How many other runs have no traffic on their canary yet."""
        return len(self._starting - {ref})

    def _put(self, ref: Ref, member: _Member) -> None:
        if self._members.get(ref) == member:
            return
        self.forget(ref)
        self._members[ref] = member
        rivals = self._by_target.setdefault(member.target, set())
        self._tell(rivals)
        rivals.add(ref)
        if member.is_starting:
            self._starting.add(ref)

    def _tell(self, rivals: set[Ref]) -> None:
        for rival in rivals:
            self._on_rivals_changed(rival)
