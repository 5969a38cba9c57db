"""Sends the alerts of the outbox: with which facts, to whom, and again until they are taken (metrics:§4.1).

Runs in the child task of a question, so that no pass waits for it. Each receiver is told by itself: one that fails stops no other.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import structlog

from flagger_py.api import analysis, effective
from flagger_py.api.analysis import Severity
from flagger_py.api.canary import Canary
from flagger_py.api.effective import Strategy
from flagger_py.api.rollout_record import OutboxEntry
from flagger_py.controller.alert_receivers import NotSent, Receiver, look_up
from flagger_py.controller.clock import Clock
from flagger_py.controller.hooks import pause_after
from flagger_py.http.client import HttpClient, HttpError, HttpRequest, HttpResponse
from flagger_py.kube.retry import Backoff, Jitter
from flagger_py.notify import registry
from flagger_py.notify.base import Alert, AlertField, Notifier
from flagger_py.objects.plugins import PluginError
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.verdicts import HookResult

GIVE_UP_AFTER: Final = timedelta(hours=1)
"""Since the alert was due: an outage of a chat service ends, or a wrong Secret is mended, and older news help nobody."""
LEAST_ATTEMPTS: Final = 5
"""Made in any case, so that a controller that was away for longer still tells."""
LONGEST_PAUSE_SECONDS: Final = 300.0
TOLD_AT_ATTEMPT: Final = 3
"""Before, it may be a hiccup; from then on people are told that an alert is waiting."""
AT_A_TIME: Final = 8
"""Requests to one host: a new base image rolls out everywhere at once."""
GLOBAL: Final = "global"
"""The name under which failures of the global notifier are told."""

T = TypeVar("T")

Warn = Callable[[Canary, str, str], None]
"""Takes a text for a Warning event, and the key that makes it this happening."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What the flags say about alerts."""

    cluster_name: str = ""
    receiver: Receiver | None = None
    """The global notifier, for Canaries without alerts of their own."""
    cross_namespace_refs: bool = True
    """False with `-no-cross-namespace-refs`."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One alert on its way to one receiver, which is looked up for each attempt: its Secret may be rotated meanwhile."""

    name: str
    reference: analysis.Alert | None
    """`None`: the global notifier."""
    alert: Alert
    canary: Canary
    objects: Objects


@dataclass(frozen=True, slots=True)
class AlertSender:
    """One for the whole process."""

    http: HttpClient
    settings: AlertSettings
    clock: Clock
    warn: Warn
    jitter: Jitter = random.random
    _turns: WeakValueDictionary[str, asyncio.Semaphore] = field(default_factory=WeakValueDictionary)
    """By host; one that nobody waits at goes by itself."""

    async def send(self, entry_id: str, canary: Canary, objects: Objects) -> tuple[HookResult, ...]:
        """Tell everybody who wants to be told of this entry of the outbox, and say who was; takes as long as it takes."""
        entry = _entry(canary, entry_id)
        if entry is None:
            return ()
        alert = alert_of(canary, entry, self.settings.cluster_name)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._deliver(_Delivery(name, reference, alert, canary, objects)), name=f"alert {entry_id} to {name}")
                for name, reference in self._recipients(canary, alert.severity)
            ]
        return tuple(task.result() for task in tasks)

    def _recipients(self, canary: Canary, severity: Severity) -> Iterator[tuple[str, analysis.Alert | None]]:
        """The Canary's own alerts from their severity on, or else the global notifier, which takes everything (ALR-03, ALR-04)."""
        own = effective.analysis_of(canary).alerts
        for reference in own:
            if effective.alert_severity(reference).takes(severity):
                yield reference.name, reference
        if not own and self.settings.receiver:
            yield GLOBAL, None

    async def _deliver(self, delivery: _Delivery) -> HookResult:
        """Try until it is taken, or too old."""
        backoff = Backoff(first=1.0, limit=LONGEST_PAUSE_SECONDS, jitter=self.jitter)
        for attempt in count(1):
            try:
                await self._attempt(delivery)
            except NotSent as error:
                log.warning("alert_not_sent", alert=delivery.name, id=delivery.alert.id, attempt=attempt, reason=str(error))
                if attempt >= LEAST_ATTEMPTS and self.clock.now() - delivery.alert.at >= GIVE_UP_AFTER:
                    return HookResult(delivery.name, passed=False, message=f"given up after {attempt} attempts: {error}")
                if attempt == TOLD_AT_ATTEMPT:
                    self._warn(delivery, error)
                await asyncio.sleep(max(backoff.next(), error.pause.total_seconds()))
            else:
                break
        return HookResult(delivery.name, passed=True)

    def _warn(self, delivery: _Delivery, error: NotSent) -> None:
        key = f"{delivery.alert.id}/{delivery.name}/waiting"
        self.warn(delivery.canary, f"Alert {delivery.name} is waiting to be sent: {error}", key)

    async def _attempt(self, delivery: _Delivery) -> None:
        """Raises `NotSent`."""
        receiver = await self._receiver(delivery)
        if not receiver.config.address:
            log.debug("alert_not_wanted", alert=delivery.name, reason="the address is empty")
            return
        notifier_type = _of_plugin(receiver, partial(registry.load, receiver.type))
        notifier = _of_plugin(receiver, notifier_type)
        request = _of_plugin(receiver, lambda: notifier.render(delivery.alert, receiver.config))
        await self._post(receiver, notifier, request)
        log.info("alert_sent", alert=delivery.name, id=delivery.alert.id, severity=delivery.alert.severity.value, host=receiver.host)

    async def _receiver(self, delivery: _Delivery) -> Receiver:
        if delivery.reference is not None:
            cross = self.settings.cross_namespace_refs
            return await look_up(delivery.reference, delivery.canary, delivery.objects, cross_namespace_refs=cross)
        if self.settings.receiver is None:
            raise NotSent("there is no global notifier")
        return self.settings.receiver

    async def _post(self, receiver: Receiver, notifier: Notifier, request: HttpRequest) -> None:
        turns = self._turns.setdefault(receiver.host, asyncio.Semaphore(AT_A_TIME))
        try:
            async with turns:
                response = await self.http.send(request)
        except HttpError as error:
            raise NotSent(f"{receiver.source}: {error}") from error
        if refusal := _of_plugin(receiver, lambda: notifier.refusal(response)):
            raise NotSent(f"{receiver.source}: {receiver.host}: {refusal}", self._pause(response))

    def _pause(self, response: HttpResponse) -> timedelta:
        """What a busy service asks for, up to 30 s."""
        return pause_after(0, response, self.clock.now()) if "retry-after" in response.headers else timedelta()


def _of_plugin(receiver: Receiver, call: Callable[[], T]) -> T:
    """Call a notifier. Raises `NotSent`."""
    try:
        return call()
    except (PluginError, ValueError) as error:
        raise NotSent(f"{receiver.source}: {error}") from error
    except Exception as error:  # a stranger's plug-in may raise anything, and hurts only who uses it
        log.exception("notifier_failed", notifier=receiver.type)
        raise NotSent(f"{receiver.source}: the notifier {receiver.type} failed: {type(error).__name__}") from error


def _entry(canary: Canary, entry_id: str) -> OutboxEntry | None:
    record = canary.status.rollout
    return next((entry for entry in record.outbox if entry.id == entry_id), None) if record else None


def alert_of(canary: Canary, entry: OutboxEntry, cluster_name: str) -> Alert:
    """What is told: the facts of the outbox, and with `details` what the spec says about the rollout."""
    return Alert(
        id=entry.id,
        name=canary.name,
        namespace=canary.namespace,
        phase=entry.phase,
        severity=Severity(entry.severity),
        message=entry.message,
        fields=tuple(_fields(canary, cluster_name, details=entry.details)),
        at=entry.at,
    )


def _fields(canary: Canary, cluster_name: str, *, details: bool) -> Iterator[AlertField]:
    """In Flagger's order and words (ALR-10)."""
    if cluster_name:
        yield AlertField("Cluster", cluster_name)
    if not details:
        return
    target = canary.spec.target_ref
    yield AlertField("Target", f"{target.kind}/{target.name}.{canary.namespace}")
    yield AlertField("Failed checks threshold", str(effective.threshold(canary)))
    yield AlertField("Progress deadline", f"{effective.progress_deadline(canary).total_seconds():.0f}s")
    if routing := _traffic_routing(canary):
        yield AlertField("Traffic routing", routing)


def _traffic_routing(canary: Canary) -> str:
    asked = effective.analysis_of(canary)
    match effective.strategy(canary):
        case Strategy.AB_TESTING:
            return "A/B Testing"
        case Strategy.BLUE_GREEN:
            return "Blue/Green"
        case Strategy.WEIGHTED if asked.step_weight > 0:
            return f"Weight step: {asked.step_weight} max: {asked.max_weight}"
        case Strategy.WEIGHTED if asked.step_weights:
            return f"Weight steps: {','.join(map(str, asked.step_weights))} max: {asked.max_weight}"
        case _:
            return ""
