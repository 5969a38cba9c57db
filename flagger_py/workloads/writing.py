"""Changes that are rendered from what was read, and rendered again where somebody was faster."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from flagger_py.objects.errors import AlreadyExists, Conflict
from flagger_py.objects.patch import MergePatch, merge_patch, pinned
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest, Ref

RETRY_PAUSES: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds before each new attempt; after the last one the conflict is the next pass's business (workloads:GEN-09)."""

Result = TypeVar("Result")


async def retry_conflicts(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Run it, and again after each `Conflict` or `AlreadyExists`; it must read anew each time. Raises the last one."""
    for pause in RETRY_PAUSES:
        try:
            return await attempt()
        except (AlreadyExists, Conflict):
            await asyncio.sleep(pause)
    return await attempt()


async def amend(objects: Objects, ref: Ref, render: Callable[[Manifest], Mapping[str, Any]]) -> Manifest | None:
    """Send the merge patch that `render` makes of the object, nothing where that is empty; `None` where the object does not exist.

    The first attempt goes by the cache, each further one by the object as it is on the server.
    """
    sources = iter((objects.read,))

    async def attempt() -> Manifest | None:
        current = await next(sources, objects.get)(ref)
        if current is None or not (body := render(current)):
            return current
        return await objects.patch(ref, pinned(MergePatch(body), current))

    return await retry_conflicts(attempt)


async def replace(objects: Objects, ref: Ref, current: Manifest, wanted: Manifest) -> Manifest:
    """Patch `current` to `wanted`, refused if it was changed since it was read. Raises `Conflict`."""
    patch = merge_patch(current, wanted)
    return current if patch.is_empty else await objects.patch(ref, pinned(patch, current))
