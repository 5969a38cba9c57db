"""Events as people get them: the log, Kubernetes Events and event webhooks (engine:§11.1, metrics:§4.4)."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from flagger_py.api.analysis import Analysis, HookType, Webhook
from flagger_py.api.base import ObjectMeta
from flagger_py.api.canary import Canary, CanarySpec
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.controller.backlog import Backlogs
from flagger_py.controller.events import EventPost, EventRecorder
from flagger_py.controller.kube_events import KEY_ANNOTATION
from flagger_py.objects.errors import AlreadyExists, Forbidden, NotFound
from flagger_py.objects.patch import Patch
from flagger_py.objects.resource import EVENT, Manifest, Ref, Resource
from flagger_py.rollout.notices import Notice, Severity

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
STEP = Notice(Severity.NORMAL, "Advance web.test canary weight 20", "run1/1")
HALT = Notice(Severity.WARNING, "Halt web.test advancement success rate 50.00% < 99%", "run1/2")
BROKEN = Notice(Severity.ERROR, "no metrics", "run1/3")


class FixedClock:
    def now(self) -> datetime:
        return NOW


class StoredEvents:
    """A cluster that stores Events, and answers nothing while `gate` is closed."""

    def __init__(self) -> None:
        self.stored: dict[str, Manifest] = {}
        self.calls: list[str] = []
        self.forbidden = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        await self._called("create")
        name = manifest["metadata"]["name"]
        if name in self.stored:
            raise AlreadyExists("exists")
        self.stored[name] = manifest
        return manifest

    async def get(self, ref: Ref) -> Manifest | None:
        await self._called("get")
        return self.stored.get(ref.name)

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        await self._called("patch")
        if ref.name not in self.stored:
            raise NotFound("gone")
        assert isinstance(patch.body, dict)
        live = self.stored[ref.name]
        metadata = {**live["metadata"], "annotations": {**live["metadata"]["annotations"], **patch.body["metadata"]["annotations"]}}
        self.stored[ref.name] = {**live, **patch.body, "metadata": metadata}
        return self.stored[ref.name]

    async def read(self, ref: Ref) -> Manifest | None:
        raise AssertionError("events are not watched")

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        raise AssertionError("events are not listed")

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        raise AssertionError("events are not deleted")

    async def _called(self, verb: str) -> None:
        await self.gate.wait()
        self.calls.append(verb)
        if self.forbidden:
            raise Forbidden('events is forbidden: cannot create resource "events"', status=403)

    @property
    def messages(self) -> list[tuple[str, int]]:
        return [(event["message"], event["count"]) for event in self.stored.values()]


class Sent:
    """Webhooks that were called."""

    def __init__(self) -> None:
        self.posts: list[EventPost] = []

    async def __call__(self, post: EventPost) -> None:
        self.posts.append(post)


def canary(hooks: Sequence[Webhook] = (), *, name: str = "web", phase: Phase = Phase.PROGRESSING) -> Canary:
    return Canary(
        metadata=ObjectMeta(name=name, namespace="test", uid=f"uid-{name}", resource_version="7"),
        spec=CanarySpec(analysis=Analysis(webhooks=tuple(hooks))),
        status=CanaryStatus(phase=phase),
    )


async def report(events: StoredEvents, *notices: Notice, about: Canary | None = None, sent: Sent | None = None, webhook: str = "") -> None:
    """What a process does that reports these notices, one pass each, and ends."""
    async with asyncio.TaskGroup() as group:
        recorder = EventRecorder(group, events, sent or Sent(), FixedClock(), webhook=webhook)
        for notice in notices:
            recorder.record(about or canary(), [notice], checksum="5698")
        await recorder.drain(5)


async def test_an_event_has_the_shape_of_flaggers() -> None:
    """engine:EVT-01, operations:OPS-14"""
    events = StoredEvents()
    await report(events, HALT)
    (event,) = events.stored.values()
    name = event["metadata"]["name"]
    assert name.startswith("web.")
    assert len(bytes.fromhex(name.removeprefix("web."))) == 8
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "test", "annotations": {KEY_ANNOTATION: "run1/2"}},
        "involvedObject": {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "name": "web",
            "namespace": "test",
            "uid": "uid-web",
            "resourceVersion": "7",
        },
        "type": "Warning",
        "reason": "Synced",
        "message": HALT.message,
        "source": {"component": "flagger"},
        "reportingComponent": "flagger",
        "reportingInstance": "",
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 1,
    }


async def test_events_are_written_in_order() -> None:
    events = StoredEvents()
    await report(events, STEP, HALT, BROKEN)
    assert [message for message, _ in events.messages] == [STEP.message, HALT.message, BROKEN.message]


async def test_equal_messages_of_different_steps_count_up_on_one_event() -> None:
    """engine:EVT-02 [D]: only identical messages are merged, however many different ones there are."""
    events = StoredEvents()
    others = [Notice(Severity.NORMAL, f"message {number}", f"k{number}") for number in range(15)]
    await report(events, STEP, *others, Notice(STEP.severity, STEP.message, "run2/1"))
    assert dict(events.messages)[STEP.message] == 2
    assert len(events.stored) == 16
    assert events.calls == ["create"] * 16 + ["patch"]


async def test_a_notice_that_is_replayed_after_a_crash_is_not_counted_again() -> None:
    """design §3: derived names, so that a repeat is no second Event."""
    events = StoredEvents()
    await report(events, STEP)
    await report(events, STEP)
    assert events.messages == [(STEP.message, 1)]


async def test_another_process_counts_on_where_the_first_one_ended() -> None:
    events = StoredEvents()
    await report(events, STEP)
    await report(events, Notice(STEP.severity, STEP.message, "run2/1"))
    assert events.messages == [(STEP.message, 2)]
    assert events.calls == ["create", "create", "get", "patch"]


async def test_an_event_that_has_expired_is_written_anew() -> None:
    events = StoredEvents()
    async with asyncio.TaskGroup() as group:
        recorder = EventRecorder(group, events, Sent(), FixedClock())
        recorder.record(canary(), [STEP], checksum="")
        await recorder.drain(5)
        events.stored.clear()
        recorder.record(canary(), [Notice(STEP.severity, STEP.message, "run2/1")], checksum="")
        await recorder.drain(5)
    assert events.messages == [(STEP.message, 1)]


async def test_equal_messages_of_two_canaries_or_types_are_different_events() -> None:
    events = StoredEvents()
    await report(events, STEP, Notice(Severity.WARNING, STEP.message, "k"))
    await report(events, STEP, about=canary(name="api"))
    assert len(events.stored) == 3


async def test_long_names_and_messages_are_cut_to_what_the_server_takes() -> None:
    events = StoredEvents()
    await report(events, Notice(Severity.NORMAL, "x" * 2000, "k"), about=canary(name="n" * 253))
    (event,) = events.stored.values()
    assert (len(event["metadata"]["name"]), len(event["message"])) == (253, 1024)


async def test_a_missing_right_is_logged_and_disturbs_nothing() -> None:
    events = StoredEvents()
    events.forbidden = True
    with capture_logs() as logs:
        await report(events, STEP)
    assert next(line for line in logs if line["event"] == "event_not_written")["error"].startswith("events is forbidden")


async def test_each_notice_is_a_log_line_and_only_errors_are_logged_as_errors() -> None:
    """operations:OPS-13, operations:OPS-14"""
    with capture_logs() as logs:
        await report(StoredEvents(), STEP, HALT, BROKEN)
    assert logs == [
        {"event": STEP.message, "canary": "web.test", "log_level": "info"},
        {"event": HALT.message, "canary": "web.test", "log_level": "info"},
        {"event": BROKEN.message, "canary": "web.test", "log_level": "error"},
    ]


async def test_the_global_webhook_gets_the_events_of_canaries_without_a_hook() -> None:
    """metrics:EVT-02, metrics:EVT-03"""
    sent = Sent()
    await report(StoredEvents(), HALT, sent=sent, webhook="http://events")
    (post,) = sent.posts
    assert (post.hook.url, post.canary) == ("http://events", "web.test")
    assert json.loads(post.payload.body(post.hook.metadata)) == {
        "name": "web",
        "namespace": "test",
        "phase": "Progressing",
        "checksum": "5698",
        "metadata": {"eventMessage": HALT.message, "eventType": "Warning", "timestamp": "1767323045678"},
    }


async def test_hooks_of_the_canary_replace_the_global_webhook_and_cannot_override_the_event() -> None:
    """metrics:EVT-02, metrics:EVT-03"""
    hooks = [
        Webhook(name="a", type=HookType.EVENT, url="http://a", metadata={"team": "x", "eventType": "mine"}),
        Webhook(name="gate", type=HookType.CONFIRM_ROLLOUT, url="http://gate"),
        Webhook(name="b", type=HookType.EVENT, url="http://b"),
    ]
    sent = Sent()
    await report(StoredEvents(), STEP, about=canary(hooks), sent=sent, webhook="http://events")
    assert [post.hook.url for post in sent.posts] == ["http://a", "http://b"]
    metadata = json.loads(sent.posts[0].payload.body(sent.posts[0].hook.metadata))["metadata"]
    assert (metadata["team"], metadata["eventType"]) == ("x", "Normal")


async def test_a_slow_server_delays_neither_a_pass_nor_webhooks_and_its_backlog_is_bounded() -> None:
    """metrics:EVT-04 [≠]"""
    events, sent = StoredEvents(), Sent()
    events.gate.clear()
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            recorder = EventRecorder(group, events, sent, FixedClock(), webhook="http://events")
            for number in range(100):
                recorder.record(canary(), [Notice(Severity.NORMAL, f"message {number}", f"k{number}")], checksum="")
                await asyncio.sleep(0)
            assert len(sent.posts) >= 99
            events.gate.set()
            await recorder.drain(5)
    dropped = [line for line in logs if line["event"] == "event_dropped"]
    assert len(events.stored) == 100 - len(dropped)
    assert len(dropped) == 100 - 64 - 1


async def test_what_cannot_be_sent_before_the_end_is_dropped() -> None:
    events = StoredEvents()
    events.gate.clear()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        recorder = EventRecorder(group, events, Sent(), FixedClock())
        recorder.record(canary(), [STEP], checksum="")
        await recorder.drain(0.01)
    assert events.stored == {}


async def test_one_item_that_fails_does_not_end_a_backlog() -> None:
    done: list[int] = []

    async def handle(number: int) -> None:
        if number == 1:
            raise ZeroDivisionError
        done.append(number)

    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            backlogs = Backlogs(group, "numbers", handle)
            assert all(backlogs.put("key", number) for number in range(3))
    assert done == [0, 2]
    assert logs[0]["event"] == "background_work_failed"


@pytest.mark.parametrize("severity", list(Severity))
def test_kubernetes_knows_only_normal_and_warning(severity: Severity) -> None:
    """metrics:EVT-01"""
    assert severity.event_type == ("Normal" if severity is Severity.NORMAL else "Warning")


def test_events_are_of_the_core_group() -> None:
    """engine:EVT-01"""
    assert EVENT.api_version == "v1"
