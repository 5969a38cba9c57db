"""Keeps the event loop responsive while many Canaries are woken at once: at a start, by a base-image bump, after an outage."""

import asyncio


class Turnstile:
    """Lets tasks through one by one in order of arrival, with a turn of the event loop between two of them.

    A pass works some milliseconds until its first request. A thousand that begin in the same turn of the loop would keep
    everything else waiting for seconds, several times in a row: the renewal of the lease as well, which was then lost (measured).
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def go_through(self) -> None:
        """Wait for the others that came before."""
        async with self._lock:
            await asyncio.sleep(0)
