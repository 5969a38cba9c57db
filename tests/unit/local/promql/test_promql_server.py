"""The HTTP API on loopback, asked by our own Prometheus provider and by plain requests."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.http.httpx_client import HttpxClient
from flagger_py.local.promql import PrometheusServer, SampleStore, Scraper, Target
from flagger_py.metrics.base import InvalidQuery, ProviderConfig
from flagger_py.metrics.prometheus import PrometheusProvider
from flagger_py.rollout.sample import NoData, Value

NOW = 1_760_000_000.0


@pytest.fixture
async def server() -> AsyncIterator[PrometheusServer]:
    store = SampleStore()
    store.add({"__name__": "x", "pod": "a"}, [(NOW - 10, 1.0), (NOW - 5, 2.5)])
    async with PrometheusServer(store, now=lambda: NOW) as running:
        yield running


async def ask(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    async with HttpxClient(environ={}) as client:
        response: HttpResponse = await client.send(HttpRequest(method, url, headers, body))
    return response.status, orjson.loads(response.body)


async def test_our_provider_gets_numbers_no_data_and_errors(server: PrometheusServer) -> None:
    async with HttpxClient(environ={}) as client:
        provider = PrometheusProvider(ProviderConfig(server.url), client)
        await provider.ping()
        assert await provider.query('x{pod="a"} * 2', timedelta()) == Value(5.0)
        assert isinstance(await provider.query("nothing", timedelta()), NoData)
        with pytest.raises(InvalidQuery, match=r"HTTP 400.*parse error"):
            await provider.query("sum(", timedelta())
        with pytest.raises(InvalidQuery, match=r"HTTP 422.*topk"):
            await provider.query("topk(1, x)", timedelta())


async def test_a_query_may_come_by_get_or_post_with_its_time(server: PrometheusServer) -> None:
    expected = {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {"__name__": "x", "pod": "a"}, "value": [NOW - 7, "1"]}]},
    }
    parameters = urlencode({"query": "x", "time": NOW - 7})
    assert await ask(f"{server.url}/api/v1/query?{parameters}") == (200, expected)
    assert await ask(f"{server.url}/api/v1/query", "POST", parameters.encode()) == (200, expected)
    at = urlencode({"query": "time()", "time": "2025-10-09T08:53:20Z"})
    assert await ask(f"{server.url}/api/v1/query?{at}") == (
        200,
        {"status": "success", "data": {"resultType": "scalar", "result": [NOW, "1760000000"]}},
    )


@pytest.mark.parametrize(
    ("parameters", "status", "kind", "message"),
    [
        ({"query": "sum("}, 400, "bad_data", "unclosed left parenthesis"),
        ({"query": ""}, 400, "bad_data", "no expression"),
        ({"query": "x", "time": "soon"}, 400, "bad_data", 'invalid parameter "time"'),
        ({"query": "x", "time": "Inf"}, 400, "bad_data", 'invalid parameter "time"'),
        ({"query": "absent(x)"}, 422, "execution", "the function absent is not supported"),
    ],
)
async def test_errors_have_the_form_of_prometheus(
    server: PrometheusServer, parameters: dict[str, str], status: int, kind: str, message: str
) -> None:
    found, answer = await ask(f"{server.url}/api/v1/query?{urlencode(parameters)}")
    assert (found, answer["status"], answer["errorType"]) == (status, "error", kind)
    assert message in answer["error"]


async def test_it_says_that_it_is_ready(server: PrometheusServer) -> None:
    async with HttpxClient(environ={}) as client:
        for path in ("/-/ready", "/-/healthy"):
            assert (await client.send(HttpRequest("GET", server.url + path))).status == 200


async def test_it_scrapes_over_http_and_shows_its_targets(server: PrometheusServer) -> None:
    store = SampleStore()
    async with HttpxClient(environ={}) as client, asyncio.TaskGroup() as group:
        scraper = Scraper(group, client, store)
        async with PrometheusServer(store, scraper) as scraping:
            wrong = Target(f"{server.url}/-/ready", {"job": "no-metrics"})
            scraper.set_targets([wrong])
            state = scraper.states[wrong.url]
            async with asyncio.timeout(5):
                while not state.last_scrape:  # noqa: ASYNC110 - a real scrape over loopback has no event to wait for
                    await asyncio.sleep(0.01)
            _, answer = await ask(f"{scraping.url}/api/v1/targets")
            scraper.stop()
    (shown,) = answer["data"]["activeTargets"]
    assert (shown["scrapeUrl"], shown["health"], shown["labels"]) == (wrong.url, "down", {"job": "no-metrics"})
    assert "is no sample" in shown["lastError"]
