"""The webhook client on virtual time, against an HTTP client that answers from a list."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from flagger_py.api.analysis import Webhook
from flagger_py.controller.hooks import HookClient, HookEvent, HookPayload, attempt_timeout, limit, pause_after
from flagger_py.http.client import DIRECT, BadUrl, Denied, HttpError, HttpRequest, HttpResponse, Unreachable, Untrusted
from flagger_py.rollout.verdicts import HookResult

PAYLOAD = HookPayload(name="web", namespace="prod", phase="Progressing", checksum="8f5d")


@dataclass
class FakeHttp:
    """Gives its answers one after the other, the last one for ever."""

    answers: list[HttpResponse | HttpError]
    sent: list[HttpRequest] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(answer, HttpError):
            raise answer
        return answer


def reply(status: int, body: bytes = b"", **headers: str) -> HttpResponse:
    return HttpResponse(status, "Reason", {name.replace("_", "-"): value for name, value in headers.items()}, body)


def hook(**fields: object) -> Webhook:
    return Webhook.model_validate({"name": "gate", "url": "http://gate/check", **fields})


async def call(http: FakeHttp, **fields: object) -> HookResult:
    return await HookClient(http).call(hook(**fields), PAYLOAD)


@pytest.mark.parametrize(
    ("status", "passed"), [(200, True), (201, True), (202, True), (203, False), (204, False), (299, False), (304, False)]
)
async def test_a_hook_passes_with_a_status_up_to_202(status: int, passed: bool) -> None:
    """engine:HOOK-04, metrics:WH-02"""
    assert (await call(FakeHttp([reply(status)]))).passed is passed


async def test_the_body_has_the_five_keys_of_flagger() -> None:
    """engine:HOOK-01, metrics:WH-01"""
    http = FakeHttp([reply(200)])
    await call(http, metadata={"cmd": "hey"})
    (request,) = http.sent
    assert (request.method, request.url, dict(request.headers)) == ("POST", "http://gate/check", {"Content-Type": "application/json"})
    assert orjson.loads(request.body or b"") == {
        "name": "web",
        "namespace": "prod",
        "phase": "Progressing",
        "checksum": "8f5d",
        "metadata": {"cmd": "hey"},
    }


async def test_empty_metadata_is_left_out() -> None:
    """engine:HOOK-01"""
    http = FakeHttp([reply(200)])
    await call(http)
    assert "metadata" not in orjson.loads(http.sent[0].body or b"")


def test_the_step_that_asks_is_named_by_additional_keys() -> None:
    """engine:HOOK-12"""
    payload = HookPayload(
        name="web", namespace="prod", phase="Progressing", checksum="8f", run="r1", revision="v1:ab", step=2, check_number=7
    )
    body = orjson.loads(payload.body({}))
    assert {key: body[key] for key in ("run", "revision", "step", "checkNumber")} == {
        "run": "r1",
        "revision": "v1:ab",
        "step": 2,
        "checkNumber": 7,
    }


def test_an_event_is_described_by_metadata_that_a_hook_cannot_override() -> None:
    """engine:HOOK-02, metrics:EVT-03"""
    event = HookEvent("New revision detected!", "Warning", datetime(2026, 1, 2, tzinfo=UTC))
    payload = HookPayload(name="web", namespace="prod", phase="Failed", checksum="8f", event=event)
    assert orjson.loads(payload.body({"env": "prod", "eventType": "mine"}))["metadata"] == {
        "env": "prod",
        "eventMessage": "New revision detected!",
        "eventType": "Warning",
        "timestamp": "1767312000000",
    }


@pytest.mark.looptime
@pytest.mark.parametrize("failure", [reply(500), reply(503), reply(429), Unreachable("gate: no connection")])
async def test_what_may_pass_is_tried_again_after_1_2_4_up_to_30_seconds(failure: HttpResponse | HttpError) -> None:
    """engine:HOOK-07, metrics:WH-04"""
    http = FakeHttp([failure])
    result = await call(http, retries=7)
    assert [later - earlier for earlier, later in zip(http.times, http.times[1:], strict=False)] == [1, 2, 4, 8, 16, 30, 30]
    assert result.message.startswith("giving up after 8 attempt(s): ")


@pytest.mark.parametrize(
    "failure",
    [reply(400), reply(403), reply(404), reply(501), Untrusted("gate: bad certificate"), BadUrl("no URL"), Denied("gate: denied")],
)
async def test_what_cannot_pass_is_not_tried_again(failure: HttpResponse | HttpError) -> None:
    """engine:HOOK-07, metrics:WH-04"""
    http = FakeHttp([failure])
    assert not (await call(http, retries=3)).passed
    assert len(http.sent) == 1


async def test_without_retries_a_hook_is_called_once() -> None:
    """engine:HOOK-07"""
    for retries in (0, -5):
        http = FakeHttp([reply(500)])
        await call(http, retries=retries)
        assert len(http.sent) == 1


@pytest.mark.looptime
async def test_a_retry_that_passes_is_a_pass() -> None:
    assert await call(FakeHttp([reply(500), Unreachable("x"), reply(200)]), retries=5) == HookResult("gate", passed=True)


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        pytest.param(reply(503, retry_after="7"), 7, id="seconds"),
        pytest.param(reply(429, retry_after="0"), 0, id="at once"),
        pytest.param(reply(429, retry_after="86400"), 30, id="at most 30 s"),
        pytest.param(reply(503, retry_after="Fri, 02 Jan 2026 03:04:15 GMT"), 10, id="a date"),
        pytest.param(reply(503, retry_after="Thu, 01 Jan 2026 00:00:00 GMT"), 0, id="a date in the past"),
        pytest.param(reply(503, retry_after="soon"), 4, id="what cannot be read does not count"),
        pytest.param(reply(500, retry_after="7"), 4, id="only with 429 and 503"),
        pytest.param(Unreachable("x"), 4, id="no answer"),
    ],
)
def test_retry_after_is_honoured(outcome: HttpResponse | HttpError, seconds: int) -> None:
    """engine:HOOK-07, metrics:WH-04"""
    assert pause_after(2, outcome, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("timeout", "kind", "seconds"),
    [
        ("", "", 10),
        ("5", "", 10),
        ("90s", "", 90),
        ("1m30s", "rollout", 90),
        ("0s", "", 10),
        ("-5s", "", 10),
        ("", "event", 10),
        ("2s", "event", 2),
    ],
)
def test_a_time_out_is_that_of_one_attempt(timeout: str, kind: str, seconds: int) -> None:
    """engine:HOOK-06, metrics:WH-03"""
    assert attempt_timeout(hook(timeout=timeout, type=kind)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("given", "kind"), [("10mm", ""), ("1min", "rollout"), ("5", "event")])
async def test_a_time_out_that_is_no_duration_fails_the_hook_without_a_request(given: str, kind: str) -> None:
    """engine:HOOK-06"""
    http = FakeHttp([reply(200)])
    result = await call(http, timeout=given, type=kind)
    assert not result.passed
    assert f"timeout '{given}'" in result.message
    assert not http.sent


async def test_the_time_out_and_the_tls_choice_reach_the_request() -> None:
    """engine:HOOK-08, metrics:WH-06"""
    http = FakeHttp([reply(200)])
    await call(http, timeout="3s", disableTLS=True)
    await call(http)
    assert [(request.timeout, request.verify, request.proxy) for request in http.sent] == [(3.0, False, DIRECT), (10.0, True, "")]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(reply(403, b" not yet \n"), "not yet", id="the body of a gate"),
        pytest.param(reply(403), "HTTP 403 Reason", id="no body"),
        pytest.param(reply(204), "HTTP 204 Reason", id="204 is no success"),
        pytest.param(
            reply(500, b"3 tests failed"), "giving up after 1 attempt(s): HTTP 500 Reason: 3 tests failed", id="the body of a 500"
        ),
        pytest.param(Unreachable("gate: no connection"), "giving up after 1 attempt(s): gate: no connection", id="no connection"),
    ],
)
async def test_a_failure_says_why(answer: HttpResponse | HttpError, message: str) -> None:
    """engine:HOOK-05, metrics:WH-02, WH-05"""
    assert (await call(FakeHttp([answer]))).message == message


async def test_a_message_is_cut_at_1_kib() -> None:
    """metrics:WH-05"""
    result = await call(FakeHttp([reply(400, "ü".encode() * 5000)]))
    assert result.message == "ü" * 512


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [({}, 10), ({"timeout": "5m"}, 300), ({"timeout": "5s", "retries": 3}, 4 * 5 + 3 * 30), ({"timeout": "10mm"}, 10)],
)
def test_the_limit_covers_all_attempts_and_pauses(fields: dict[str, object], seconds: int) -> None:
    """engine:HOOK-12"""
    assert limit(hook(**fields)) == timedelta(seconds=seconds)
