"""Objects with one global resourceVersion, and the history that watches and consistent paging read.

Nothing here knows what an object means. A record's manifest is shared by all readers and never changed: writers decode `data` anew.
"""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from flagger_py.objects.resource import Manifest

Key = tuple[str, str]
"""Namespace (empty where there is none) and name."""

ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"


class Compacted(Exception):
    """The history no longer reaches back to the version asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


@dataclass(slots=True, eq=False)
class Record:
    """One version of one object. `schema` is the schema it was written under; `encodings` keeps its other forms, by whatever key."""

    manifest: Manifest
    version: int
    data: bytes
    schema: object = None
    encodings: dict[Any, bytes] = field(default_factory=dict)

    def fresh(self) -> Manifest:
        """A copy that may be changed."""
        manifest: Manifest = orjson.loads(self.data)
        return manifest


@dataclass(frozen=True, slots=True)
class Change:
    """One write. A DELETED record carries the last state with the version of its deletion."""

    type: str
    key: Key
    record: Record
    previous: Record | None


Listener = Callable[[str, str, Change], None]
"""Takes the group and plural of a collection, and what changed in it."""


class Collection:
    """All objects of one resource, and their latest changes."""

    def __init__(self, group: str, plural: str, history_limit: int) -> None:
        self.group = group
        self.plural = plural
        self.records: dict[Key, Record] = {}
        self._order: list[Key] = []
        self._history: list[Change] = []
        self._history_limit = history_limit
        self.compacted = 0
        """Changes up to this version are forgotten."""
        self.latest = 0
        """The version of the last change."""
        self.closed = 0
        """How often all watches of this collection had to end (its definition changed)."""
        self._watchers: set[asyncio.Event] = set()

    def changes_after(self, version: int) -> list[Change]:
        """What happened after a version, in order. Raises `Compacted`."""
        if version < self.compacted:
            raise Compacted(version, self.compacted)
        start = bisect_left(self._history, version + 1, key=lambda change: change.record.version)
        return self._history[start:]

    def at(self, version: int) -> dict[Key, Record]:
        """The objects as they were at a version, unordered. Raises `Compacted`."""
        records = dict(self.records)
        for change in reversed(self.changes_after(version)):
            if change.previous is None:
                records.pop(change.key, None)
            else:
                records[change.key] = change.previous
        return records

    def ordered(self, namespace: str = "") -> Iterator[tuple[Key, Record]]:
        """The objects as they are now, by namespace and name; the collection must not change meanwhile."""
        start = bisect_left(self._order, (namespace, "")) if namespace else 0
        for key in self._order[start:]:
            if namespace and key[0] != namespace:
                return
            yield key, self.records[key]

    def record(self, change: Change) -> None:
        if change.type == DELETED:
            del self.records[change.key]
            del self._order[bisect_left(self._order, change.key)]
        else:
            if change.type == ADDED:
                insort(self._order, change.key)
            self.records[change.key] = change.record
        self._history.append(change)
        self.latest = change.record.version
        if len(self._history) > 2 * self._history_limit:
            self._forget(self._history_limit)
        self._wake()

    def compact(self, version: int) -> None:
        """Forget every change up to a version."""
        kept = len(self.changes_after(max(version, self.compacted)))
        self._forget(kept)
        self.compacted = max(self.compacted, version)

    def close_watches(self) -> None:
        """End all watches, as a change of the definition does."""
        self.closed += 1
        self._wake()

    def subscribe(self) -> asyncio.Event:
        """An event that is set at every change until `unsubscribe`."""
        event = asyncio.Event()
        self._watchers.add(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        self._watchers.discard(event)

    def _forget(self, kept: int) -> None:
        forgotten = self._history[: len(self._history) - kept]
        if forgotten:
            self.compacted = forgotten[-1].record.version
            self._history = self._history[len(forgotten) :]

    def _wake(self) -> None:
        for event in self._watchers:
            event.set()


class Store:
    """All collections under one counter of versions. `history_limit` is in changes per resource."""

    def __init__(self, history_limit: int) -> None:
        self._history_limit = history_limit
        self._collections: dict[tuple[str, str], Collection] = {}
        self.listeners: list[Listener] = []
        """Called in order after each change; they may write, which nests."""
        self.version = 1

    def collection(self, group: str, plural: str) -> Collection:
        key = (group, plural)
        if key not in self._collections:
            self._collections[key] = Collection(group, plural, self._history_limit)
        return self._collections[key]

    def collections(self) -> list[Collection]:
        return list(self._collections.values())

    def drop(self, group: str, plural: str) -> None:
        """Forget a collection whose definition is gone; its watches end."""
        gone = self._collections.pop((group, plural), None)
        if gone is not None:
            gone.close_watches()

    def put(self, collection: Collection, key: Key, manifest: Manifest, schema: object = None) -> Record:
        """Store an object (new or not) under the next version, which is written into its metadata."""
        previous = collection.records.get(key)
        record = self._next(manifest, schema)
        self._record(collection, Change(MODIFIED if previous else ADDED, key, record, previous))
        return record

    def remove(self, collection: Collection, key: Key) -> Record:
        """Remove an object; the answer is its last state under the version of the deletion."""
        previous = collection.records[key]
        record = self._next(previous.fresh(), previous.schema)
        self._record(collection, Change(DELETED, key, record, previous))
        return record

    def compact(self) -> None:
        """Forget all history, as etcd does from time to time: what reads older versions is answered 410."""
        for collection in self._collections.values():
            collection.compact(self.version)

    def _record(self, collection: Collection, change: Change) -> None:
        collection.record(change)
        for listener in self.listeners:
            listener(collection.group, collection.plural, change)

    def _next(self, manifest: Manifest, schema: object) -> Record:
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        return Record(manifest, self.version, orjson.dumps(manifest), schema)
