"""Which hooks are called for a question, and which result decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest

from flagger_py.api.canary import Canary
from flagger_py.controller.alerts import AlertSender, AlertSettings
from flagger_py.controller.analysis import Analyst
from flagger_py.controller.answerer import WebhookAnswerer
from flagger_py.controller.clock import SystemClock
from flagger_py.controller.hooks import HookClient
from flagger_py.controller.metric_providers import MetricSettings
from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind

NO_OBJECTS = cast("Objects", None)  # nothing here looks at the cluster


@dataclass
class FakeHttp:
    """Answers each hook with the status that its URL's path names; a query of Prometheus with `value`."""

    value: str = "100"
    sent: list[HttpRequest] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        if request.method == "POST":
            return HttpResponse(int(request.url.rpartition("/")[2]), "Reason", {}, b"")
        data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, self.value]}]}
        return HttpResponse(200, "OK", {}, orjson.dumps({"data": data}))


def canary(hooks: Mapping[str, tuple[str, int]], *metrics: dict[str, Any]) -> Canary:
    webhooks = [{"name": name, "type": kind, "url": f"http://hook/{status}"} for name, (kind, status) in hooks.items()]
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 10, "webhooks": webhooks, "metrics": list(metrics)}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return Canary.model_validate(
        {"metadata": {"name": "podinfo", "namespace": "prod"}, "spec": {"targetRef": target, "analysis": analysis}}
    )


async def ask(kind: QuestionKind, subject: Canary, http: FakeHttp | None = None) -> Answer:
    http = http or FakeHttp()
    alerts = AlertSender(http, AlertSettings(), SystemClock(), lambda *_: None)
    answerer = WebhookAnswerer(HookClient(http), Analyst(http, MetricSettings(), lambda *_: None), lambda *_: None, alerts)
    question = Question(QuestionKey("run-1", 2, 7, kind), "Progressing", "8f5d", "v1:ab")
    return await answerer.answer(question, subject, NO_OBJECTS)


@pytest.mark.parametrize(
    ("kind", "hooks", "results"),
    [
        pytest.param(
            QuestionKind.PRE_ROLLOUT,
            {"a": ("pre-rollout", 200), "b": ("pre-rollout", 403), "c": ("pre-rollout", 200), "d": ("rollout", 500)},
            [("a", True), ("b", False)],
            id="the first failure decides",
        ),
        pytest.param(
            QuestionKind.ROLLBACK,
            {"a": ("rollback", 403), "b": ("rollback", 200), "c": ("rollback", 200)},
            [("a", False), ("b", True)],
            id="the first rollback hook that says yes decides",
        ),
        pytest.param(
            QuestionKind.CONFIRM_PROMOTION,
            {"a": ("confirm-promotion", 202), "b": ("confirm-promotion", 201)},
            [("a", True), ("b", True)],
            id="all have to confirm",
        ),
        pytest.param(QuestionKind.POST_ROLLOUT, {"a": ("", 200)}, [], id="no hook of this stage"),
    ],
)
async def test_hooks_of_one_stage_are_called_in_order_until_one_decides(
    kind: QuestionKind, hooks: dict[str, tuple[str, int]], results: list[tuple[str, bool]]
) -> None:
    """engine:§10, engine:HOOK-11"""
    answer = await ask(kind, canary(hooks))
    assert [(hook.name, hook.passed) for hook in answer.hooks] == results
    assert answer.checks == ()


async def test_metrics_are_asked_after_rollout_hooks_passed() -> None:
    """engine:ANL-01, engine:DEF-12: no type means rollout"""
    answer = await ask(QuestionKind.ANALYSIS, canary({"load": ("", 200), "more": ("rollout", 200)}, {"name": "request-success-rate"}))
    assert [hook.name for hook in answer.hooks] == ["load", "more"]
    assert [check.name for check in answer.checks] == ["request-success-rate"]
    assert answer.passed


async def test_no_metric_is_asked_after_a_rollout_hook_failed() -> None:
    """engine:ANL-01"""
    answer = await ask(QuestionKind.ANALYSIS, canary({"load": ("rollout", 500)}, {"name": "request-success-rate"}))
    assert (answer.passed, answer.checks) == (False, ())


async def test_providers_are_asked_whether_they_are_there() -> None:
    """metrics:AVAIL-02"""
    assert (await ask(QuestionKind.AVAILABILITY, canary({}, {"name": "request-success-rate"}), FakeHttp(value="1"))).passed
    assert not (await ask(QuestionKind.AVAILABILITY, canary({}, {"name": "request-success-rate"}), FakeHttp(value="2"))).passed


async def test_a_hook_is_told_which_step_asks() -> None:
    """engine:HOOK-12"""
    http = FakeHttp()
    await ask(QuestionKind.PRE_ROLLOUT, canary({"a": ("pre-rollout", 200)}), http)
    assert orjson.loads(http.sent[0].body or b"") == {
        "name": "podinfo",
        "namespace": "prod",
        "phase": "Progressing",
        "checksum": "8f5d",
        "run": "run-1",
        "revision": "v1:ab",
        "step": 2,
        "checkNumber": 7,
    }
