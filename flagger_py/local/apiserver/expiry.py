"""Events are forgotten after a while, oldest first, so that a cluster that runs for days does not grow."""

from collections import deque
from datetime import datetime, timedelta

from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.store import DELETED, Change, Key


class EventExpiry:
    """Looks at each new Event which older ones have lived long enough; a repeated one lives on from its last write."""

    def __init__(self, state: State, lifetime: timedelta) -> None:
        self._state = state
        self._lifetime = lifetime
        self._written: deque[tuple[datetime, Key, int]] = deque()
        state.store.listeners.append(self._changed)

    def _changed(self, group: str, plural: str, change: Change) -> None:
        if (group, plural) != ("", "events") or change.type == DELETED:
            return
        now = self._state.now()
        self._written.append((now, change.key, change.record.version))
        while self._written and now - self._written[0][0] >= self._lifetime:
            _, key, version = self._written.popleft()
            collection = self._state.store.collection("", "events")
            record = collection.records.get(key)
            if record is not None and record.version == version:
                self._state.store.remove(collection, key)
