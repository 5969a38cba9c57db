"""The discovery service, asked over HTTP as Envoy asks it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from flagger_py.local.envoy import discovery
from flagger_py.local.envoy.discovery import CLUSTERS, LISTENERS, DiscoveryService, Kind, Topic

ROUTES = Topic(Kind.ROUTES, "http-80")
FIRST, SECOND = [{"name": "first"}], [{"name": "second"}]


@dataclass
class Envoy:
    """Polls as one Envoy does, and takes what it is given unless told otherwise."""

    session: aiohttp.ClientSession
    node: str

    async def poll(self, topic: Topic, version: str = "", *, kind: str = "", **fields: Any) -> tuple[int, str, Any]:
        """The status, and the version and the resources of the answer."""
        body = {"node": {"id": self.node}, "version_info": version, "resource_names": [topic.name] if topic.name else [], **fields}
        async with self.session.post(f"/v3/discovery:{kind or topic.kind}", json=body) as response:
            if response.status != 200:
                return response.status, version, None
            answer = await response.json()
            return response.status, answer["version_info"], answer["resources"]


@asynccontextmanager
async def polled(service: DiscoveryService) -> AsyncIterator[Envoy]:
    async with service.serving(), aiohttp.ClientSession(f"http://127.0.0.1:{service.port}") as session:
        yield Envoy(session, service.new_node())


async def test_a_poll_is_answered_at_once_by_what_was_published_and_then_held_until_it_changes() -> None:
    service = DiscoveryService()
    await service.publish(ROUTES, FIRST)
    async with polled(service) as envoy, asyncio.TaskGroup() as group:
        _, version, resources = await envoy.poll(ROUTES)
        assert resources == FIRST
        held = group.create_task(envoy.poll(ROUTES, version))
        assert await service.untaken([ROUTES]) == []
        await service.publish(ROUTES, FIRST)
        await service.publish(CLUSTERS, SECOND)
        assert not held.done()
        await service.publish(ROUTES, SECOND)
        assert (await held)[2] == SECOND


async def test_a_poll_without_news_ends_unmodified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "HOLD", 0.02)
    async with polled(DiscoveryService()) as envoy:
        assert (await envoy.poll(LISTENERS))[0] == 304


async def test_what_is_published_counts_as_taken_once_envoy_names_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "TAKEN_LIMIT", 0.05)
    service = DiscoveryService()
    await service.publish(ROUTES, FIRST)
    async with polled(service) as envoy, asyncio.TaskGroup() as group:
        assert await service.untaken([ROUTES]) == [ROUTES]
        _, version, _ = await envoy.poll(ROUTES)
        assert await service.untaken([ROUTES]) == [ROUTES]
        held = group.create_task(envoy.poll(ROUTES, version))
        assert await service.untaken([ROUTES]) == []
        held.cancel()


async def test_a_refusal_is_known_at_once_and_envoy_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy asks with the version before: it has refused the answer, or never got it."""
    monkeypatch.setattr(discovery, "RESEND", 0.02)
    service = DiscoveryService()
    await service.publish(ROUTES, FIRST)
    async with polled(service) as envoy, asyncio.TaskGroup() as group:
        _, version, _ = await envoy.poll(ROUTES)
        again = group.create_task(envoy.poll(ROUTES))
        assert await service.untaken([ROUTES]) == [ROUTES]
        assert await again == (200, version, FIRST)


async def test_what_follows_a_refusal_is_given_at_once() -> None:
    service = DiscoveryService()
    await service.publish(ROUTES, FIRST)
    async with polled(service) as envoy, asyncio.TaskGroup() as group:
        await envoy.poll(ROUTES)
        held = group.create_task(envoy.poll(ROUTES))
        assert await service.untaken([ROUTES]) == [ROUTES]
        await service.publish(ROUTES, SECOND)
        assert (await held)[2] == SECOND


async def test_an_envoy_that_starts_anew_gets_everything_again_and_the_one_before_nothing() -> None:
    service = DiscoveryService()
    await service.publish(ROUTES, FIRST)
    async with polled(service) as before, asyncio.TaskGroup() as group:
        _, version, _ = await before.poll(ROUTES)
        held = group.create_task(before.poll(ROUTES, version))
        assert await service.untaken([ROUTES]) == []
        after = Envoy(before.session, service.new_node())
        assert await after.poll(ROUTES) == (200, version, FIRST)
        assert (await before.poll(ROUTES, version))[0] == 403
        held.cancel()


async def test_a_topic_that_envoy_asks_for_anew_is_given_at_once() -> None:
    """A cluster that went and came back."""
    service = DiscoveryService()
    await service.publish(ROUTES, FIRST)
    async with polled(service) as envoy, asyncio.TaskGroup() as group:
        _, version, _ = await envoy.poll(ROUTES)
        held = group.create_task(envoy.poll(ROUTES, version))
        assert await service.untaken([ROUTES]) == []
        held.cancel()
        assert (await envoy.poll(ROUTES))[2] == FIRST


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        pytest.param("secrets", {}, id="another kind"),
        pytest.param("routes", {"node": None}, id="no node"),
        pytest.param("routes", {"resource_names": ["a", "b"]}, id="two names"),
    ],
)
async def test_a_poll_that_envoy_does_not_send_is_refused(kind: str, fields: dict[str, Any]) -> None:
    async with polled(DiscoveryService()) as envoy:
        assert (await envoy.poll(ROUTES, kind=kind, **fields))[0] == 400
