"""One key at a time, merged, retried. Time is virtual."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from flagger_py.local.workqueue import WorkQueue
from flagger_py.objects.errors import Conflict

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def running(reconcile: Callable[[str], Awaitable[float | None]]) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue(reconcile)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(queue.run())
        yield queue
        task.cancel()


async def test_requests_for_a_running_key_merge_into_one_more_run() -> None:
    runs: list[float] = []

    async def reconcile(key: str) -> None:
        runs.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)

    async with running(reconcile) as queue:
        queue.add("a")
        await asyncio.sleep(0.5)
        for _ in range(5):
            queue.add("a")
        await asyncio.sleep(5)
    assert runs == [0.0, 1.0]


async def test_keys_do_not_wait_for_each_other() -> None:
    done: list[str] = []

    async def reconcile(key: str) -> None:
        await asyncio.sleep(5 if key == "slow" else 0)
        done.append(key)

    async with running(reconcile) as queue:
        queue.add("slow")
        queue.add("fast")
        await asyncio.sleep(1)
        assert done == ["fast"]


async def test_a_key_asks_to_be_called_again() -> None:
    runs: list[float] = []

    async def reconcile(key: str) -> float | None:
        runs.append(asyncio.get_running_loop().time())
        return 10.0 if len(runs) == 1 else None

    async with running(reconcile) as queue:
        queue.add("a")
        await asyncio.sleep(60)
    assert runs == [0.0, 10.0]


async def test_a_failure_is_retried_with_back_off_and_hurts_no_other_key() -> None:
    runs: list[float] = []

    async def reconcile(key: str) -> None:
        if key == "bad":
            runs.append(asyncio.get_running_loop().time())
            if len(runs) < 4:
                raise Conflict("changed since")

    async with running(reconcile) as queue:
        queue.add("bad")
        queue.add("good")
        await asyncio.sleep(10)
    assert [round(later - earlier, 2) for earlier, later in pairwise(runs)] == [0.05, 0.1, 0.2]


async def test_an_earlier_time_wins() -> None:
    runs: list[float] = []

    async def reconcile(key: str) -> None:
        runs.append(asyncio.get_running_loop().time())

    async with running(reconcile) as queue:
        queue.add("a", after=30)
        queue.add("a", after=2)
        queue.add("a", after=40)
        await asyncio.sleep(60)
    assert runs == [2.0]
