"""The analyst: which checks run in which order, and what each outcome says. Prometheus is a fake HTTP client, the cluster a dict."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from structlog.testing import capture_logs

from flagger_py.api.canary import Canary
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.controller.analysis import Analyst, Source, checks_of, template_values
from flagger_py.controller.metric_providers import MetricSettings
from flagger_py.http.client import HttpError, HttpRequest, HttpResponse, Unreachable
from flagger_py.metrics import registry
from flagger_py.metrics.base import MetricProvider
from flagger_py.objects.errors import Forbidden
from flagger_py.objects.knative import KNATIVE_SERVICE
from flagger_py.objects.patch import Patch
from flagger_py.objects.plugins import BrokenPlugin
from flagger_py.objects.resource import METRIC_TEMPLATE, SECRET, Manifest, Ref, Resource
from flagger_py.rollout.sample import Sample, Value
from flagger_py.rollout.verdicts import CheckResult

PASS, FAIL, NO_DATA, ERROR = CheckOutcome.PASS, CheckOutcome.FAIL, CheckOutcome.NO_DATA, CheckOutcome.ERROR

Respond = Callable[[str], str | HttpResponse | HttpError | None]
"""From a query to the text of its value, to nothing, to a whole answer or an error."""


@dataclass
class FakePrometheus:
    """Answers instant queries; `gate` holds every answer back until it is set."""

    respond: Respond = lambda _: "1"
    gate: asyncio.Event | None = None
    requests: list[HttpRequest] = field(default_factory=list)
    waiting: int = 0
    most_waiting: int = 0

    @property
    def queries(self) -> list[str]:
        return [parse_qs(urlsplit(request.url).query)["query"][0] for request in self.requests]

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        if self.gate:
            await self.gate.wait()
        self.waiting -= 1
        answer = self.respond(self.queries[-1])
        if isinstance(answer, HttpError):
            raise answer
        if isinstance(answer, HttpResponse):
            return answer
        result = [] if answer is None else [{"metric": {}, "value": [1, answer]}]
        return HttpResponse(200, "OK", {}, orjson.dumps({"data": {"resultType": "vector", "result": result}}))


@dataclass
class FakeObjects:
    """Objects by reference; reading what is `forbidden` is refused."""

    manifests: Mapping[Ref, Manifest] = field(default_factory=dict)
    forbidden: frozenset[Ref] = frozenset()

    async def read(self, ref: Ref) -> Manifest | None:
        if ref in self.forbidden:
            raise Forbidden(f"{ref}: not allowed")
        return self.manifests.get(ref)

    async def get(self, ref: Ref) -> Manifest | None:
        return await self.read(ref)

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        raise NotImplementedError

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        raise NotImplementedError

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        raise NotImplementedError

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        raise NotImplementedError


def canary(*metrics: dict[str, Any], name: str = "podinfo", **spec: Any) -> Canary:
    return Canary.model_validate(
        {
            "metadata": {"name": name, "namespace": "prod"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 10, "metrics": list(metrics)},
                **spec,
            },
        }
    )


def template(query: str = "up", name: str = "errors", namespace: str = "prod", version: str = "1", **provider: Any) -> tuple[Ref, Manifest]:
    ref = Ref(METRIC_TEMPLATE, namespace, name)
    spec = {"provider": {"type": "prometheus", "address": "http://metrics:9090", **provider}, "query": query}
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "resourceVersion": version}
    return ref, {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": metadata, "spec": spec}


def secret(namespace: str = "prod", version: str = "1", **data: str) -> tuple[Ref, Manifest]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return Ref(SECRET, namespace, "credentials"), {"metadata": {"name": "credentials", "resourceVersion": version}, "data": encoded}


def referring(name: str = "errors", **fields: Any) -> dict[str, Any]:
    return {"name": "errors", "templateRef": {"name": name}, "thresholdRange": {"max": 1}, **fields}


RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"}


@dataclass
class Run:
    """An analyst with what it measured and asked."""

    prometheus: FakePrometheus
    objects: FakeObjects
    analyst: Analyst
    recorded: list[tuple[str, str, float]] = field(default_factory=list)

    async def analyse(self, subject: Canary) -> tuple[CheckResult, ...]:
        return await self.analyst.analyse(subject, self.objects)


def run(respond: Respond = lambda _: "1", *objects: tuple[Ref, Manifest], **settings: Any) -> Run:
    recorded: list[tuple[str, str, float]] = []
    prometheus = FakePrometheus(respond)
    analyst = Analyst(
        prometheus, MetricSettings(**settings), lambda subject, name, value: recorded.append((subject.metadata.name, name, value))
    )
    return Run(prometheus, FakeObjects(dict(objects)), analyst, recorded)


def test_checks_run_in_two_passes_and_one_metric_may_have_three() -> None:
    """metrics:EVAL-02, EVAL-03, EVAL-04, engine:ANL-01, ANL-02"""
    subject = canary(
        {"name": "custom", "templateRef": {"name": "t"}},
        {"name": "request-success-rate", "query": "up", "templateRef": {"name": "t"}},
        {"name": "empty"},
        {"name": "inline", "query": "up"},
        {"name": "request-duration"},
    )
    assert [(check.metric.name, check.source) for check in checks_of(subject)] == [
        ("request-success-rate", Source.BUILT_IN),
        ("request-success-rate", Source.INLINE),
        ("inline", Source.INLINE),
        ("request-duration", Source.BUILT_IN),
        ("custom", Source.TEMPLATE),
        ("request-success-rate", Source.TEMPLATE),
        ("empty", Source.NONE),
    ]


async def test_an_analysis_without_metrics_passes() -> None:
    """metrics:EVAL-05, engine:ANL-09"""
    assert await run().analyse(canary()) == ()


async def test_the_built_in_checks_ask_for_the_metrics_of_the_provider() -> None:
    """metrics:OBS-CONTOUR-01, OBS-SEL-02, OBS-SEL-06, EVAL-07"""
    checking = run(lambda query: "99.5" if "response_code" in query else "250.7", metrics_server="http://global:9090")
    results = await checking.analyse(canary(RATE, DURATION, provider="contour", metricsServer="http://mine:9090"))
    assert results == (
        CheckResult("request-success-rate", 99.5, ">= 99%", PASS),
        CheckResult("request-duration", 250.7, "<= 500ms", PASS),
    )
    assert [urlsplit(request.url).netloc for request in checking.prometheus.requests] == ["mine:9090", "mine:9090"]
    assert 'envoy_cluster_name=~"prod_web-canary_[0-9a-zA-Z-]+"' in checking.prometheus.queries[0]
    assert "[1m]" in checking.prometheus.queries[0]
    assert "[30s]" in checking.prometheus.queries[1]


async def test_values_are_recorded_in_percent_seconds_or_raw_before_they_are_judged() -> None:
    """metrics:EVAL-16, REC-06, engine:ANL-07"""
    answers = {"envoy_response_code": "10"}
    checking = run(lambda query: next((value for key, value in answers.items() if key in query), "1515.9"), template())
    await checking.analyse(canary(DURATION | {"thresholdRange": {}}, referring(thresholdRange={}), RATE, provider="contour"))
    assert checking.recorded == [("podinfo", "request-duration", 1.515), ("podinfo", "request-success-rate", 10.0)]


async def test_the_first_failure_ends_the_analysis() -> None:
    """metrics:EVAL-02, engine:ANL-01"""
    checking = run(lambda _: "50", template())
    results = await checking.analyse(canary(RATE, DURATION, referring()))
    assert results == (
        CheckResult("request-success-rate", 50.0, ">= 99%", FAIL, "Halt podinfo.prod advancement success rate 50.00% < 99%"),
    )
    assert len(checking.prometheus.requests) == 1


NO_VALUES = "Halt podinfo.prod advancement no values found for istio metric request-success-rate probably web.prod is not receiving traffic"


@pytest.mark.parametrize(
    ("answer", "result", "message"),
    [
        pytest.param(None, NO_DATA, f"{NO_VALUES}: the query returned no series", id="no data"),
        pytest.param("NaN", NO_DATA, f"{NO_VALUES}: the value is NaN: 0 divided by 0, as with no request in the window", id="NaN"),
        pytest.param(
            HttpResponse(400, "Bad Request", {}, b"parse error"),
            ERROR,
            "Halt podinfo.prod advancement metric request-success-rate cannot be checked: the query cannot be answered: "
            "prometheus at prometheus:9090: HTTP 400 Bad Request: parse error",
            id="an error of the query",
        ),
        pytest.param(
            Unreachable("prometheus:9090: no connection"),
            CheckOutcome.UNREACHABLE,
            "Halt podinfo.prod advancement metric request-success-rate cannot be checked: the provider gave no usable answer: "
            "prometheus at prometheus:9090: no connection",
            id="an unreachable server",
        ),
    ],
)
async def test_no_data_nan_a_query_error_and_an_unreachable_server_are_four_things(
    answer: str | HttpResponse | HttpError | None, result: CheckOutcome, message: str
) -> None:
    """metrics:EVAL-15, EVAL-17, engine:ANL-05, issue 3 §2.7"""
    checking = run(lambda _: answer)
    assert await checking.analyse(canary(RATE)) == (CheckResult("request-success-rate", None, ">= 99%", result, message),)
    assert checking.recorded == []


async def test_a_template_is_rendered_for_the_canary_and_asked_at_its_own_provider() -> None:
    """metrics:TPL-02, TPL-10, TPL-15, EVAL-07, engine:ANL-08"""
    query = '\n  sum(rate(x{n="{{ namespace }}_{{ target }}", r=~"{{ variables.code }}"}[{{ interval }}]))\n'
    checking = run(lambda _: "0.5", template(query))
    results = await checking.analyse(canary(referring(templateVariables={"code": "5.."})))
    assert results == (CheckResult("errors", 0.5, "<= 1", PASS),)
    assert checking.prometheus.queries == ['sum(rate(x{n="prod_web", r=~"5.."}[1m]))']
    assert urlsplit(checking.prometheus.requests[0].url).netloc == "metrics:9090"
    assert checking.recorded == [("podinfo", "errors", 0.5)]


async def test_an_inline_query_is_rendered_and_asked_at_the_metrics_server() -> None:
    """metrics:EVAL-03, EVAL-12"""
    checking = run(lambda _: "3")
    results = await checking.analyse(canary({"name": "old", "query": 'x{n="{{ name }}"}', "threshold": 2}))
    assert results == (CheckResult("old", 3.0, "<= 2", FAIL, "Halt podinfo.prod advancement old 3.00 > 2"),)
    assert checking.prometheus.queries == ['x{n="podinfo"}']


@pytest.mark.parametrize(
    ("metric", "objects", "message"),
    [
        pytest.param(referring("other"), [], "MetricTemplate prod/other does not exist", id="no template"),
        pytest.param(
            referring(templateRef={"name": "errors", "namespace": "shared"}),
            [template()],
            "MetricTemplate shared/errors does not",
            id="elsewhere",
        ),
        pytest.param(
            referring(),
            [template("{{ variables.nope }}")],
            "MetricTemplate prod/errors cannot be rendered: the metric's templateVariables have no 'nope'",
            id="a missing variable",
        ),
        pytest.param(
            {"name": "old", "query": "{{ nope }}"},
            [],
            "query cannot be rendered: unknown function nope",
            id="engine:HAZ-34 an inline query",
        ),
        pytest.param(
            referring(), [template(type="prometheuss")], "unknown metric provider 'prometheuss'; known are:", id="an unknown type"
        ),
        pytest.param(referring(), [template(address="")], "the address of the Prometheus server must be", id="no address"),
        pytest.param(
            referring(),
            [template(secretRef={"name": "credentials"})],
            "Secret prod/credentials of MetricTemplate prod/errors does not exist",
            id="no secret",
        ),
        pytest.param(
            referring(),
            [template(secretRef={"name": "credentials"}), secret()],
            "Secret prod/credentials of MetricTemplate prod/errors holds no data",
            id="an empty secret",
        ),
        pytest.param(
            referring(),
            [template(secretRef={"name": "credentials"}), secret(username="u")],
            "the Secret has no key password",
            id="an incomplete secret",
        ),
        pytest.param({"name": "empty"}, [], "no usable MetricTemplate or query", id="nothing to ask"),
    ],
)
async def test_a_check_that_cannot_be_asked_is_an_error_that_says_why(
    metric: dict[str, Any], objects: list[tuple[Ref, Manifest]], message: str
) -> None:
    """metrics:EVAL-04, EVAL-18, TPL-04, TPL-06, TPL-11, PRV-05, engine:ANL-06"""
    checking = run(lambda _: "1", *objects)
    (result,) = await checking.analyse(canary(metric))
    assert result.result is ERROR
    assert result.message.startswith(f"Halt podinfo.prod advancement metric {metric['name']} cannot be checked: ")
    assert message in result.message
    assert not checking.prometheus.requests


async def test_a_template_that_must_not_be_read_is_an_error() -> None:
    checking = run(lambda _: "1", template())
    checking.objects.forbidden = frozenset({template()[0]})
    (result,) = await checking.analyse(canary(referring()))
    assert (result.result, "MetricTemplate prod/errors cannot be read" in result.message) == (ERROR, True)


@pytest.mark.parametrize(("allowed", "result"), [(True, PASS), (False, ERROR)])
async def test_a_reference_to_another_namespace_is_refused_where_it_is_used(allowed: bool, result: CheckOutcome) -> None:
    """engine:NS-04, metrics:TPL-02"""
    checking = run(lambda _: "1", template(namespace="shared"), cross_namespace_refs=allowed)
    (found,) = await checking.analyse(canary(referring(templateRef={"name": "errors", "namespace": "shared"})))
    assert found.result is result
    own = run(lambda _: "1", template(), cross_namespace_refs=allowed)
    (found,) = await own.analyse(canary(referring(templateRef={"name": "errors", "namespace": "prod"})))
    assert found.result is PASS


async def test_the_secret_comes_from_the_namespace_of_the_template() -> None:
    """metrics:TPL-04, PROM-04"""
    parts = (
        template(namespace="shared", secretRef={"name": "credentials"}),
        secret("shared", token="theirs"),
        secret("prod", token="mine"),
    )
    checking = run(lambda _: "1", *parts)
    await checking.analyse(canary(referring(templateRef={"name": "errors", "namespace": "shared"})))
    assert checking.prometheus.requests[0].headers["Authorization"] == "Bearer theirs"


async def test_a_secret_that_is_no_text_is_an_error_that_does_not_show_it() -> None:
    ref, manifest = secret(token="x")
    manifest["data"]["token"] = base64.b64encode(b"\xff\xfe").decode()
    checking = run(lambda _: "1", template(secretRef={"name": "credentials"}), (ref, manifest))
    (result,) = await checking.analyse(canary(referring()))
    assert result.message.endswith("Secret prod/credentials: the value of token is no text")


async def test_a_changed_secret_or_template_is_used_at_once() -> None:
    """metrics:TPL-05"""
    checking = run(lambda _: "1", template(secretRef={"name": "credentials"}), secret(token="old"))
    subject = canary(referring())
    await checking.analyse(subject)
    checking.objects.manifests = dict([template(secretRef={"name": "credentials"}), secret(version="2", token="new")])
    await checking.analyse(subject)
    checking.objects.manifests = dict([template(version="2", address="http://moved:9090")])
    await checking.analyse(subject)
    assert [request.headers.get("Authorization") for request in checking.prometheus.requests] == ["Bearer old", "Bearer new", None]
    assert urlsplit(checking.prometheus.requests[-1].url).netloc == "moved:9090"


class Stranger(MetricProvider):
    """A plug-in that misbehaves as its address says."""

    async def query(self, query: str, window: timedelta) -> Sample:
        match self.config.address:
            case "raise":
                raise RuntimeError("secret")
            case "hang":
                await asyncio.Event().wait()
        return Value(float(self.config.address))

    async def ping(self) -> None:
        await self.query("", timedelta())


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("address", "result", "message"),
    [
        ("raise", ERROR, "cannot be checked: the provider Stranger failed: RuntimeError"),
        ("hang", CheckOutcome.UNREACHABLE, "cannot be checked: the provider Stranger gave no answer within 60 s"),
        ("nan", NO_DATA, "not receiving traffic: the value is nan"),
        ("inf", NO_DATA, "not receiving traffic: the value is inf"),
        ("0.5", PASS, ""),
    ],
)
async def test_a_plug_in_that_misbehaves_fails_the_check_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, address: str, result: CheckOutcome, message: str
) -> None:
    """metrics:EVAL-11, EVAL-15, issue 3 §2.12"""
    monkeypatch.setattr(registry, "load", lambda _: Stranger)
    checking = run(lambda _: "1", template(address=address, type="stranger"))
    with capture_logs() as logs:
        (found,) = await checking.analyse(canary(referring()))
    assert found.result is result
    assert found.message.endswith(message)
    assert [entry["event"] for entry in logs] == (["metric_provider_failed"] if address == "raise" else [])


async def test_a_plug_in_that_cannot_be_loaded_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> type[MetricProvider]:
        raise BrokenPlugin("metric provider 'x' cannot be imported")

    monkeypatch.setattr(registry, "load", broken)
    (result,) = await run(lambda _: "1", template()).analyse(canary(referring()))
    assert result.message.endswith("MetricTemplate prod/errors: metric provider 'x' cannot be imported")


async def test_at_most_eight_queries_are_under_way_at_one_address_and_others_do_not_wait() -> None:
    """design §3: a slow provider delays only its own Canaries"""
    checking = run(lambda query: None if "slow" in query else "1")
    checking.prometheus.gate = asyncio.Event()
    slow = [canary({"name": "x", "query": "slow"}, name=f"slow-{number}", metricsServer="http://slow:1") for number in range(20)]
    other = canary({"name": "x", "query": "up", "threshold": 1}, metricsServer="http://other:1")
    async with asyncio.TaskGroup() as group:
        for subject in [*slow, other]:
            group.create_task(checking.analyse(subject))
        for _ in range(100):  # every task runs as far as it can
            await asyncio.sleep(0)
        assert checking.prometheus.queries.count("slow") == 8
        assert checking.prometheus.queries.count("up") == 1
        checking.prometheus.gate.set()
    assert len(checking.prometheus.requests) == 21
    assert checking.prometheus.most_waiting == 9


async def test_a_check_that_is_cancelled_leaves_its_turn() -> None:
    checking = run()
    checking.prometheus.gate = asyncio.Event()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(checking.analyse(canary(RATE)), 0)
    checking.prometheus.gate.set()
    assert len(await checking.analyse(canary(RATE))) == 1


async def test_providers_are_available_when_each_says_so() -> None:
    """metrics:AVAIL-01, AVAIL-02, engine:ANL-30"""
    checking = run(lambda _: "1", template())
    results = await checking.analyst.availability(canary(RATE, {"name": "inline", "query": "up"}, referring()), checking.objects)
    assert [(result.name, result.result) for result in results] == [
        ("request-success-rate", PASS),
        ("inline", PASS),
        ("errors", PASS),
    ]
    assert checking.prometheus.queries == ["vector(1)", "vector(1)"]


async def test_the_first_provider_that_cannot_be_asked_is_named() -> None:
    """metrics:AVAIL-02"""
    checking = run(lambda _: Unreachable("prometheus:9090: no connection"), template())
    (result,) = await checking.analyst.availability(canary(RATE, referring()), checking.objects)
    assert result.result is CheckOutcome.UNREACHABLE
    assert result.message.startswith("request-success-rate: the provider gave no usable answer: prometheus at prometheus:9090: ")


async def test_of_a_built_in_metric_the_template_is_not_looked_at() -> None:
    """metrics:AVAIL-02"""
    checking = run()
    results = await checking.analyst.availability(canary(RATE | {"templateRef": {"name": "missing"}}), checking.objects)
    assert [result.result for result in results] == [PASS]


def test_what_queries_insert_comes_from_the_references_of_the_canary() -> None:
    """metrics:TPL-10, EVAL-07, engine:ANL-08, DEF-09"""
    references: dict[str, Any] = {
        "service": {"port": 80, "name": "shop"},
        "ingressRef": {"apiVersion": "v1", "kind": "Ingress", "name": "ing"},
        "routeRef": {"apiVersion": "v1", "kind": "ApisixRoute", "name": "route"},
    }
    subject = canary({"name": "m", "interval": "90s"}, {"name": "n"}, **references)
    metrics = subject.spec.analysis.metrics if subject.spec.analysis else ()
    values = template_values(subject, metrics[0])
    assert (values.name, values.namespace, values.target) == ("podinfo", "prod", "web")
    assert (values.service, values.ingress, values.route, values.interval) == ("shop", "ing", "route", "90s")
    plain = template_values(canary(), metrics[1])
    assert (plain.service, plain.ingress, plain.route, plain.interval) == ("web", "web", "web", "1m")


KNATIVE: dict[str, Any] = {
    "provider": "knative",
    "targetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"},
    "service": None,
}
KNATIVE_WEB = Ref(KNATIVE_SERVICE, "prod", "web")


async def test_of_a_knative_target_the_newest_revision_is_asked_about() -> None:
    """engine:PRV-06, ANL-08, metrics:EVAL-06, OBS-KNATIVE-01"""
    service = {"metadata": {"name": "web"}, "status": {"latestCreatedRevisionName": "web-00002"}}
    checking = run(lambda _: "100", (KNATIVE_WEB, service))
    await checking.analyse(canary(RATE, {"name": "n", "query": "q{r='{{ route }}'}", "thresholdRange": {"min": 1}}, **KNATIVE))
    built_in, inline = checking.prometheus.queries
    assert 'envoy_cluster_name=~"prod/web-00002"' in built_in
    assert inline == "q{r='web-00002'}"


@pytest.mark.parametrize("is_forbidden", [True, False])
async def test_a_knative_target_that_cannot_be_read_is_a_failed_check(is_forbidden: bool) -> None:
    """metrics:EVAL-06, engine:PRV-06"""
    checking = run(lambda _: "100")
    if is_forbidden:
        checking.objects = replace(checking.objects, forbidden=frozenset({KNATIVE_WEB}))
    (result,) = await checking.analyse(canary(RATE, **KNATIVE))
    assert result.result is CheckOutcome.ERROR
    assert ("not allowed" if is_forbidden else "Service prod/web does not exist") in result.message
