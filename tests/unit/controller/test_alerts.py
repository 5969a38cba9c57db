"""Who is told of an alert, with which facts, and how often it is tried (metrics:§4.1, §4.3), on virtual time."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
import pytest
from structlog.testing import capture_logs

from flagger_py.api.canary import Canary
from flagger_py.api.rollout_record import OutboxEntry, RolloutRecord
from flagger_py.api.status import CanaryStatus
from flagger_py.controller.alert_receivers import Receiver, global_notifier
from flagger_py.controller.alerts import AlertSender, AlertSettings, alert_of
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.http.client import HttpRequest, HttpResponse, Unreachable
from flagger_py.http.httpx_client import HttpxClient
from flagger_py.notify import registry
from flagger_py.notify.base import Notifier, NotifierConfig
from flagger_py.objects.errors import ApiError, Forbidden
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import ALERT_PROVIDER, SECRET, Manifest, Ref
from flagger_py.rollout.verdicts import HookResult
from tests.memory.cluster import START

pytestmark = pytest.mark.looptime

Answer = Callable[[HttpRequest], HttpResponse]


def ok(_: HttpRequest) -> HttpResponse:
    return HttpResponse(200, "OK", {}, b"ok")


@dataclass
class FakeHttp:
    """Answers each host in its way; everything else takes the alert."""

    answers: dict[str, Answer] = field(default_factory=dict)
    sent: list[HttpRequest] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        return self.answers.get(request.url.split("/")[2], ok)(request)


@dataclass
class FakeObjects:
    """AlertProviders and Secrets by `namespace/name`."""

    providers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    error: ApiError | None = None

    async def read(self, ref: Ref) -> Manifest | None:
        assert ref.resource == ALERT_PROVIDER
        spec = self.providers.get(f"{ref.namespace}/{ref.name}")
        metadata = {"name": ref.name, "namespace": ref.namespace}
        return None if spec is None else {"kind": "AlertProvider", "metadata": metadata, "spec": spec}

    async def get(self, ref: Ref) -> Manifest | None:
        assert ref.resource == SECRET
        if self.error:
            raise self.error
        values = self.secrets.get(f"{ref.namespace}/{ref.name}")
        if values is None:
            return None
        return {"metadata": {"name": ref.name}, "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


SLACK = {"type": "slack", "address": "https://slack.example/KEY"}
TEAMS = {"type": "msteams", "address": "https://teams.example/KEY"}


def canary(*alerts: tuple[str, str, str], severity: str = "error", details: bool = False, at: datetime = START, **analysis: Any) -> Canary:
    """Alerts as (name, severity, provider); one entry in the outbox."""
    listed = []
    for name, lowest, provider in alerts:
        namespace, _, provider_name = provider.rpartition("/")
        listed.append({"name": name, "severity": lowest, "providerRef": {"name": provider_name, "namespace": namespace}})
    subject = Canary.model_validate(
        {
            "metadata": {"name": "podinfo", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "analysis": {"interval": "1m", "threshold": 5, "stepWeight": 10, "maxWeight": 50, "alerts": listed, **analysis},
            },
        }
    )
    entry = OutboxEntry(id="run-1", kind="alert", phase="Failed", severity=severity, message="It failed.", details=details, at=at)
    return subject.model_copy(update={"status": CanaryStatus(rollout=RolloutRecord(outbox=(entry,)))})


@dataclass
class Desk:
    """A sender with everything around it."""

    http: FakeHttp = field(default_factory=FakeHttp)
    objects: FakeObjects = field(default_factory=lambda: FakeObjects({"shop/slack": SLACK, "shop/teams": TEAMS}))
    warned: list[str] = field(default_factory=list)
    settings: AlertSettings = field(default_factory=AlertSettings)

    def sender(self) -> AlertSender:
        clock = LoopClock(START)
        return AlertSender(self.http, self.settings, clock, lambda _, text, __: self.warned.append(text), jitter=lambda: 1.0)

    async def send(self, subject: Canary) -> tuple[HookResult, ...]:
        return await self.sender().send("run-1", subject, cast("Objects", self.objects))

    @property
    def hosts(self) -> list[str]:
        return [request.url.split("/")[2] for request in self.http.sent]


@pytest.mark.parametrize(
    ("lowest", "severity", "is_sent"),
    [
        ("info", "info", True),
        ("info", "warn", True),
        ("info", "error", True),
        ("warn", "info", False),
        ("warn", "warn", True),
        ("warn", "error", True),
        ("error", "info", False),
        ("error", "warn", False),
        ("error", "error", True),
        ("", "info", True),
        ("", "error", True),
    ],
)
async def test_an_alert_is_sent_from_its_severity_on(lowest: str, severity: str, is_sent: bool) -> None:
    """metrics:ALR-04, engine:ALR-04: without a severity it is info, which in Flagger it is not"""
    desk = Desk()
    results = await desk.send(canary(("chat", lowest, "slack"), severity=severity))
    assert results == ((HookResult("chat", passed=True),) if is_sent else ())
    assert desk.hosts == (["slack.example"] if is_sent else [])


async def test_what_stands_no_longer_in_the_outbox_is_not_sent() -> None:
    desk = Desk()
    assert await desk.sender().send("run-0", canary(("chat", "info", "slack")), cast("Objects", desk.objects)) == ()
    assert desk.hosts == []


GLOBAL = Receiver("msteams", NotifierConfig(address="https://global.example/KEY"), "-msteams-url")


async def test_the_global_notifier_takes_everything_of_canaries_without_alerts() -> None:
    """metrics:ALR-03, api:API-13"""
    desk = Desk(settings=AlertSettings(receiver=GLOBAL))
    assert await desk.send(canary(severity="info")) == (HookResult("global", passed=True),)
    assert desk.hosts == ["global.example"]


async def test_a_canary_with_alerts_never_uses_the_global_notifier() -> None:
    """metrics:ALR-03: even where none of its own takes the severity"""
    desk = Desk(settings=AlertSettings(receiver=GLOBAL))
    assert await desk.send(canary(("chat", "error", "slack"), severity="info")) == ()
    assert desk.hosts == []


async def test_without_an_analysis_nobody_of_its_own_is_told() -> None:
    """metrics:ALR-12"""
    subject = canary()
    subject = subject.model_copy(update={"spec": subject.spec.model_copy(update={"analysis": None})})
    desk = Desk(settings=AlertSettings(receiver=GLOBAL))
    await desk.send(subject)
    assert desk.hosts == ["global.example"]


# what is told


def fields_of(subject: Canary, cluster: str = "") -> dict[str, str]:
    record = subject.status.rollout
    assert record
    return {item.name: item.value for item in alert_of(subject, record.outbox[0], cluster).fields}


@pytest.mark.parametrize(
    ("analysis", "routing"),
    [
        ({}, "Weight step: 10 max: 50"),
        ({"maxWeight": 0}, "Weight step: 10 max: 0"),
        ({"stepWeight": 0, "stepWeights": [5, 20, 80], "maxWeight": 0}, "Weight steps: 5,20,80 max: 0"),
        ({"stepWeight": 0, "iterations": 5}, "Blue/Green"),
        ({"stepWeight": 0, "iterations": 5, "match": [{"headers": {"x": {"exact": "y"}}}]}, "A/B Testing"),
        ({"stepWeight": 0}, None),
    ],
)
async def test_the_fields_say_what_the_rollout_is_about(analysis: dict[str, Any], routing: str | None) -> None:
    """metrics:ALR-10, engine:ALR-01: raw values, in this order"""
    fields = fields_of(canary(details=True, **analysis), "prod")
    expected = {
        "Cluster": "prod",
        "Target": "Deployment/web.shop",
        "Failed checks threshold": "5",
        "Progress deadline": "600s",
        "Traffic routing": routing,
    }
    assert list(fields.items()) == [(name, value) for name, value in expected.items() if value]


async def test_a_threshold_of_0_is_shown_as_the_1_that_it_means() -> None:
    """metrics:ALR-10"""
    assert fields_of(canary(details=True, threshold=0))["Failed checks threshold"] == "1"


async def test_other_alerts_show_the_cluster_only() -> None:
    """metrics:ALR-10"""
    assert fields_of(canary(), "prod") == {"Cluster": "prod"}
    assert fields_of(canary()) == {}


async def test_the_canary_is_named_and_not_its_target() -> None:
    """metrics:ALR-09"""
    desk = Desk(settings=AlertSettings(cluster_name="prod"))
    await desk.send(canary(("chat", "info", "slack")))
    (attachment,) = orjson.loads(desk.http.sent[0].body or b"")["attachments"]
    assert (attachment["author_name"], attachment["text"], attachment["color"]) == ("podinfo.shop", "It failed.", "danger")
    assert attachment["fields"] == [{"title": "Cluster", "value": "prod", "short": False}]


# the provider and its Secret


async def test_the_defaults_of_a_provider() -> None:
    """metrics:ALR-06"""
    desk = Desk()
    await desk.send(canary(("chat", "info", "slack")))
    body = orjson.loads(desk.http.sent[0].body or b"")
    assert (body["channel"], body["username"], desk.http.sent[0].proxy) == ("general", "flagger", "")


async def test_channel_username_and_proxy_of_a_provider() -> None:
    """metrics:ALR-06, metrics:ALR-08"""
    desk = Desk(objects=FakeObjects({"shop/slack": SLACK | {"channel": "c", "username": "u", "proxy": "http://proxy:3128"}}))
    await desk.send(canary(("chat", "info", "slack")))
    body = orjson.loads(desk.http.sent[0].body or b"")
    assert (body["channel"], body["username"], desk.http.sent[0].proxy) == ("c", "u", "http://proxy:3128")


@pytest.mark.parametrize(
    ("spec", "secret", "url"),
    [
        pytest.param({}, {"address": "https://secret.example/KEY\n"}, "https://secret.example/KEY", id="PRV-07 line break"),
        pytest.param(
            {"address": "https://spec.example"}, {"address": "https://secret.example"}, "https://secret.example", id="GAP-61 both"
        ),
        pytest.param({"address": "https://spec.example"}, {"token": "xoxb"}, "https://spec.example", id="the token alone is secret"),
    ],
)
async def test_the_address_of_the_secret_counts(spec: dict[str, str], secret: dict[str, str], url: str) -> None:
    """metrics:ALR-01, metrics:ALR-06"""
    provider = {"type": "slack", "secretRef": {"name": "s"}, **spec}
    desk = Desk(objects=FakeObjects({"ops/p": provider}, {"ops/s": secret}))
    await desk.send(canary(("chat", "info", "ops/p")))
    assert [request.url for request in desk.http.sent] == [url]
    assert desk.http.sent[0].headers.get("Authorization") == ("Bearer xoxb" if "token" in secret else None)


@pytest.mark.parametrize("secret", [None, {"address": ""}])
async def test_an_empty_address_means_that_nobody_is_to_be_told(secret: dict[str, str] | None) -> None:
    """metrics:ALR-07, engine:ALR-06"""
    provider = {"type": "slack", "address": ""} if secret is None else {"type": "slack", "secretRef": {"name": "s"}}
    desk = Desk(objects=FakeObjects({"shop/p": provider}, {"shop/s": secret or {}}))
    assert await desk.send(canary(("chat", "info", "p"))) == (HookResult("chat", passed=True),)
    assert desk.hosts == []
    assert desk.warned == []


async def test_a_rotated_secret_counts_from_the_next_attempt_on() -> None:
    objects = FakeObjects({"shop/p": {"type": "slack", "secretRef": {"name": "s"}}}, {"shop/s": {"address": "https://old.example/KEY"}})

    def refuse(_: HttpRequest) -> HttpResponse:
        objects.secrets["shop/s"] = {"address": "https://new.example/KEY"}
        return HttpResponse(403, "Forbidden", {}, b"")

    desk = Desk(FakeHttp({"old.example": refuse}), objects)
    assert await desk.send(canary(("chat", "info", "p"))) == (HookResult("chat", passed=True),)
    assert desk.hosts == ["old.example", "new.example"]


@dataclass(frozen=True)
class Wrong:
    """Something that keeps an alert from being sent, and what people are told."""

    provider: Mapping[str, Any] | None
    says: str
    secret: dict[str, str] | None = None
    error: ApiError | None = None


WITH_SECRET = {"type": "slack", "secretRef": {"name": "s"}}
WRONG = {
    "no provider": Wrong(None, "AlertProvider shop/p does not exist"),
    "no secret": Wrong(WITH_SECRET, "Secret shop/s of AlertProvider shop/p does not exist"),
    "no address in the secret": Wrong(WITH_SECRET, "Secret shop/s of AlertProvider shop/p has no key address", {"token": "KEY"}),
    "no right to the secret": Wrong(WITH_SECRET, "AlertProvider shop/p or its Secret cannot be read: no", error=Forbidden("no")),
    "no URL": Wrong(WITH_SECRET, "AlertProvider shop/p: its address is no absolute http or https URL", {"address": "slack.example/KEY"}),
    "a broken URL": Wrong(WITH_SECRET, "AlertProvider shop/p: its address is no absolute http or https URL", {"address": "http://[KEY"}),
    "unknown type": Wrong({"type": "pager", "address": "https://a/KEY"}, "AlertProvider shop/p: unknown alert type 'pager'; known are"),
    "undecodable": Wrong({"type": ["KEY"]}, "AlertProvider shop/p: spec.type: must be a string"),
    "refused": Wrong({"type": "slack", "address": "https://bad.example/KEY"}, "AlertProvider shop/p: bad.example: HTTP 404 Not Found"),
    "unreachable": Wrong({"type": "slack", "address": "https://down.example/KEY"}, "AlertProvider shop/p: down.example: no connection"),
    "broken plug-in": Wrong({"type": "broken", "address": "https://a/KEY"}, "AlertProvider shop/p: the notifier broken failed: KeyError"),
}


class BrokenNotifier(Notifier):
    def render(self, alert: Any, config: NotifierConfig) -> HttpRequest:
        raise KeyError(config.address)


def unreachable(_: HttpRequest) -> HttpResponse:
    raise Unreachable("down.example: no connection")


def not_found(_: HttpRequest) -> HttpResponse:
    return HttpResponse(404, "Not Found", {}, b"Cannot POST /KEY")


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_told_without_a_secret_and_stops_no_other(wrong: Wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    """metrics:ALR-05, metrics:ALR-G-03: as a Warning, and at last as the result"""
    load = registry.load
    monkeypatch.setattr(registry, "load", lambda name: BrokenNotifier if name == "broken" else load(name))
    objects = FakeObjects({"shop/teams": TEAMS}, {"shop/s": wrong.secret} if wrong.secret else {}, wrong.error)
    if wrong.provider is not None:
        objects.providers["shop/p"] = wrong.provider
    desk = Desk(FakeHttp({"bad.example": not_found, "down.example": unreachable}), objects)
    with capture_logs() as logs:
        bad, good = await desk.send(canary(("chat", "info", "p"), ("team", "info", "teams")))
    assert good == HookResult("team", passed=True)
    assert not bad.passed
    assert wrong.says in bad.message
    (warning,) = desk.warned
    assert warning.startswith(f"Alert chat is waiting to be sent: {wrong.says}")
    lines = [{key: value for key, value in line.items() if key != "exc_info"} for line in logs]
    assert "KEY" not in f"{warning} {bad.message} {lines}"


async def test_references_to_other_namespaces_can_be_switched_off() -> None:
    """engine:VAL-20"""
    desk = Desk(objects=FakeObjects({"ops/p": SLACK}))
    assert (await desk.send(canary(("chat", "info", "ops/p"))))[0].passed
    desk = Desk(objects=FakeObjects({"ops/p": SLACK}), settings=AlertSettings(cross_namespace_refs=False))
    (result,) = await desk.send(canary(("chat", "info", "ops/p")))
    assert "AlertProvider ops/p: references to other namespaces are switched off" in result.message
    assert desk.hosts == []


# again and again


async def test_a_failing_receiver_is_tried_for_an_hour_with_growing_pauses() -> None:
    desk = Desk(FakeHttp({"slack.example": not_found}))
    (result,) = await desk.send(canary(("chat", "info", "slack")))
    pauses = [later - earlier for earlier, later in zip(desk.http.times, desk.http.times[1:], strict=False)]
    assert pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert 3600 <= desk.http.times[-1] < 3900
    assert result.message == f"given up after {len(desk.hosts)} attempts: AlertProvider shop/slack: slack.example: HTTP 404 Not Found"


async def test_a_hiccup_is_no_event() -> None:
    failures = iter([unreachable, lambda _: HttpResponse(503, "Busy", {}, b"")])

    def hiccup(request: HttpRequest) -> HttpResponse:
        return next(failures, ok)(request)

    desk = Desk(FakeHttp({"slack.example": hiccup}))
    assert await desk.send(canary(("chat", "info", "slack"))) == (HookResult("chat", passed=True),)
    assert (len(desk.hosts), desk.warned) == (3, [])


async def test_a_controller_that_was_away_for_long_tries_a_few_times_all_the_same() -> None:
    desk = Desk(FakeHttp({"slack.example": not_found}))
    await desk.send(canary(("chat", "info", "slack"), at=START - timedelta(days=1)))
    assert desk.http.times == [0, 1, 3, 7, 15]


async def test_a_busy_service_is_left_alone_for_as_long_as_it_asks() -> None:
    desk = Desk(FakeHttp({"slack.example": lambda _: HttpResponse(429, "Too Many Requests", {"retry-after": "20"}, b"")}))
    await desk.send(canary(("chat", "info", "slack"), at=START - timedelta(days=1)))
    assert desk.http.times == [0, 20, 40, 60, 80]


async def test_one_host_gets_at_most_8_requests_at_a_time() -> None:
    desk, under_way, most = Desk(), 0, 0
    sender = desk.sender()

    async def slow(request: HttpRequest) -> HttpResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1
        return ok(request)

    desk.http.send = slow  # type: ignore[method-assign]  # the one thing that differs here
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(sender.send("run-1", canary(("chat", "info", "slack")), cast("Objects", desk.objects)), name=f"{number}")
    assert most == 8


@pytest.mark.looptime(False)
async def test_an_alert_arrives_over_the_wire() -> None:
    """With the HTTP client of the process, at a receiver that listens on loopback."""
    arrived: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        arrived.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server, HttpxClient(environ={}) as http:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/KEY"
        objects = FakeObjects({"shop/p": {"type": "slack", "secretRef": {"name": "s"}}}, {"shop/s": {"address": address, "token": "xoxb"}})
        sender = AlertSender(http, AlertSettings(), LoopClock(START), lambda *_: None)
        assert await sender.send("run-1", canary(("chat", "info", "p")), cast("Objects", objects)) == (HookResult("chat", passed=True),)
    head, _, body = arrived[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /KEY HTTP/1.1")
    assert b"authorization: bearer xoxb" in head.lower()
    assert orjson.loads(body)["attachments"][0]["text"] == "It failed."


# the global notifier


def flags(**values: str) -> ControllerFlags:
    return ControllerFlags(**cast("dict[str, Any]", values))


def test_teams_is_chosen_where_its_url_is_set() -> None:
    """metrics:ALR-G-02"""
    given = flags(msteams_url="https://teams/KEY", msteams_proxy_url="http://p", slack_url="https://slack/KEY", slack_channel="c")
    receiver = global_notifier(given).receiver
    assert receiver
    assert (receiver.type, receiver.config.address, receiver.config.proxy) == ("msteams", "https://teams/KEY", "http://p")


def test_slack_gets_what_its_flags_say() -> None:
    """metrics:ALR-G-01"""
    given = flags(slack_url="https://slack/KEY", slack_channel="c", slack_user="u", slack_token="xoxb", slack_proxy_url="http://p")
    receiver = global_notifier(given).receiver
    assert receiver
    config = NotifierConfig(address="https://slack/KEY", channel="c", username="u", proxy="http://p", credentials={"token": "xoxb"})
    assert (receiver.type, receiver.config) == ("slack", config)


def test_without_a_url_there_is_none() -> None:
    assert (global_notifier(flags()).receiver, global_notifier(flags()).problem) == (None, "")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"slack_url": "https://slack/KEY"}, "-slack-url is set without -slack-channel: nobody is told"),
        ({"slack_url": "https://slack/KEY", "slack_user": ""}, "-slack-url is set without -slack-user: nobody is told"),
        ({"slack_url": "slack/KEY", "slack_channel": "c"}, "-slack-url is no absolute http or https URL: nobody is told"),
        ({"msteams_url": "ftp://teams/KEY"}, "-msteams-url is no absolute http or https URL: nobody is told"),
    ],
)
def test_a_wrong_setting_switches_it_off_and_is_logged_without_the_url(given: dict[str, str], problem: str) -> None:
    """metrics:ALR-G-03"""
    notifier = global_notifier(flags(**given))
    with capture_logs() as logs:
        notifier.announce()
    assert (notifier.receiver, notifier.problem) == (None, problem)
    assert logs == [{"event": "global_notifier_off", "reason": problem, "log_level": "error"}]


def test_a_start_shows_the_host_only() -> None:
    """metrics:ALR-G-03"""
    with capture_logs() as logs:
        global_notifier(flags(msteams_url="https://teams.example/KEY")).announce()
    assert logs == [{"event": "global_notifier", "type": "msteams", "host": "teams.example", "log_level": "info"}]
