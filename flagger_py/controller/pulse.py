"""The pulse of the event loop: `/healthz` fails where it was blocked, because nothing else is done in time then either."""

import asyncio
from typing import Final

BEAT_SECONDS: Final = 1.0
BLOCKED_SECONDS: Final = 10.0
"""A loop that stood still for so long has missed Lease renewals."""


class Pulse:
    """Beats once a second. A beat that came late is remembered until the next one that is in time."""

    def __init__(self) -> None:
        self._delay = 0.0
        self._last: float | None = None

    async def beat(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._delay = now - self._last - BEAT_SECONDS if self._last is not None else 0.0
            self._last = now
            await asyncio.sleep(BEAT_SECONDS)

    def problem(self) -> str:
        """Why the process is not well; empty while it is."""
        if self._delay < BLOCKED_SECONDS:
            return ""
        return f"the event loop was blocked for {self._delay:.0f} s"
