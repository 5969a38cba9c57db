"""Watch: the history of a collection as a stream of events, with selectors, bookmarks, an end, and 410 where history is gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import orjson

from flagger_py.local.apiserver.answers import Streaming
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.encoding import encode_metadata
from flagger_py.local.apiserver.forms import Form, negotiate
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.reading import requested_version
from flagger_py.local.apiserver.selectors import Test, object_test
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import Refused, expired
from flagger_py.local.apiserver.store import ADDED, DELETED, MODIFIED, Change, Collection, Compacted, Record
from flagger_py.local.apiserver.tables import table

BOOKMARK_INTERVAL: Final = 60.0
"""Seconds between bookmarks, as in kube-apiserver."""
BOOKMARK_BEFORE_END: Final = 2.0
"""Seconds before the end of a watch at which a last bookmark is sent."""
DEFAULT_TIMEOUT: Final = 1800.0
"""Seconds that a watch lives where none are asked for: the least that kube-apiserver gives."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class _View:
    """What one watcher sees of a collection."""

    state: State
    call: Call
    kind: Kind
    form: Form
    test: Test | None
    namespace: str

    def line(self, change: Change) -> bytes | None:
        """The event that a change is for this watcher; `None` where it never saw the object.

        An object that leaves the selection is deleted.
        """
        if self.namespace and change.key[0] != self.namespace:
            return None
        before = change.previous is not None and self._sees(change.previous)
        after = change.type != DELETED and self._sees(change.record)
        if after:
            return self.event(MODIFIED if before else ADDED, change.record)
        return self.event(DELETED, self._left(change)) if before else None

    def event(self, word: str, record: Record) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (word.encode(), self._encoded(record))

    def bookmark(self, version: int, *, ends_initial: bool = False) -> bytes:
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if ends_initial:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        named = {"kind": self.kind.resource.kind, "apiVersion": self.kind.resource.api_version}
        if self.form is Form.METADATA:
            named = {"kind": self.form.value, "apiVersion": "meta.k8s.io/v1"}
        return orjson.dumps({"type": "BOOKMARK", "object": {**named, "metadata": metadata}}) + b"\n"

    def _sees(self, record: Record) -> bool:
        return self.test is None or self.test(record.manifest)

    def _left(self, change: Change) -> Record:
        """The last state that the watcher saw, under the version at which it left."""
        if change.type == DELETED or change.previous is None:
            return change.record
        manifest = change.previous.fresh()
        manifest["metadata"]["resourceVersion"] = str(change.record.version)
        return Record(manifest, change.record.version, orjson.dumps(manifest), change.previous.schema)

    def _encoded(self, record: Record) -> bytes:
        match self.form:
            case Form.OBJECT:
                return self.state.encode(self.kind, record)
            case Form.METADATA:
                return encode_metadata(record)
            case Form.TABLE:
                return table(self.state, self.kind, [record], record.version, self.call.query)


def watch(state: State, call: Call, kind: Kind) -> Streaming:
    """The stream of a watch request. Raises 400 for a bad selector; a version of the future is waited for."""
    namespace = call.target.namespace if kind.resource.namespaced else ""
    view = _View(state, call, kind, negotiate(call), object_test(kind, call.query), namespace)
    timeout = float(call.query.get("timeoutSeconds") or 0) or DEFAULT_TIMEOUT
    watcher = _Watcher(view, state.collection(kind), requested_version(call), timeout)
    return Streaming(watcher.run(), warnings=tuple(call.warnings))


class _Watcher:
    """One running watch: a position in the history, moved forward whenever the collection changes."""

    def __init__(self, view: _View, collection: Collection, position: int, timeout: float) -> None:
        self._view = view
        self._collection = collection
        self._position = position
        self._timeout = timeout
        self._closed_before = collection.closed
        self._wants_bookmarks = view.call.flag("allowWatchBookmarks")
        self._initial = self._initial_lines()

    async def run(self) -> AsyncIterator[bytes]:
        """Chunks of one or more whole lines until the time is up, the definition changes, or the history is gone."""
        changed = self._collection.subscribe()
        end = asyncio.get_running_loop().time() + self._timeout
        try:
            if self._initial:
                yield b"".join(self._initial)
            async for chunk in self._follow(changed, end):
                yield chunk
        except Compacted as error:
            yield error_line(expired(str(error)))
        finally:
            self._collection.unsubscribe(changed)

    async def _follow(self, changed: asyncio.Event, end: float) -> AsyncIterator[bytes]:
        bookmark_at = _next_bookmark(asyncio.get_running_loop().time(), end)
        while self._collection.closed == self._closed_before:
            changed.clear()
            if lines := self._new_lines():
                yield lines
            limit = min(end, bookmark_at) if self._wants_bookmarks else end
            try:
                async with asyncio.timeout_at(limit):
                    await changed.wait()
            except TimeoutError:
                if limit == end:  # by the limit, not by the clock: a timer may fire some nanoseconds early
                    return
                yield self._view.bookmark(self._position)
                bookmark_at = _next_bookmark(limit, end)

    def _new_lines(self) -> bytes:
        changes = self._collection.changes_after(self._position) if self._collection.latest > self._position else []
        self._position = max(self._position, self._view.state.store.version)
        return b"".join(line for change in changes if (line := self._view.line(change)))

    def _initial_lines(self) -> list[bytes]:
        """The state to begin with, where no version or version 0 or `sendInitialEvents` is asked for."""
        call, view = self._view.call, self._view
        sends_initial = call.flag("sendInitialEvents")
        if self._position and not sends_initial:
            return []
        self._position = view.state.store.version
        if not sends_initial and "sendInitialEvents" in call.query:
            return []
        seen = (record for _, record in self._collection.ordered(view.namespace) if view.test is None or view.test(record.manifest))
        lines = [view.event(ADDED, record) for record in seen]
        ends = self._wants_bookmarks and (sends_initial or not call.query.get("resourceVersion"))
        return [*lines, view.bookmark(self._position, ends_initial=True)] if ends else lines


def _next_bookmark(now: float, end: float) -> float:
    """Every interval, and once shortly before the end."""
    last = end - BOOKMARK_BEFORE_END
    return min(now + BOOKMARK_INTERVAL, last) if now < last else end


def error_line(refused: Refused) -> bytes:
    """An ERROR event; the watch ends after it."""
    return orjson.dumps({"type": "ERROR", "object": refused.body}) + b"\n"
