"""Users who can be told apart: groups that send a header, and browsers that keep cookies; and which version each of them met."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Final

import aiohttp

from flagger_py.local.traffic import Answer, LoadGenerator, TrafficSettings
from tests.local.site import App
from tests.local.weights import TAKEN_AFTER

GROUP_RATE: Final = 2.0
"""Requests per second of each group."""
THINKING: Final = 0.8
"""Seconds between an answer to a browser and its next request."""


@dataclass(frozen=True)
class Group:
    """Users with the same headers."""

    headers: Mapping[str, str]
    matches: bool


@asynccontextmanager
async def groups(app: App, wanted: Mapping[str, Group]) -> AsyncIterator[Mapping[str, LoadGenerator]]:
    """Steady requests of each group beside the body, by the name of the group."""
    url = await app.url()
    loads = {name: LoadGenerator(TrafficSettings(url, app.sample.host, GROUP_RATE, one.headers)) for name, one in wanted.items()}
    async with asyncio.TaskGroup() as tasks:
        for name, load in loads.items():
            tasks.create_task(load.run(), name=f"group {name}")
        try:
            yield loads
        finally:
            for load in loads.values():
                load.stop()


def assert_matching_met(version: str, app: App, users: Mapping[str, Group], loads: Mapping[str, LoadGenerator]) -> None:
    """While the canary alone had this version, it has answered all requests of those who match, and none of the others."""
    end = app.weights.end_of(version)
    answers = {name: [answer for answer in load.tally.window(60).answers if answer.at <= end] for name, load in loads.items()}
    met = {name: [answer.at for answer in found if answer.version == version] for name, found in answers.items()}
    taken = min(at for times in met.values() for at in times) + TAKEN_AFTER
    for name, group in users.items():
        assert group.matches or not met[name], f"{name}: {len(met[name])} answers by {version}"
        later = {answer.version for answer in answers[name] if answer.at - answer.latency > taken}
        assert not group.matches or later == {version}, f"{name}: answers by {later} instead of {version}"


@dataclass(frozen=True)
class Visit:
    """One request of a browser: the cookies that it sent, and those that the answer set or deleted."""

    answer: Answer
    sent: Mapping[str, str]
    set: SimpleCookie


@dataclass
class Browser:
    """One user: sends a request after the other, and keeps cookies as a browser does."""

    visits: list[Visit] = field(default_factory=list)

    async def run(self, app: App) -> None:
        """Until cancelled; a request that fails is raised."""
        clock, url = asyncio.get_running_loop().time, await app.url()
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, headers={"Host": app.sample.host}) as session:
            while True:
                started = clock()
                sent = {cookie.key: cookie.value for cookie in jar}
                async with session.get(url) as response:
                    body = await response.json()
                    answer = Answer(clock(), body.get("version", ""), response.status, clock() - started)
                self.visits.append(Visit(answer, sent, response.cookies))
                await asyncio.sleep(THINKING)


def assert_stays(browsers: Sequence[Browser], version: str, end: float, *, since: float = 0) -> None:
    """Nobody who has met this version meets another one until then: not at a higher weight, and not by another process."""
    for number, browser in enumerate(browsers):
        seen = [visit.answer.version for visit in browser.visits if since <= visit.answer.at <= end]
        after = seen[seen.index(version) :] if version in seen else []
        assert set(after) <= {version}, f"browser {number} went back: {seen}"


def assert_kept(browsers: Sequence[Browser], app: App, cookie: str, versions: set[str]) -> None:
    """While the weight that goes with this `name=value` cookie stays, whoever sends it meets these versions only."""
    name, _, value = cookie.partition("=")
    visits = [visit for browser in browsers for visit in browser.visits if visit.sent.get(name) == value]
    stays = [stay for stay in app.weights.stays if stay.weight]
    longest = max(stays, key=lambda stay: sum(stay.covers(visit.answer) for visit in visits))
    met = [visit.answer.version for visit in visits if longest.covers(visit.answer)]
    assert set(met) <= versions, f"{cookie} at weight {longest.weight}: {met}"


def share(browsers: Sequence[Browser], version: str, at: float) -> float:
    """The part of the browsers that had this version at that time."""
    latest = [[visit.answer.version for visit in browser.visits if visit.answer.at <= at][-1] for browser in browsers]
    return latest.count(version) / len(latest)


@asynccontextmanager
async def browsers(app: App, count: int) -> AsyncIterator[list[Browser]]:
    """So many users beside the body; each comes a moment after the one before."""
    found = [Browser() for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        running = []
        for browser in found:
            running.append(tasks.create_task(browser.run(app), name="browser"))
            await asyncio.sleep(THINKING / count)
        try:
            yield found
        finally:
            for task in running:
                task.cancel()
