"""How long to wait before trying again (`Backoff`), and how often to ask at all (`TokenBucket`)."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

Jitter = Callable[[], float]
"""Gives a number in 0…1; `random.random` outside of tests."""


class Backoff:
    """Growing pauses: each is drawn from the upper half of 0…`first`·`factor`ⁿ, never above `limit` (seconds)."""

    __slots__ = ("_factor", "_first", "_jitter", "_limit", "_next")  # there are several of each Canary

    def __init__(self, first: float, limit: float, *, factor: float = 2.0, jitter: Jitter = random.random) -> None:
        self._first = first
        self._limit = limit
        self._factor = factor
        self._jitter = jitter
        self._next = first

    def next(self) -> float:
        """The pause before the next attempt."""
        ceiling = min(self._next, self._limit)
        self._next = min(self._next * self._factor, self._limit)
        return ceiling * (0.5 + 0.5 * self._jitter())

    def reset(self) -> None:
        """Begin again at `first`: the last attempt went well."""
        self._next = self._first


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which answers the client hides from its callers by asking again.

    A 429 was not carried out, so it is repeated for every verb (engine:ENG-17). A read that got no answer or a 5xx is
    repeated too; a write is not, because it may have been applied: its caller reads first.
    """

    throttled: int = 10
    """Further attempts after a 429, as many as client-go makes."""
    failed_reads: int = 3
    """Further attempts of a read after no answer or a 5xx."""
    first: float = 0.2
    limit: float = 5.0
    longest_wait: float = 60.0
    """What a `Retry-After` is cut to, in seconds."""


class TokenBucket:
    """At most `rate` acquisitions per second, with bursts of `burst`; waiters go in order of arrival."""

    def __init__(self, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a rate limit needs a rate above 0 and a burst of at least 1, got {rate} and {burst}")
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._updated: float | None = None

    async def acquire(self) -> None:
        """Take one token, waiting for it where needed. A cancelled wait gives its token back."""
        self._refill()
        self._tokens -= 1
        if self._tokens >= 0:
            return
        try:
            await asyncio.sleep(-self._tokens / self._rate)
        except asyncio.CancelledError:
            self._tokens += 1
            raise

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._updated is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
