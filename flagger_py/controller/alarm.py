"""When the next pass of a Canary is due: at a time, or as soon as something changes. Wakes merge."""

import asyncio
from datetime import datetime
from typing import Final

from flagger_py.controller.clock import Clock

MERGE_SECONDS: Final = 0.1
"""Passes of one Canary start at least this far apart (design §4)."""


class Alarm:
    """Wakes one task. `wake` may be called at any time, also while the task is at work: it then works once more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self._event.set()
        self._last_start = float("-inf")

    def wake(self) -> None:
        self._event.set()

    async def wait(self, *, until: datetime | None = None, seconds: float | None = None) -> None:
        """Return when woken, at `until`, or after `seconds`; not before the merge time since the last return is over."""
        limits = [max(0.0, (until - self._clock.now()).total_seconds())] if until else []
        limits += [seconds] if seconds is not None else []
        try:
            async with asyncio.timeout(min(limits, default=None)):
                await self._event.wait()
        except TimeoutError:
            pass  # the deadline is as good a reason to go on as a wake
        loop = asyncio.get_running_loop()
        if (pause := self._last_start + MERGE_SECONDS - loop.time()) > 0:
            await asyncio.sleep(pause)
        self._event.clear()
        self._last_start = loop.time()
