"""Work in the background, in order for each Canary: what a slow receiver delays is its own Canary's backlog, and never a pass."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

Item = TypeVar("Item")


class Backlogs(Generic[Item]):
    """One bounded queue per key; a key has a task only while it has work.

    `handle` is called with one item of a key at a time, and with at most `at_once` items in all. Its exceptions end that item only.
    """

    def __init__(
        self, group: asyncio.TaskGroup, name: str, handle: Callable[[Item], Awaitable[None]], *, limit: int = 64, at_once: int = 8
    ) -> None:
        self._group = group
        self._name = name
        self._handle = handle
        self._limit = limit
        self._slots = asyncio.Semaphore(at_once)
        self._items: dict[str, deque[Item]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, key: str, item: Item) -> bool:
        """Queue an item and return at once; false where the key's backlog is full, so that the item is dropped."""
        items = self._items.get(key)
        if items is None:
            items = self._items[key] = deque()
            task = self._group.create_task(self._work_off(key, items), name=f"{self._name} {key}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(items) >= self._limit:
            return False
        items.append(item)
        return True

    async def drain(self, seconds: float) -> None:
        """Wait until everything is handled, but no longer than this, then drop the rest. For the end of the process."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)
        for task in list(self._tasks):
            task.cancel()

    async def _work_off(self, key: str, items: deque[Item]) -> None:
        try:
            while items:
                async with self._slots:
                    await self._handle_one(items.popleft())
        finally:
            del self._items[key]

    async def _handle_one(self, item: Item) -> None:
        try:
            await self._handle(item)
        except Exception:  # the edge of this item: the next ones are handled all the same
            log.exception("background_work_failed", work=self._name)
