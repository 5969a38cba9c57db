"""The Prometheus provider against a fake HTTP client that records what is sent."""

from dataclasses import dataclass, field
from datetime import timedelta

import orjson
import pytest
from structlog.testing import capture_logs

from flagger_py.http.client import BadUrl, Denied, HttpError, HttpRequest, HttpResponse, Unreachable, Untrusted
from flagger_py.metrics.base import InvalidQuery, MetricError, ProviderConfig, Refused, Unavailable
from flagger_py.metrics.prometheus import PrometheusProvider
from flagger_py.metrics.registry import UnknownProvider, load, names
from flagger_py.rollout.sample import NoData, Sample, Value


@dataclass
class FakeHttp:
    """Gives one answer to every request."""

    answer: HttpResponse | HttpError
    sent: list[HttpRequest] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        if isinstance(self.answer, HttpError):
            raise self.answer
        return self.answer


def answer(result: object, kind: str = "vector", status: int = 200) -> HttpResponse:
    return HttpResponse(status, "OK", {}, orjson.dumps({"status": "success", "data": {"resultType": kind, "result": result}}))


def series(*values: str) -> list[dict[str, object]]:
    return [{"metric": {}, "value": [1.5, value]} for value in values]


async def ask(http: FakeHttp, query: str = "up", config: ProviderConfig | None = None) -> Sample:
    return await PrometheusProvider(config or ProviderConfig("http://prometheus:9090"), http).query(query, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Unreachable("prometheus:9090: no answer within 5 s"), "prometheus at prometheus:9090: no answer within 5 s"),
        (Unreachable("proxy:3128: no connection"), "prometheus at prometheus:9090: proxy:3128: no connection"),
        (HttpResponse(503, "Service Unavailable", {}, b""), "prometheus at prometheus:9090: HTTP 503 Service Unavailable"),
        (HttpResponse(502, "", {}, b"<p>bad\n gateway</p>"), "prometheus at prometheus:9090: HTTP 502: <p>bad gateway</p>"),
    ],
)
async def test_what_went_wrong_is_said_once(given: HttpResponse | HttpError, message: str) -> None:
    with pytest.raises(Unavailable) as failed:
        await ask(FakeHttp(given))
    assert str(failed.value) == message


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://prometheus:9090", "http://prometheus:9090/api/v1/query?query=up"),
        ("https://host/prom/", "https://host/prom/api/v1/query?query=up"),
        ("http://host//a/../prom//?dedup=true#x", "http://host/prom/api/v1/query?query=up"),
        ("http://me:pw@host", "http://me:pw@host/api/v1/query?query=up"),
        ("prometheus:9090", "http://prometheus:9090/api/v1/query?query=up"),
        ("10.0.0.1:9090", "http://10.0.0.1:9090/api/v1/query?query=up"),
    ],
)
async def test_the_address_is_joined_with_the_path_of_the_api(address: str, url: str) -> None:
    """metrics:PROM-01, PROM-02"""
    http = FakeHttp(answer(series("1")))
    await ask(http, config=ProviderConfig(address))
    assert http.sent[0].url == url


async def test_a_query_is_form_encoded_with_its_white_space_collapsed_and_a_time_out_of_5_seconds() -> None:
    """metrics:PROM-01, TPL-15, PRV-02"""
    http = FakeHttp(answer(series("1")))
    await ask(http, '\n sum(x{a=~"b+"})  \n\t/ 2\n')
    assert http.sent[0].url.endswith("?query=sum%28x%7Ba%3D~%22b%2B%22%7D%29+%2F+2")
    assert (http.sent[0].method, http.sent[0].timeout, http.sent[0].verify) == ("GET", 5.0, True)


@pytest.mark.parametrize("address", ["", "  ", "ftp://host", "http://", "http://[::1", "http://host:port", "http://host:0"])
def test_an_address_that_can_never_work_is_refused_at_once(address: str) -> None:
    """metrics:PROM-02, PRV-05"""
    with pytest.raises(InvalidQuery, match="address of the Prometheus server"):
        PrometheusProvider(ProviderConfig(address), FakeHttp(answer([])))


@pytest.mark.parametrize(
    ("result", "kind", "sample"),
    [
        pytest.param(series("99.5"), "vector", Value(99.5), id="one series"),
        pytest.param(series("1", "2", "3"), "vector", Value(3.0), id="several series: the last"),
        pytest.param([1.5, "7"], "scalar", Value(7.0), id="a scalar"),
        pytest.param([], "vector", NoData("the query returned no series"), id="nothing"),
    ],
)
async def test_an_answer_becomes_a_sample(result: object, kind: str, sample: Sample) -> None:
    """metrics:PROM-06, PROM-07, RES-02"""
    assert await ask(FakeHttp(answer(result, kind))) == sample


@pytest.mark.parametrize(("text", "reason"), [("NaN", "NaN"), ("+Inf", "infinite"), ("-Inf", "infinite")])
async def test_what_is_no_finite_number_is_no_data(text: str, reason: str) -> None:
    """metrics:PROM-07, EVAL-11, EVAL-15"""
    sample = await ask(FakeHttp(answer(series(text))))
    assert isinstance(sample, NoData)
    assert reason in sample.reason


@pytest.mark.parametrize(
    ("result", "kind", "message"),
    [
        ([{"metric": {}, "values": [[1, "2"]]}], "matrix", "range of values"),
        ([1, "text"], "string", "gives a text"),
        ([{"metric": {}, "histogram": [1, {}]}], "vector", "native histogram"),
        ([{"metric": {}, "value": [1]}], "vector", "no pair of time and text"),
        ([{"metric": {}, "value": [1, 2]}], "vector", "no pair of time and text"),
        (series("many"), "vector", "'many' is no number"),
        (["x"], "vector", "no vector"),
    ],
)
async def test_an_answer_of_the_wrong_kind_is_an_invalid_query(result: object, kind: str, message: str) -> None:
    """metrics:PROM-07, RES-01"""
    with pytest.raises(InvalidQuery, match=message):
        await ask(FakeHttp(answer(result, kind)))


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"", b"[]", b'{"data": {"result": "x"}}', b'{"data": 1}', b"null"])
async def test_an_answer_that_is_not_of_prometheus_is_unavailable(body: bytes) -> None:
    """metrics:PROM-06; issue 3 §4: a Prometheus that answers HTML"""
    with pytest.raises(Unavailable, match="prometheus at prometheus:9090"):
        await ask(FakeHttp(HttpResponse(200, "OK", {"content-type": "text/html"}, body)))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidQuery), (422, InvalidQuery), (404, InvalidQuery), (401, Refused), (403, Refused), (429, Unavailable), (503, Unavailable)],
)
async def test_a_status_says_what_kind_of_error_it_is(status: int, kind: type[MetricError]) -> None:
    """metrics:PROM-06"""
    with pytest.raises(kind, match=f"HTTP {status} Reason: a long body$"):
        await ask(FakeHttp(HttpResponse(status, "Reason", {}, b"a  long\nbody")))


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Unreachable("host: no"), Unavailable), (Untrusted("host: no"), Refused), (Denied("host: no"), Refused), (BadUrl("no"), InvalidQuery)],
)
async def test_an_http_error_says_what_kind_of_error_it_is(error: HttpError, kind: type[MetricError]) -> None:
    with pytest.raises(kind):
        await ask(FakeHttp(error))


@pytest.mark.parametrize(
    ("credentials", "authorization"),
    [
        ({}, "from the headers"),
        ({"token": "abc\n"}, "Bearer abc"),
        ({"token": "abc", "username": "u", "password": "p"}, "Bearer abc"),
        ({"token": ""}, "from the headers"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
        ({"username": "u", "password": ""}, "from the headers"),
    ],
)
async def test_the_secret_decides_the_authorization(credentials: dict[str, str], authorization: str) -> None:
    """metrics:PROM-04, PROM-05, PRV-04, PRV-07"""
    headers = {"authorization": ("from the headers",), "X-Scope": ("a", "b"), "Host": ("other",)}
    config = ProviderConfig("http://p", headers=headers, credentials=credentials, insecure_skip_verify=True)
    http = FakeHttp(answer(series("1")))
    provider = PrometheusProvider(config, http)
    for _ in range(2):
        await provider.query("up", timedelta())
    for request in http.sent:
        values = [value for name, value in request.headers.items() if name.lower() == "authorization"]
        assert values in ([authorization], [(authorization,)])
        assert request.headers["X-Scope"] == ("a", "b")
        assert "Host" not in request.headers
        assert not request.verify


def test_a_secret_without_the_keys_it_needs_is_refused_and_nothing_is_shown() -> None:
    """metrics:PROM-04, PRV-05"""
    with pytest.raises(Refused, match="no key password") as refused:
        PrometheusProvider(ProviderConfig("http://p", credentials={"username": "secret"}), FakeHttp(answer([])))
    assert "secret" not in str(refused.value)


def test_a_config_is_shown_without_its_credentials() -> None:
    assert "secret" not in repr(ProviderConfig("http://p", credentials={"token": "secret"}))


async def test_several_series_are_reported_once() -> None:
    """metrics:RES-02"""
    provider = PrometheusProvider(ProviderConfig("http://p"), FakeHttp(answer(series("1", "2"))))
    with capture_logs() as logs:
        for _ in range(3):
            await provider.query("up", timedelta())
    assert [(entry["event"], entry["series"]) for entry in logs] == [("query_has_several_series", 2)]


async def test_a_prometheus_that_says_1_is_available() -> None:
    """metrics:PROM-08"""
    http = FakeHttp(answer(series("1")))
    await PrometheusProvider(ProviderConfig("http://p"), http).ping()
    assert http.sent[0].url.endswith("query=vector%281%29")


@pytest.mark.parametrize("result", [series("2"), [], series("NaN")])
async def test_anything_else_that_answers_is_not_available(result: object) -> None:
    """metrics:PROM-08"""
    with pytest.raises(Unavailable, match="no Prometheus"):
        await PrometheusProvider(ProviderConfig("http://p"), FakeHttp(answer(result))).ping()


def test_prometheus_is_found_by_its_name_and_nothing_falls_back_to_it() -> None:
    """metrics:TPL-06 (deviates: an unknown type is an error)"""
    assert "prometheus" in names()
    assert load("prometheus") is PrometheusProvider
    with pytest.raises(UnknownProvider, match=r"known are: (.*, )?prometheus"):
        load("prometheuss")
