"""Garbage collection: dependents follow their owners, in the background, in the foreground, or are orphaned.

It works on what the store says at the moment and keeps only an index of dependents by owner uid; repeating a step changes nothing.
"""

from collections import deque
from typing import Any, Final

from flagger_py.local.apiserver.deleting import FOREGROUND, ORPHAN
from flagger_py.local.apiserver.internal import Internal
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.store import DELETED, Change, Key, Record
from flagger_py.objects.resource import Manifest

Place = tuple[str, str, Key]
"""Group, plural and key of an object."""

_MARKS: Final = frozenset({FOREGROUND, ORPHAN})


class GarbageCollector:
    """Takes changes in, and says what to do in `step`; nothing happens until that is called."""

    def __init__(self, state: State, internal: Internal) -> None:
        self._state = state
        self._internal = internal
        self._dependents: dict[str, set[Place]] = {}
        self._queue: deque[Place] = deque()
        state.store.listeners.append(self._changed)

    def step(self) -> bool:
        """Look at one object that may have to go; whether there was one."""
        if not self._queue:
            return False
        group, plural, key = self._queue.popleft()
        kind = self._state.registry.stored(group, plural)
        record = self._state.store.collection(group, plural).records.get(key) if kind else None
        if kind is not None and record is not None:
            self._consider(kind, key, record)
        return True

    def _changed(self, group: str, plural: str, change: Change) -> None:
        place = (group, plural, change.key)
        metadata = change.record.manifest["metadata"]
        before = _owner_uids(change.previous.manifest) if change.previous else set()
        after = set() if change.type == DELETED else _owner_uids(change.record.manifest)
        for uid in before - after:
            self._dependents.get(uid, set()).discard(place)
        for uid in after - before:
            self._dependents.setdefault(uid, set()).add(place)
        if change.type == DELETED:
            self._queue.extend(sorted(self._dependents.get(metadata["uid"], set())))
            self._queue.extend(self._places_of_owners(change))
        elif after or _MARKS & set(metadata.get("finalizers", ())):
            self._queue.append(place)

    def _places_of_owners(self, change: Change) -> list[Place]:
        """Owners that wait in the foreground for this dependent to go."""
        places = []
        for owner in change.record.manifest["metadata"].get("ownerReferences", []):
            found = self._owner(owner, change.key[0])
            if found is not None:
                kind, key, record = found
                if FOREGROUND in record.manifest["metadata"].get("finalizers", ()):
                    places.append((kind.resource.group, kind.resource.plural, key))
        return places

    def _consider(self, kind: Kind, key: Key, record: Record) -> None:
        metadata = record.manifest["metadata"]
        marks = _MARKS & set(metadata.get("finalizers", ()))
        if "deletionTimestamp" in metadata and marks:
            self._release_or_wait(kind, key, record, marks)
        elif metadata.get("ownerReferences") and "deletionTimestamp" not in metadata:
            self._follow_owners(kind, key, record)

    def _follow_owners(self, kind: Kind, key: Key, record: Record) -> None:
        present, waiting, absent = [], [], []
        for owner in record.manifest["metadata"]["ownerReferences"]:
            if not self._is_known(owner):
                present.append(owner)  # its kind is not served, so nobody can say that it is gone
                continue
            found = self._owner(owner, key[0])
            if found is None:
                absent.append(owner)
            elif _waits_in_foreground(found[2].manifest):
                waiting.append(owner)
            else:
                present.append(owner)
        if not absent and not waiting:
            return
        if present:
            self._forget_owners(kind, key, record, present)
        else:
            self._internal.delete(kind, key, record, "Foreground" if waiting else "Background")

    def _release_or_wait(self, kind: Kind, key: Key, record: Record, marks: frozenset[str]) -> None:
        """An orphaning owner lets its dependents go; a foreground one deletes them and waits for those that block it."""
        dependents = [(place, found) for place in self._dependents_of(record) if (found := self._find(place)) is not None]
        if ORPHAN in marks:
            uid = record.manifest["metadata"]["uid"]
            for (_, _, dependent), (dependent_kind, dependent_record) in dependents:
                kept = [one for one in dependent_record.manifest["metadata"]["ownerReferences"] if one["uid"] != uid]
                self._forget_owners(dependent_kind, dependent, dependent_record, kept)
        elif any(_blocks(found[1].manifest, record) for _, found in dependents):
            for place, _ in dependents:
                self._queue.append(place) if _is_untouched(self._find(place)) else None
            return
        self._remove_finalizers(kind, key, record, marks)

    def _remove_finalizers(self, kind: Kind, key: Key, record: Record, marks: frozenset[str]) -> None:
        manifest = record.fresh()
        manifest["metadata"]["finalizers"] = [one for one in manifest["metadata"]["finalizers"] if one not in marks]
        self._internal.update(kind, key, manifest)

    def _forget_owners(self, kind: Kind, key: Key, record: Record, kept: list[dict[str, Any]]) -> None:
        manifest = record.fresh()
        manifest["metadata"]["ownerReferences"] = kept
        if not kept:
            del manifest["metadata"]["ownerReferences"]
        self._internal.update(kind, key, manifest)

    def _dependents_of(self, record: Record) -> list[Place]:
        return sorted(self._dependents.get(record.manifest["metadata"]["uid"], set()))

    def _find(self, place: Place) -> tuple[Kind, Record] | None:
        group, plural, key = place
        kind = self._state.registry.stored(group, plural)
        record = self._state.store.collection(group, plural).records.get(key) if kind else None
        return (kind, record) if kind and record else None

    def _is_known(self, owner: dict[str, Any]) -> bool:
        return self._state.registry.by_kind(owner["apiVersion"].rpartition("/")[0], owner["kind"]) is not None

    def _owner(self, owner: dict[str, Any], namespace: str) -> tuple[Kind, Key, Record] | None:
        """The owner that a reference means: same uid, and same namespace or none."""
        kind = self._state.registry.by_kind(owner["apiVersion"].rpartition("/")[0], owner["kind"])
        if kind is None:
            return None
        key = (namespace if kind.resource.namespaced else "", owner["name"])
        record = self._state.collection(kind).records.get(key)
        return (kind, key, record) if record and record.manifest["metadata"]["uid"] == owner["uid"] else None


def _owner_uids(manifest: Manifest) -> set[str]:
    return {owner["uid"] for owner in manifest["metadata"].get("ownerReferences", ())}


def _waits_in_foreground(manifest: Manifest) -> bool:
    return "deletionTimestamp" in manifest["metadata"] and FOREGROUND in manifest["metadata"].get("finalizers", ())


def _blocks(manifest: Manifest, owner: Record) -> bool:
    uid = owner.manifest["metadata"]["uid"]
    return any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in manifest["metadata"].get("ownerReferences", ()))


def _is_untouched(found: tuple[Kind, Record] | None) -> bool:
    return found is not None and "deletionTimestamp" not in found[1].manifest["metadata"]
