"""The loop around the watch's state machine: it makes the calls, waits, and hands the changes on."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, NoReturn

import structlog

from flagger_py.kube.client import Client, WatchEvent, WatchOptions
from flagger_py.kube.retry import Backoff
from flagger_py.kube.watch_state import Change, Ended, Failed, Following, Input, Listing, Opened, Pause, State, Step, step
from flagger_py.objects.errors import ApiError, Unreachable
from flagger_py.objects.resource import Resource

log = structlog.get_logger()

WATCH_SECONDS: Final = 290
"""How long the server is asked to keep a watch open, ±10 %: below the 5 minutes after which many load balancers cut idle streams."""
IDLE_MARGIN: Final = 15.0
"""Seconds beyond that until a stream is taken for dead; the server should have ended it."""
EARLY_MARGIN: Final = 5.0
"""A stream that ends this many seconds before its time was ended for a reason."""
HEALTHY_AFTER: Final = 10.0
"""Seconds after which a stream counts as good, so that the next pause is a short one again."""


@dataclass(frozen=True, slots=True)
class WatchTarget:
    """What is watched; an empty namespace means all."""

    resource: Resource
    namespace: str = ""
    metadata_only: bool = False


@dataclass(slots=True)
class Listeners:
    """Who is told. All are called in the loop's task and must not block or raise."""

    on_change: Callable[[Change], None]
    on_error: Callable[[ApiError | None], None]
    """Called with what went wrong, and with `None` when all is well again."""
    on_closed: Callable[[], None] = field(default=lambda: None)
    """The server closed the stream before its time, as it does when a CustomResourceDefinition changes."""


class Watcher:
    """Follows one resource for ever. Errors are reported and retried, never raised; only cancellation ends it.

    `list_gate` bounds how many lists run at once, and so the memory that their pages take.
    """

    def __init__(
        self,
        client: Client,
        target: WatchTarget,
        listeners: Listeners,
        *,
        list_gate: asyncio.Semaphore,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._target = target
        self._tell = listeners
        self._list_gate = list_gate
        self._jitter = jitter
        self._pauses = {
            Pause.BACK_OFF: Backoff(0.5, 15, jitter=jitter),
            Pause.UNAVAILABLE: Backoff(1, 60, jitter=jitter),
        }

    async def run(self) -> NoReturn:
        """List, watch, resume, for ever."""
        state: State = Listing()
        while True:
            state, pause = await self._round(state)
            if pause is not Pause.NONE:
                await asyncio.sleep(self._pauses[pause].next())

    async def _round(self, state: State) -> tuple[State, Pause]:
        """One list or one watch, to its end."""
        calls = self._list() if isinstance(state, Listing) else self._follow(state)
        async with aclosing(calls) as inputs:
            async for given in inputs:
                state, pause = self._take(state, given)
                del given  # a page is large, and the next one is on its way
                if pause is not Pause.NONE:
                    return state, pause
        return state, Pause.NONE

    def _take(self, state: State, given: Input) -> tuple[State, Pause]:
        taken = step(state, given)
        self._report(given, taken)
        return taken.state, taken.pause

    def _report(self, given: Input, taken: Step) -> None:
        for change in taken.changes:
            self._tell.on_change(change)
        if taken.error:
            log.info("watch_interrupted", resource=str(self._target.resource), error=str(taken.error), pause=taken.pause.name.lower())
            self._tell.on_error(taken.error)
        elif isinstance(given, Opened):  # not after a list: the right to list without the right to watch is not enough
            self._tell.on_error(None)
        elif isinstance(given, Ended) and given.early:
            self._tell.on_closed()

    async def _list(self) -> AsyncGenerator[Input, None]:
        pages = self._client.pages(self._target.resource, self._target.namespace, metadata_only=self._target.metadata_only)
        async with self._list_gate:
            try:
                async for page in pages:
                    yield page
                    del page
            except ApiError as error:
                yield Failed(error)

    async def _follow(self, state: Following) -> AsyncGenerator[Input, None]:
        clock = asyncio.get_running_loop().time
        opened_at, options = clock(), self._options(state)
        try:
            async with self._client.watch(options) as events:
                yield Opened()
                async with aclosing(_until(events, opened_at + options.seconds + IDLE_MARGIN)) as in_time:
                    async for event in in_time:
                        self._calm()
                        yield event
            yield Ended(early=clock() < opened_at + options.seconds - EARLY_MARGIN)
        except ApiError as error:
            yield Failed(error)
        finally:
            if clock() - opened_at > HEALTHY_AFTER:
                self._calm()

    def _calm(self) -> None:
        for pauses in self._pauses.values():
            pauses.reset()

    def _options(self, state: Following) -> WatchOptions:
        seconds = round(WATCH_SECONDS * (0.9 + 0.2 * self._jitter()))
        return WatchOptions(
            self._target.resource, self._target.namespace, state.resource_version, seconds, metadata_only=self._target.metadata_only
        )


async def _until(events: AsyncIterator[WatchEvent], deadline: float) -> AsyncGenerator[WatchEvent, None]:
    """The events, until the stream ends; a stream that outlives the deadline is dead or ignores its time-out: `Unreachable`."""
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                event = await anext(events)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Unreachable("watch: the server did not end the stream at its time-out") from error
        yield event
