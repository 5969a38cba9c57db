"""What the load generator sends and counts."""

import asyncio

from aiohttp import web

from flagger_py.local.traffic import NO_ANSWER, UNKNOWN, LoadGenerator, Tally, TrafficSettings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_shares_and_rates_of_a_window() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add("1", 200, 0.1)
    clock.now += 5
    for version, status in (("1", 200), ("1", 200), ("2", 200), ("2", 500)):
        tally.add(version, status, 0.2)
    window = tally.window(5 - 1e-6)
    assert window.share("2") == 50.0
    assert window.success_rate() == 75.0
    assert window.latency(0.99) == 0.2
    assert round(window.rate, 3) == 0.8
    assert tally.window(10).versions() == {"1": 3, "2": 2}


def test_an_empty_window_claims_nothing() -> None:
    window = Tally(Clock()).window(5)
    assert (window.share("1"), window.success_rate(), window.latency(0.5), window.rate) == (None, None, None, 0.0)


def test_failures_are_server_errors_and_missing_answers() -> None:
    tally = Tally(Clock())
    for version, status in (("1", 200), ("1", 404), ("2", 500), (UNKNOWN, 503), (UNKNOWN, NO_ANSWER)):
        tally.add(version, status, 0.1)
    assert tally.requests == 5
    assert tally.failures() == 3
    assert tally.failures("2") == 1
    assert tally.window(1).versions() == {"1": 2, "2": 1}


def test_old_answers_are_forgotten_but_counted() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add("1", 200, 0.1)
    clock.now += 1000
    tally.add("2", 200, 0.1)
    assert tally.window(2000).versions() == {"2": 1}
    assert tally.requests == 2


async def requests_seen_by_a_server(clients: int, count: int) -> list[web.Request]:
    """What a server got that answers with a version and sets a cookie."""
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        response = web.json_response({"version": "1"})
        response.set_cookie("v", "x")
        return response

    application = web.Application()
    application.router.add_get("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    generator = LoadGenerator(TrafficSettings(f"http://127.0.0.1:{runner.addresses[0][1]}/", "web.example.com", 200, clients=clients))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(generator.run())
        while generator.tally.requests < count:  # noqa: ASYNC110 (a condition with a limit)
            await asyncio.sleep(0.01)
        generator.stop()
    await runner.cleanup()
    assert generator.tally.totals == {("1", 200): len(seen)}
    return seen


async def test_clients_that_keep_cookies_send_them_back() -> None:
    seen = await requests_seen_by_a_server(clients=2, count=40)
    assert {request.host for request in seen} == {"web.example.com"}
    assert all("v" in request.cookies for request in seen[-10:])


async def test_a_client_without_cookies_keeps_none() -> None:
    assert not any(request.cookies for request in await requests_seen_by_a_server(clients=0, count=20))
