"""When passes are due."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from flagger_py.controller.alarm import MERGE_SECONDS, Alarm
from flagger_py.controller.clock import LoopClock

pytestmark = pytest.mark.looptime
START = datetime(2026, 1, 1, tzinfo=UTC)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_pass_is_due_at_once_and_the_next_when_woken() -> None:
    alarm = Alarm(LoopClock(START))
    await alarm.wait()
    asyncio.get_running_loop().call_later(7, alarm.wake)
    await alarm.wait()
    assert now() == pytest.approx(7)


async def test_wakes_merge_into_one_pass() -> None:
    """design §4: at least 100 ms apart."""
    alarm = Alarm(LoopClock(START))
    await alarm.wait()
    for delay in (0.01, 0.02, 0.03):
        asyncio.get_running_loop().call_later(delay, alarm.wake)
    await alarm.wait()
    assert now() == pytest.approx(MERGE_SECONDS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await alarm.wait()


async def test_a_wake_during_the_work_is_not_lost() -> None:
    alarm = Alarm(LoopClock(START))
    await alarm.wait()
    await asyncio.sleep(5)
    alarm.wake()
    await alarm.wait(seconds=1000)
    assert now() == pytest.approx(5)


async def test_the_earlier_of_deadline_and_delay_counts_and_a_past_one_is_now() -> None:
    clock = LoopClock(START)
    alarm = Alarm(clock)
    await alarm.wait()
    await alarm.wait(until=clock.now() + timedelta(seconds=10), seconds=30)
    assert now() == pytest.approx(10)
    await alarm.wait(until=START)
    assert now() == pytest.approx(10 + MERGE_SECONDS)
