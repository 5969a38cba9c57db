"""Pauses and rates."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.kube.lines import LineJoiner
from flagger_py.kube.retry import Backoff, TokenBucket


def test_pauses_double_up_to_their_limit_and_begin_again() -> None:
    pauses = Backoff(1, 10, jitter=lambda: 1.0)
    assert [pauses.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    pauses.reset()
    assert pauses.next() == 1


@given(st.floats(0, 1), st.integers(1, 40))
def test_jitter_takes_at_most_half_of_a_pause(jitter: float, count: int) -> None:
    pauses, longest = Backoff(0.5, 60, jitter=lambda: jitter), Backoff(0.5, 60, jitter=lambda: 1.0)
    for _ in range(count):
        drawn, ceiling = pauses.next(), longest.next()
        assert ceiling / 2 <= drawn <= ceiling <= 60


@pytest.mark.looptime
async def test_a_waiter_that_gives_up_gives_its_token_back() -> None:
    bucket = TokenBucket(1, 1)
    await bucket.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await bucket.acquire()
    started = asyncio.get_running_loop().time()
    await bucket.acquire()
    assert asyncio.get_running_loop().time() - started == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 5), (1, 0)])
def test_a_rate_that_lets_nothing_through_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        TokenBucket(rate, burst)


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line and line.strip())), st.data())
def test_lines_survive_any_cut(lines: list[bytes], data: st.DataObject) -> None:
    content = b"".join(line + b"\n" for line in lines) + b"half a line"
    joiner, found = LineJoiner(), []
    while content:
        size = data.draw(st.integers(1, len(content)))
        found += joiner.feed(content[:size])
        content = content[size:]
    assert found == lines
