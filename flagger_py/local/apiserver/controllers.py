"""The controllers that belong to the API itself: garbage collection, deletion of namespaces and of CRDs, and default service accounts."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from flagger_py.local.apiserver.collector import GarbageCollector
from flagger_py.local.apiserver.definitions import CLEANUP, PLURAL
from flagger_py.local.apiserver.definitions import GROUP as EXTENSIONS
from flagger_py.local.apiserver.expiry import EventExpiry
from flagger_py.local.apiserver.internal import Internal
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import Refused
from flagger_py.local.apiserver.store import ADDED, DELETED, Change, Key, Record

log = structlog.get_logger()

_CONTENT_FINALIZER: Final = "kubernetes"


class Controllers:
    """Reacts to changes one after another; `settle` does all there is to do, `run` does it whenever something changes."""

    def __init__(self, state: State, event_lifetime: timedelta) -> None:
        self._state = state
        self._expiry = EventExpiry(state, event_lifetime)
        self._internal = Internal(state)
        self._collector = GarbageCollector(state, self._internal)
        self._namespaces: set[str] = set()
        self._definitions: set[Key] = set()
        self._new_namespaces: list[str] = []
        self._work = asyncio.Event()
        state.store.listeners.append(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._work.wait()
            if not self._step():
                self._work.clear()
            await asyncio.sleep(0)

    def settle(self) -> None:
        """Do now what `run` would do by and by."""
        while self._step():
            pass

    def _step(self) -> bool:
        try:
            return self._one()
        except Refused as refused:  # an object changed under our hands: its change has queued it again
            log.warning("controller_write_refused", code=refused.code, message=refused.message)
            return True

    def _one(self) -> bool:
        if self._new_namespaces:
            self._add_default_account(self._new_namespaces.pop())
            return True
        if self._collector.step():
            return True
        if self._namespaces:
            self._empty_namespace(self._namespaces.pop())
            return True
        if self._definitions:
            self._empty_definition(self._definitions.pop())
            return True
        return False

    def _changed(self, group: str, plural: str, change: Change) -> None:
        self._work.set()
        if (group, plural) == ("", "namespaces"):
            self._note_namespace(change)
        elif change.type == DELETED and self._is_terminating(change.key[0]):
            self._namespaces.add(change.key[0])
        if (group, plural) == (EXTENSIONS, PLURAL):
            if change.type != DELETED and "deletionTimestamp" in change.record.manifest["metadata"]:
                self._definitions.add(change.key)
        elif change.type == DELETED and (definition := ("", f"{plural}.{group}")) in self._crds():
            self._definitions.add(definition)

    def _note_namespace(self, change: Change) -> None:
        if change.type == ADDED:
            self._new_namespaces.append(change.key[1])
        elif change.type != DELETED and "deletionTimestamp" in change.record.manifest["metadata"]:
            self._namespaces.add(change.key[1])

    def _is_terminating(self, namespace: str) -> bool:
        found = self._state.namespace(namespace) if namespace else None
        return found is not None and "deletionTimestamp" in found["metadata"]

    def _add_default_account(self, namespace: str) -> None:
        kind = self._state.registry.find("", "v1", "serviceaccounts")
        exists = kind is not None and (namespace, "default") in self._state.collection(kind).records
        if kind is not None and not exists and self._state.namespace(namespace) and not self._is_terminating(namespace):
            manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
            self._internal.create(kind, manifest)

    def _empty_namespace(self, namespace: str) -> None:
        """Delete what a terminating namespace holds; when nothing is left, let the namespace go."""
        left = [(kind, key, record) for kind in self._namespaced_kinds() for key, record in self._contents(kind, namespace)]
        for kind, key, record in left:
            if "deletionTimestamp" not in record.manifest["metadata"]:
                self._internal.delete(kind, key, record)
        if any(self._contents(kind, namespace) for kind in self._namespaced_kinds()):
            return
        self._finalize(namespace)

    def _finalize(self, namespace: str) -> None:
        kind = self._state.registry.find("", "v1", "namespaces")
        record = self._state.store.collection("", "namespaces").records.get(("", namespace))
        if kind is not None and record is not None:
            manifest = record.fresh()
            finalizers = manifest.get("spec", {}).get("finalizers", [])
            manifest["spec"]["finalizers"] = [one for one in finalizers if one != _CONTENT_FINALIZER]
            self._internal.update(kind, ("", namespace), manifest, subresource="finalize")

    def _namespaced_kinds(self) -> list[Kind]:
        kinds = {(kind.resource.group, kind.resource.plural): kind for kind in self._state.registry.kinds() if kind.resource.namespaced}
        return [kind for kind in kinds.values() if "list" in kind.verbs]

    def _contents(self, kind: Kind, namespace: str) -> list[tuple[Key, Record]]:
        return list(self._state.collection(kind).ordered(namespace))

    def _empty_definition(self, key: Key) -> None:
        """Delete the objects of a CRD that is being deleted; when none is left, let the CRD go."""
        kind = self._state.registry.find(EXTENSIONS, "v1", PLURAL)
        record = self._crds().get(key)
        if kind is None or record is None or "deletionTimestamp" not in record.manifest["metadata"]:
            return
        spec = record.manifest["spec"]
        custom = self._state.registry.stored(spec["group"], spec["names"]["plural"])
        collection = self._state.store.collection(spec["group"], spec["names"]["plural"])
        for one, found in list(collection.ordered()):
            if custom is not None and "deletionTimestamp" not in found.manifest["metadata"]:
                self._internal.delete(custom, one, found)
        if not collection.records:
            manifest = record.fresh()
            manifest["metadata"]["finalizers"] = [one for one in manifest["metadata"].get("finalizers", []) if one != CLEANUP]
            self._internal.update(kind, key, manifest)

    def _crds(self) -> dict[Key, Record]:
        return self._state.store.collection(EXTENSIONS, PLURAL).records
