"""The objects of one resource, kept small: reduced on arrival, and as JSON text until they are read.

A dict of Python objects is five to ten times the size of its JSON; with thousands of foreign objects of each kind that
is the difference between fitting into the memory budget and not (design §9). Reads are rare, and each gives a new dict.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from flagger_py.objects.resource import Manifest, Resource

Key = tuple[str, str]
"""Namespace and name."""


def whole(manifest: Manifest) -> Manifest:
    """Keep everything."""
    return manifest


def identity_only(manifest: Manifest) -> Manifest:
    """Keep what says which object it is; its version is kept by the store."""
    metadata = manifest["metadata"]
    return {"metadata": {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}}


@dataclass(frozen=True, slots=True)
class Projection:
    """What is kept of the objects of a resource.

    `reduce` may return its argument or a new manifest with at least `metadata.name` and `metadata.namespace`. With
    `metadata_only` the server is asked for metadata alone, and each new version counts as a change, since what changed cannot be seen.
    """

    reduce: Callable[[Manifest], Manifest] = whole
    metadata_only: bool = False


class _Entry(NamedTuple):
    version: str
    text: bytes
    """The reduced manifest without its resourceVersion: two versions that differ in nothing we keep are equal."""


class Store:
    """Objects by namespace and name, fed by one watch and by the replies to our own writes.

    Own writes can be read at once: what the watch still says about an older version of that object is ignored. Versions
    are compared as numbers where they are numbers; where not, the watch is ignored for that object until it has reached our version.
    A list that began after a write is the truth even if its versions are lower (a server restored from a backup).

    Each method that takes something in returns the keys of the objects that have changed by it.
    """

    def __init__(self, resource: Resource, projection: Projection) -> None:
        self.resource = resource
        self._projection = projection
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._pinned: dict[Key, str] = {}
        self._deleted_uids: set[str] = set()
        self._listing: _Listing | None = None

    def __len__(self) -> int:
        return sum(len(names) for names in self._entries.values())

    def read(self, namespace: str, name: str) -> Manifest | None:
        """The reduced object, in a dict of its own."""
        entry = self._entries.get(namespace, {}).get(name)
        return self._manifest(entry) if entry else None

    def version(self, namespace: str, name: str) -> str:
        """The resourceVersion that is stored; empty where there is no such object."""
        entry = self._entries.get(namespace, {}).get(name)
        return entry.version if entry else ""

    def items(self, namespace: str = "") -> Iterator[Manifest]:
        """All reduced objects (of one namespace, where given), in no order. The store may change between two of them."""
        chosen = [self._entries.get(namespace, {})] if namespace else list(self._entries.values())
        for names in chosen:
            for entry in list(names.values()):
                yield self._manifest(entry)

    def __iter__(self) -> Iterator[Key]:
        """The keys of all objects."""
        return ((namespace, name) for namespace, names in self._entries.items() for name in names)

    def begin_list(self) -> None:
        """A list begins: it replaces everything, except what we write while it runs."""
        self._listing = _Listing()
        self._pinned.clear()
        self._deleted_uids.clear()

    def complete_list(self) -> list[Key]:
        """The list is complete: what it did not name is gone."""
        if self._listing is None:
            return []
        kept, self._listing = self._listing.seen | self._listing.written, None
        gone = [key for key in self if key not in kept]
        for key in gone:
            self._drop(key)
        return gone

    def upsert(self, manifest: Manifest) -> list[Key]:
        """An object from the watch or from a list."""
        key, metadata = _key(manifest), manifest["metadata"]
        if self._listing:
            self._listing.seen.add(key)
        if metadata.get("uid", "") in self._deleted_uids or self._is_outdated(key, metadata.get("resourceVersion", "")):
            return []
        return self._put(key, manifest)

    def remove(self, manifest: Manifest) -> list[Key]:
        """The watch says that this object was deleted."""
        key, metadata = _key(manifest), manifest["metadata"]
        self._deleted_uids.discard(metadata.get("uid", ""))
        if self._is_outdated(key, metadata.get("resourceVersion", "")):
            return []
        return self._drop(key)

    def absorb(self, reply: Manifest) -> list[Key]:
        """Take in the reply to an own write, or to a live read."""
        key, version = _key(reply), reply["metadata"].get("resourceVersion", "")
        if not version or self._is_older(key, version):
            return []
        if self._listing:
            self._listing.written.add(key)
        if not version.isdecimal() and version != self.version(*key):
            self._pinned[key] = version
        return self._put(key, reply)

    def forget(self, namespace: str, name: str, uid: str) -> list[Key]:
        """The server has confirmed our deletion of this object; late news of it is ignored."""
        entry = self._entries.get(namespace, {}).get(name)
        if uid:
            self._deleted_uids.add(uid)
        if not entry or (uid and self._manifest(entry)["metadata"].get("uid", uid) != uid):
            return []
        return self._drop((namespace, name))

    def _is_outdated(self, key: Key, version: str) -> bool:
        """Whether the watch speaks of a state before the one that we have from our own write."""
        if self._listing:
            return key in self._listing.written and self._is_older(key, version)
        if key in self._pinned:
            if version != self._pinned[key]:
                return True
            del self._pinned[key]
            return False
        return self._is_older(key, version)

    def _is_older(self, key: Key, version: str) -> bool:
        known = self.version(*key)
        return known.isdecimal() and version.isdecimal() and int(version) < int(known)

    def _put(self, key: Key, manifest: Manifest) -> list[Key]:
        namespace, name = key
        names = self._entries.setdefault(sys.intern(namespace), {})
        entry, before = self._entry(manifest), names.get(name)
        names[name] = entry
        if before and before.text == entry.text and (before.version == entry.version or not self._projection.metadata_only):
            return []
        return [key]

    def _drop(self, key: Key) -> list[Key]:
        namespace, name = key
        self._pinned.pop(key, None)
        names = self._entries.get(namespace, {})
        if names.pop(name, None) is None:
            return []
        if not names:
            del self._entries[namespace]
        return [key]

    def _entry(self, manifest: Manifest) -> _Entry:
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
        content = {"metadata": metadata} if self._projection.metadata_only else {**manifest, "metadata": metadata}
        reduced = self._projection.reduce(content)
        kept = {key: value for key, value in reduced["metadata"].items() if key != "resourceVersion"}
        body = {key: value for key, value in reduced.items() if key not in _HEADER}
        return _Entry(metadata.get("resourceVersion", ""), _exact({**body, "metadata": kept}))

    def _manifest(self, entry: _Entry) -> Manifest:
        content: Manifest = orjson.loads(entry.text)
        content["metadata"]["resourceVersion"] = entry.version
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **content}


_HEADER: Final = frozenset({"apiVersion", "kind"})
"""The same for all objects of a store, and missing from the items of a list: added when read."""


class _Listing:
    """What has come since a list began."""

    def __init__(self) -> None:
        self.seen: set[Key] = set()
        self.written: set[Key] = set()


def _exact(content: Manifest) -> bytes:
    """JSON text that takes no more room than it needs: what orjson returns keeps its whole buffer, about 4 KiB (measured)."""
    return bytes(memoryview(orjson.dumps(content)))


def _key(manifest: Manifest) -> Key:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
