"""A queue of keys to reconcile: a key runs at most once at a time, requests for a running key merge, and failures back off."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import structlog

from flagger_py.objects.errors import ApiError

log = structlog.get_logger()

FIRST_RETRY: Final = 0.05
LONGEST_RETRY: Final = 5.0
"""Seconds before a key that failed is tried again, doubled each time."""
TOLERANCE: Final = 1e-3
"""Seconds by which a key may run early: a loop's timer may fire a little before the time that was computed."""

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Calls `reconcile(key)` for each key that was added; it may return the seconds after which it wants to be called again."""

    def __init__(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        self._reconcile = reconcile
        self._due: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._running: set[K] = set()
        self._changed = asyncio.Event()

    def add(self, key: K, after: float = 0.0) -> None:
        """Reconcile it in `after` seconds, or earlier where that was asked for before."""
        at = asyncio.get_running_loop().time() + after
        if key not in self._due or at < self._due[key]:
            self._due[key] = at
            self._changed.set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for key in self._ready():
                    del self._due[key]
                    self._running.add(key)
                    group.create_task(self._work(key), name=f"reconcile {key}")
                await self._wait()

    def _ready(self) -> list[K]:
        now = asyncio.get_running_loop().time() + TOLERANCE
        return [key for key, at in self._due.items() if at <= now and key not in self._running]

    async def _wait(self) -> None:
        waiting = [at for key, at in self._due.items() if key not in self._running]
        try:
            async with asyncio.timeout_at(min(waiting, default=None)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _work(self, key: K) -> None:
        """The task's edge: one key's failure concerns no other."""
        try:
            again = await self._reconcile(key)
        except Exception as error:
            again = self._retry(key)
            log.warning("reconcile_failed", key=str(key), error=str(error), retry_after=again, exc_info=not _is_expected(error))
        else:
            self._failures.pop(key, None)
        self._running.discard(key)
        self._changed.set()
        if again is not None:
            self.add(key, again)

    def _retry(self, key: K) -> float:
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        return min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** (failures - 1))


def _is_expected(error: Exception) -> bool:
    """Refusals of the API server need no traceback: the next attempt starts from what is there then."""
    return isinstance(error, ApiError)
