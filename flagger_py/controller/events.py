"""Tells people what a pass noticed: log lines, Kubernetes Events, and event webhooks (metrics:§4.4, engine:§11.1).

Best effort and in order, in the background: a pass never waits for it, and it never fails a pass. Flagger sends all of it inside the
tick, where a slow receiver delays a rollback (metrics:EVT-04).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from flagger_py.api import effective
from flagger_py.api.analysis import HookType, Webhook
from flagger_py.api.canary import Canary
from flagger_py.controller.backlog import Backlogs
from flagger_py.controller.clock import Clock
from flagger_py.controller.hooks import HookEvent, HookPayload
from flagger_py.controller.kube_events import KubernetesEvents, manifest
from flagger_py.objects.errors import ApiError
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.notices import Notice, Severity

log = structlog.get_logger()

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class EventPost:
    """One event on its way to one webhook."""

    hook: Webhook
    payload: HookPayload
    """With the event in its metadata (EVT-03)."""
    canary: str


Post = Callable[[EventPost], Awaitable[None]]
"""Sends it with the hook's time-out and retries, and logs a failure."""


class EventRecorder:
    """Reports the notices of all Canaries. `webhook` is the URL for the Canaries that have no event hook of their own (EVT-02)."""

    def __init__(self, group: asyncio.TaskGroup, objects: Objects, post: Post, clock: Clock, *, webhook: str = "") -> None:
        self._events = KubernetesEvents(objects)
        self._clock = clock
        self._default = (Webhook(name="event-webhook", type=HookType.EVENT, url=webhook),) if webhook else ()
        self._writes = Backlogs(group, "events", self._write)
        self._posts = Backlogs(group, "event-webhooks", post)

    def record(self, canary: Canary, notices: Iterable[Notice], *, checksum: str) -> None:
        """Report what a pass noticed, and return at once. `canary` carries the status that the pass has stored (EVT-04)."""
        now = self._clock.now()
        name = f"{canary.name}.{canary.namespace}"
        for notice in notices:
            # The text is the log's message: Flagger's users filter by it (operations:OPS-13). Only errors are logged as such (OPS-14).
            (log.error if notice.severity is Severity.ERROR else log.info)(notice.message, canary=name)
            self._put(self._writes, canary, manifest(canary, notice, now))
            for hook in effective.webhooks(canary, HookType.EVENT) or self._default:
                self._put(self._posts, canary, EventPost(hook, payload(canary, notice, now, checksum), name))

    async def drain(self, seconds: float) -> None:
        """Send what is queued, for so long at most: the end of the process."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writes.drain(seconds), name="drain-events")
            group.create_task(self._posts.drain(seconds), name="drain-event-webhooks")

    def _put(self, backlogs: Backlogs[Item], canary: Canary, item: Item) -> None:
        if not backlogs.put(canary.metadata.uid, item):
            log.warning("event_dropped", canary=f"{canary.name}.{canary.namespace}", reason="the backlog is full")

    async def _write(self, event: Manifest) -> None:
        try:
            await self._events.write(event)
        except ApiError as error:
            log.warning("event_not_written", event_name=event["metadata"]["name"], error=error.message)


def payload(canary: Canary, notice: Notice, now: datetime, checksum: str) -> HookPayload:
    """What an event webhook gets; `canary` carries the status that the pass has stored."""
    event = HookEvent(notice.message, notice.severity.event_type, now)
    return HookPayload(name=canary.name, namespace=canary.namespace, phase=canary.status.phase, checksum=checksum, event=event)
