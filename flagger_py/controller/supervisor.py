"""The supervisor: one task per Canary, woken by changes of what its World was built from (design §4)."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from flagger_py.controller.alarm import Alarm
from flagger_py.controller.clock import Clock
from flagger_py.controller.contests import Contests
from flagger_py.controller.dependents import Dependents
from flagger_py.controller.passes import GONE, Memory, PassResult, PassRunner
from flagger_py.controller.questions import Answerer, Questions
from flagger_py.controller.turnstile import Turnstile
from flagger_py.controller.written import RecordedObjects
from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.kube.retry import Backoff
from flagger_py.objects.errors import ApiError, Fenced
from flagger_py.objects.resource import CANARY, Ref

STOP_SECONDS: Final = 8.0
"""How long running passes may take to finish on a stop; the process is gone in under 10 s."""
RETRY_LIMIT: Final = 300.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Watch:
    """One Canary's task and what it depends on: everything that its last pass has read."""

    alarm: Alarm
    reads: set[Ref] = field(default_factory=set)


class Supervisor:
    """Runs passes for every Canary until it is stopped or cancelled. `client` is the one with the leader's fence."""

    def __init__(self, cluster: Cluster, client: Client, runner: PassRunner, answerer: Answerer, clock: Clock) -> None:
        self._cluster = cluster
        self._client = client
        self._runner = runner
        self._answerer = answerer
        self._clock = clock
        self._watches: dict[Ref, _Watch] = {}
        self._dependents = Dependents()
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._turnstile = Turnstile()
        self._on_removed: list[Callable[[Ref], None]] = []
        runner.fleet.on_rivals_changed(self._wake)

    @property
    def canaries(self) -> int:
        return len(self._watches)

    def on_removed(self, callback: Callable[[Ref], None]) -> None:
        """Call it with each Canary that is gone."""
        self._on_removed.append(callback)

    def stop(self) -> None:
        """Finish the passes under way, start none."""
        self._stopping.set()
        for watch in self._watches.values():
            watch.alarm.wake()

    def wake_all(self) -> None:
        """Something that concerns every Canary has changed."""
        for watch in self._watches.values():
            watch.alarm.wake()

    async def run(self) -> None:
        """Look after all Canaries. Returns after `stop`; a cancellation ends all passes at once."""
        self._cluster.subscribe(self._on_change)
        try:
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                self._group = group
                await self._wait_for_canaries()
                for manifest in list(self._cluster.items(CANARY)):
                    self._runner.fleet.note(Ref.of(CANARY, manifest), manifest)
                for ref in self._runner.fleet.refs():
                    self._adopt(ref)
                await self._stopping.wait()
                limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
        except TimeoutError:
            log.warning("passes_cancelled", reason=f"they did not finish within {STOP_SECONDS:g} s")
        finally:
            self._group = None
            self._cluster.unsubscribe(self._on_change)

    async def _wait_for_canaries(self) -> None:
        """Until Canaries can be listed, however long it takes: the CRD may be installed later."""
        backoff = Backoff(first=1.0, limit=10.0)
        while not self._stopping.is_set():
            try:
                await self._cluster.ensure_watched(CANARY)
            except ApiError as error:
                log.warning("canaries_not_listed", reason=error.message)
                await asyncio.sleep(backoff.next())
            else:
                return

    def _on_change(self, ref: Ref) -> None:
        if ref.resource == CANARY and ref.name:
            self._adopt(ref)
        for canary in self._dependents.of(ref):
            self._wake(canary)

    def _wake(self, ref: Ref) -> None:
        if watch := self._watches.get(ref):
            watch.alarm.wake()

    def _adopt(self, ref: Ref) -> None:
        """See that a Canary has a task, and wake it."""
        if watch := self._watches.get(ref):
            watch.alarm.wake()
        elif self._group is not None and not self._stopping.is_set():
            self._watches[ref] = _Watch(Alarm(self._clock))
            self._group.create_task(self._look_after(ref), name=f"canary {ref.namespace}/{ref.name}")

    async def _look_after(self, ref: Ref) -> None:
        with structlog.contextvars.bound_contextvars(canary=f"{ref.name}.{ref.namespace}"):
            watch = self._watches[ref]
            try:
                async with asyncio.TaskGroup() as group:
                    questions = Questions(group, self._answerer, watch.alarm.wake)
                    try:
                        await self._passes(ref, watch, questions)
                    finally:
                        questions.cancel()
            finally:
                self._forget(ref)

    async def _passes(self, ref: Ref, watch: _Watch, questions: Questions) -> None:
        """Pass after pass; one failure never ends the loop."""
        backoff = Backoff(first=1.0, limit=RETRY_LIMIT)
        recorded: set[Ref] = set()

        def record(read: Ref) -> None:  # at once: it may change before the pass ends
            recorded.add(read)
            watch.reads.add(read)
            self._dependents.add(read, ref)

        objects = self._cluster.objects(record, client=self._client)
        memory = Memory(objects, questions, RecordedObjects(objects), Contests(objects, random.random))
        result: PassResult | None = PassResult()
        delay: float | None = None
        while True:
            await watch.alarm.wait(until=result.wake_at if result else None, seconds=delay)
            await self._turnstile.go_through()
            if self._stopping.is_set():
                return
            try:
                result = await self._runner.run(ref, memory)
            except Fenced:
                return
            except ApiError as error:
                log.warning("pass_failed", reason=error.message)
                result = PassResult(retry=True)
            except Exception:  # the task's edge: a bug in one Canary's pass must not reach the others
                log.exception("pass_failed")
                result = PassResult(retry=True)
            if result is GONE:
                return
            self._forget_reads(ref, watch, watch.reads - recorded)
            recorded.clear()
            delay = _delay(result, backoff)

    def _forget_reads(self, ref: Ref, watch: _Watch, reads: set[Ref]) -> None:
        """The Canary no longer depends on these."""
        watch.reads -= reads
        for read in reads:
            self._dependents.discard(read, ref)

    def _forget(self, ref: Ref) -> None:
        if watch := self._watches.pop(ref, None):
            self._forget_reads(ref, watch, set(watch.reads))
            self._runner.fleet.forget(ref)
            for callback in self._on_removed:
                callback(ref)


def _delay(result: PassResult, backoff: Backoff) -> float | None:
    """Seconds until the next pass where nothing changes before."""
    if result.again:
        return 0.0
    if not result.retry:
        backoff.reset()
        return result.seconds
    return min(backoff.next(), RETRY_LIMIT if result.seconds is None else result.seconds)
