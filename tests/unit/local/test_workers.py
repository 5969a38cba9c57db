"""Load from workers, each of which waits for its answer, as hey sends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from flagger_py.local.traffic import TrafficSettings
from flagger_py.local.workers import Plan, Workers

PATIENCE = 10.0


class Target:
    """Counts requests, and how many are under way at once."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.at_once = 0
        self.most_at_once = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.005)
        self.at_once -= 1
        return web.Response(status=int(request.query.get("status", "200")), text="12345")


@asynccontextmanager
async def target() -> AsyncIterator[tuple[Target, str]]:
    found, application = Target(), web.Application()
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield found, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_all_requests_are_sent_by_so_many_workers() -> None:
    async with target() as (server, url), asyncio.timeout(PATIENCE):
        workers = Workers(TrafficSettings(url, "web.example.com", method="POST", body=b"x", headers={"A": "b"}), Plan(3, 20))
        await workers.run()
    assert (len(server.requests), server.most_at_once) == (20, 3)
    assert workers.results.statuses == {200: 20}
    assert (workers.results.size, len(workers.results.latencies)) == (100, 20)
    assert (server.requests[0].method, server.requests[0].host, server.requests[0].headers["A"]) == ("POST", "web.example.com", "b")
    assert server.bodies[0] == b"x"


async def test_a_rate_is_that_of_each_worker() -> None:
    async with target() as (_, url), asyncio.timeout(PATIENCE):
        workers = Workers(TrafficSettings(url, "x"), Plan(2, None, seconds=0.5, rate=20))
        await workers.run()
    assert 2 <= sum(workers.results.statuses.values()) <= 2 * 11
    assert workers.results.seconds >= 0.4


async def test_it_ends_after_its_time_or_when_it_is_stopped() -> None:
    async with target() as (server, url), asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        workers = Workers(TrafficSettings(url, "x"), Plan(2, None))
        running = group.create_task(workers.run())
        while not server.requests:  # noqa: ASYNC110 (a condition with a limit)
            await asyncio.sleep(0.01)
        workers.stop()
        await running
    assert sum(workers.results.statuses.values()) == len(server.requests)


async def test_requests_without_an_answer_are_counted_by_their_error() -> None:
    async with target() as (_, url):
        pass  # nobody listens there any more
    workers = Workers(TrafficSettings(url, "x"), Plan(1, 3))
    await workers.run()
    assert sum(workers.errors.values()) == 3
    assert not workers.results.statuses
