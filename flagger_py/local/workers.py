"""Load from a number of clients: each sends its next request when its last one is answered, as hey does."""

import asyncio
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import aiohttp

from flagger_py.local.traffic import NO_ANSWER, Answer, LoadGenerator, TrafficSettings

KEPT_LATENCIES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent."""

    workers: int = 50
    requests: int | None = 200
    """Of all workers together; `None`: no end."""
    seconds: float | None = None
    """After which no request is begun; `None`: no end."""
    rate: float = 0.0
    """Requests per second of one worker at most; 0: no limit."""


@dataclass(slots=True)
class Results:
    """What came back, in small: the load may last for hours."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Answers by status, without requests that got none."""
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Of the first million answers, in seconds."""
    size: int = 0
    """Bytes of all bodies."""
    seconds: float = 0.0
    """From the first request to the last answer."""

    def add(self, answer: Answer) -> None:
        if answer.status == NO_ANSWER:
            return
        self.statuses[answer.status] += 1
        self.size += answer.size
        if len(self.latencies) < KEPT_LATENCIES:
            self.latencies.append(answer.latency)


class Workers:
    """Sends a plan's requests."""

    def __init__(self, settings: TrafficSettings, plan: Plan) -> None:
        self.results = Results()
        self._plan = plan
        self._generator = LoadGenerator(settings)
        self._stopping = False

    @property
    def errors(self) -> Counter[str]:
        """Requests without an answer, by the kind of error."""
        return self._generator.tally.errors

    def stop(self) -> None:
        """Begin no more requests; `run` returns when those under way have been answered."""
        self._stopping = True

    async def run(self) -> None:
        """Until the plan's end, or `stop`."""
        clock = asyncio.get_running_loop().time
        started = clock()
        numbers = iter(range(self._plan.requests)) if self._plan.requests is not None else count()
        async with self._generator.session() as session, asyncio.TaskGroup() as group:
            for number in range(self._plan.workers):
                group.create_task(self._work(session, numbers, started), name=f"load worker {number}")
        self.results.seconds = clock() - started

    async def _work(self, session: aiohttp.ClientSession, numbers: Iterator[int], started: float) -> None:
        """One client. A request that was late does not make the next ones come faster than the rate."""
        clock, plan = asyncio.get_running_loop().time, self._plan
        due = started
        while not self._stopping and (plan.seconds is None or due < started + plan.seconds) and next(numbers, None) is not None:
            await asyncio.sleep(due - clock())
            self.results.add(await self._generator.send(session))
            due = max(clock(), due + 1 / plan.rate) if plan.rate else clock()
