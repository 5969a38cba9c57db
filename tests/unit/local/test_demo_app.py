"""The demo app over real HTTP, on an address of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from flagger_py.local.demo_app import AppSettings, DemoApp
from flagger_py.local.node.network import PodNetwork


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[DemoApp, aiohttp.ClientSession]]:
    """The app, and a session whose base is its address."""
    bound = PodNetwork().bind([9898])
    app = DemoApp(AppSettings("1", "web-1", **{"drain": 0.0, **settings}))
    async with asyncio.TaskGroup() as group:
        group.create_task(app.run(list(bound.sockets.values())))
        async with aiohttp.ClientSession(f"http://{bound.address.ip}:9898") as session:
            yield app, session
        app.terminate()


async def status_of(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as response:
        await response.read()
        return response.status


async def test_it_answers_with_version_and_pod() -> None:
    async with serving() as (_, session), session.get("/any/path") as response:
        assert await response.json() == {"version": "1", "pod": "web-1"}


@pytest.mark.parametrize(
    ("path", "expected"), [("/status/418", 418), ("/status/999", 200), ("/delay/0", 200), ("/delay/x", 400), ("/delay/99", 400)]
)
async def test_it_answers_as_asked(path: str, expected: int) -> None:
    async with serving() as (_, session):
        assert await status_of(session, path) == expected


async def test_every_tenth_request_fails_at_ten_per_cent() -> None:
    async with serving(error_percent=10.0) as (_, session):
        codes = [await status_of(session, "/") for _ in range(20)]
    assert [number for number, code in enumerate(codes, 1) if code == 500] == [10, 20]


async def test_probes_are_spared_from_faults() -> None:
    async with serving(error_percent=100.0, latency=5.0) as (_, session):
        assert await status_of(session, "/healthz") == 200
        assert await status_of(session, "/readyz") == 200


async def test_it_can_be_made_unready() -> None:
    async with serving(never_ready=True) as (_, session):
        assert await status_of(session, "/readyz") == 503
        assert await status_of(session, "/") == 200


async def test_it_goes_on_answering_while_it_drains() -> None:
    async with serving(drain=0.3) as (app, session):
        app.terminate()
        assert await status_of(session, "/readyz") == 503
        async with session.get("/") as response:
            assert response.status == 200
            assert response.headers["Connection"] == "close"


async def test_a_crash_ends_it_with_a_code() -> None:
    bound = PodNetwork().bind([9898])
    assert await DemoApp(AppSettings("1", crash_after=0.01)).run(list(bound.sockets.values())) == 1


async def test_requests_are_measured_by_status_and_path() -> None:
    """metrics:OBS-HTTP-01"""
    async with serving(error_percent=50.0) as (_, session):
        for _ in range(4):
            await status_of(session, "/some/path")
        await status_of(session, "/readyz")
        async with session.get("/metrics") as response:
            page = await response.text()
    assert 'http_request_duration_seconds_count{method="GET",path="/",status="200"} 2.0' in page
    assert 'http_request_duration_seconds_count{method="GET",path="/",status="500"} 2.0' in page
    assert "readyz" not in page


@pytest.mark.parametrize(("value", "message"), [("many", "not a number"), ("-1", "must not be negative")])
def test_a_bad_setting_is_refused_by_name(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"FAULT_ERROR_PERCENT.*{message}"):
        AppSettings.of("1", "p", {"FAULT_ERROR_PERCENT": value})


def test_all_settings_come_from_the_environment() -> None:
    env = {
        "FAULT_ERROR_PERCENT": "10",
        "FAULT_LATENCY_MS": "250",
        "FAULT_NOT_READY": "true",
        "FAULT_CRASH_AFTER_S": "2",
        "DRAIN_SECONDS": "1",
    }
    assert AppSettings.of("2", "p", env) == AppSettings("2", "p", 10.0, 0.25, True, 2.0, 1.0)


@pytest.mark.parametrize(("pod", "never_ready"), [("web-primary-5d9c-x", True), ("web-5d9c-x", False)])
def test_pods_of_one_name_may_never_be_ready(pod: str, never_ready: bool) -> None:
    """A promotion fails where only the primary's are not."""
    assert AppSettings.of("2", pod, {"FAULT_NOT_READY_PODS": "web-primary-"}).never_ready is never_ready
