"""The scraper on virtual time, against pages that a test changes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from flagger_py.http.client import HttpError, HttpRequest, HttpResponse, Unreachable
from flagger_py.local.promql import SampleStore, Scraper, Target, evaluate
from flagger_py.local.promql.store import Labels
from flagger_py.local.promql.values import Vector

START = 1_760_000_000.0

pytestmark = pytest.mark.looptime


@dataclass
class Pages:
    """By URL: the page, or the error of asking for it."""

    pages: dict[str, str | HttpError | HttpResponse] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay: float = 0.0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        await asyncio.sleep(self.delay)
        page = self.pages[request.url]
        if isinstance(page, HttpError):
            raise page
        return page if isinstance(page, HttpResponse) else HttpResponse(200, "OK", {}, page.encode())


@dataclass
class Running:
    scraper: Scraper
    store: SampleStore
    pages: Pages

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    def values(self, query: str) -> list[tuple[Labels, float]]:
        result = evaluate(query, self.store, round(self.now() * 1000))
        assert isinstance(result, Vector)
        return [({name: value for name, value in each.labels.items() if name != "__name__"}, each.value) for each in result.elements]


@asynccontextmanager
async def running(**pages: str | HttpError) -> AsyncIterator[Running]:
    """A scraper of `http://<name>/metrics` for each page."""
    asked, store = Pages({f"http://{name}/metrics": page for name, page in pages.items()}), SampleStore()
    async with asyncio.TaskGroup() as group:
        clock: Callable[[], float] = lambda: START + asyncio.get_running_loop().time()  # noqa: E731 - a clock is a value here
        scraper = Scraper(group, asked, store, clock)
        yield Running(scraper, store, asked)
        scraper.stop()


def target(name: str, interval: float = 0.5) -> Target:
    return Target(f"http://{name}/metrics", {"job": "demo", "instance": name}, interval)


async def test_targets_are_scraped_at_their_interval_with_their_labels() -> None:
    async with running(a='x{code="200",job="theirs"} 1\n') as run:
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(2.1)
        assert run.values("x") == [({"code": "200", "exported_job": "theirs", "job": "demo", "instance": "a"}, 1.0)]
        assert run.values("up") == [({"job": "demo", "instance": "a"}, 1.0)]
        assert len(run.pages.asked) == 5
        assert [count for _, count in run.values("count_over_time(up[1m])")] == [5.0]


async def test_a_series_that_vanishes_from_its_page_ends_at_once() -> None:
    async with running(a='x{n="1"} 1\nx{n="2"} 2\n') as run:
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(0.1)
        assert len(run.values("x")) == 2
        run.pages.pages["http://a/metrics"] = 'x{n="2"} 3\n'
        await asyncio.sleep(0.5)
        assert [value for _, value in run.values("x")] == [3.0]


@pytest.mark.parametrize("page", [Unreachable("a: no connection"), "<html>", HttpResponse(503, "Unavailable", {}, b"x 1\n")])
async def test_a_target_that_fails_is_down_and_its_series_end(page: str | HttpError | HttpResponse) -> None:
    async with running(a="x 1\n") as run:
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(0.1)
        run.pages.pages["http://a/metrics"] = page
        await asyncio.sleep(0.5)
        assert run.values("x") == []
        assert [value for _, value in run.values("up")] == [0.0]
        assert run.scraper.states["http://a/metrics"].error
        run.pages.pages["http://a/metrics"] = "x 5\n"
        await asyncio.sleep(0.5)
        assert [value for _, value in run.values("x")] == [5.0]
        assert [value for _, value in run.values("up")] == [1.0]


async def test_a_page_that_is_half_bad_stores_nothing() -> None:
    async with running(a="x 1\ny is bad\n") as run:
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(0.1)
        assert run.values("x") == []


async def test_a_target_that_is_removed_ends_with_its_up() -> None:
    async with running(a="x 1\n", b="x 2\n") as run:
        run.scraper.set_targets([target("a"), target("b")])
        await asyncio.sleep(0.1)
        run.scraper.set_targets([target("b")])
        await asyncio.sleep(0.1)
        assert [value for _, value in run.values("x")] == [2.0]
        assert [labels["instance"] for labels, _ in run.values("up")] == ["b"]


async def test_a_target_that_stays_is_not_started_anew() -> None:
    async with running(a="x 1\n") as run:
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(0.1)
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(0.1)
        assert len(run.pages.asked) == 1


async def test_a_target_may_translate_its_series_or_drop_them() -> None:
    """design §7: Istio's names are derived, and the scraper says so"""

    def translate(labels: Labels) -> Labels | None:
        if labels["__name__"] != "envoy_cluster_upstream_rq":
            return None
        return {"__name__": "istio_requests_total", "response_code": labels["envoy_response_code"], "empty": ""}

    async with running(a='envoy_cluster_upstream_rq{envoy_response_code="503"} 4\nother 1\n') as run:
        run.scraper.set_targets([Target("http://a/metrics", {"job": "envoy"}, translate=translate)])
        await asyncio.sleep(0.1)
        assert run.values("istio_requests_total") == [({"response_code": "503"}, 4.0)]
        assert run.values("other") == []


async def test_series_are_translated_anew_when_that_is_asked_for() -> None:
    names: dict[str, str] = {}

    def translate(labels: Labels) -> Labels | None:
        owner = names.get(labels["cluster"])
        return {**labels, "owner": owner} if owner else None

    async with running(a='x{cluster="c"} 1\n') as run:
        run.scraper.set_targets([Target("http://a/metrics", {"job": "a"}, translate=translate)])
        await asyncio.sleep(0.1)
        for owner in ("web", "shop"):
            names["c"] = owner
            run.scraper.retranslate()
            await asyncio.sleep(0.5)
            assert [labels["owner"] for labels, _ in run.values("x")] == [owner]


async def test_a_slow_page_delays_the_next_scrape_instead_of_piling_up() -> None:
    async with running(a="x 1\n") as run:
        run.pages.delay = 0.7
        run.scraper.set_targets([target("a")])
        await asyncio.sleep(3.0)
        assert len(run.pages.asked) == 5


async def test_series_that_come_and_go_are_forgotten_in_time() -> None:
    async with running(a="x 1\n") as run:
        run.scraper.set_targets(
            [Target("http://a/metrics", {"job": "a"}, 1.0, lambda labels: labels if labels["__name__"] == "x" else None)]
        )
        for second in range(900):
            churn = "".join(f'x{{n="{second}-{place}"}} 1\ndropped{{n="{second}-{place}"}} 1\n' for place in range(5))
            run.pages.pages["http://a/metrics"] = churn
            await asyncio.sleep(1.0)
        assert len(run.scraper.states["http://a/metrics"].known) < 2000
        assert len(list(run.store.select("x", lambda _: True))) < 5 * 500
