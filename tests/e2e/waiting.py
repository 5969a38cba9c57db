"""Waiting for a condition with a limit: the only way in which these tests spend time."""

import asyncio
from collections.abc import Awaitable, Callable

POLL = 0.1


async def until(holds: Callable[[], Awaitable[object]], *, seconds: float, what: Callable[[], object] = lambda: "") -> None:
    """Poll until it holds; fails with `what()` where it does not within the limit."""
    end = asyncio.get_running_loop().time() + seconds
    while not await holds():
        assert asyncio.get_running_loop().time() < end, f"not reached within {seconds} s: {what()}"
        await asyncio.sleep(POLL)
