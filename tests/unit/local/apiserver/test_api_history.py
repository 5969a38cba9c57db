"""What a server forgets, and what it answers to those who ask for it; watches on virtual time."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from flagger_py.local.apiserver import ApiServer, Settings
from tests.unit.local.apiserver.apicalls import CONFIG_MAPS, call, create, watch


async def test_a_watch_from_before_the_compaction_gets_410() -> None:
    api = ApiServer()
    transport = api.transport()
    first = await create(transport, "a")
    await create(transport, "b")
    api.compact()
    async with watch(transport, resourceVersion=first["metadata"]["resourceVersion"]) as events:
        event = await anext(events)
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert event["object"]["message"].startswith("too old resource version: ")
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_running_watch_survives_a_compaction() -> None:
    api = ApiServer()
    transport = api.transport()
    await create(transport, "a")
    _, listed = await call(transport, "GET", CONFIG_MAPS)
    async with watch(transport, resourceVersion=listed["metadata"]["resourceVersion"]) as events:
        await create(transport, "b")
        assert (await anext(events))["object"]["metadata"]["name"] == "b"
        api.compact()
        await create(transport, "c")
        assert (await anext(events))["object"]["metadata"]["name"] == "c"


async def test_a_page_from_before_the_compaction_is_expired() -> None:
    api = ApiServer()
    transport = api.transport()
    for name in ("a", "b", "c"):
        await create(transport, name)
    _, page = await call(transport, "GET", CONFIG_MAPS, limit="1")
    await create(transport, "d")
    api.compact()
    code, body = await call(transport, "GET", CONFIG_MAPS, **{"continue": page["metadata"]["continue"]})
    assert (code, body["reason"]) == (410, "Expired")


async def test_the_history_is_bounded() -> None:
    """A watcher that falls behind by more than the limit is sent away instead of costing memory."""
    transport = ApiServer(Settings(history_limit=2)).transport()
    first = await create(transport, "first")
    for number in range(10):
        await create(transport, f"c{number}")
    async with watch(transport, resourceVersion=first["metadata"]["resourceVersion"]) as events:
        assert (await anext(events))["object"]["code"] == 410


@pytest.mark.looptime
async def test_bookmarks_come_every_minute_and_before_the_end() -> None:
    transport = ApiServer().transport()
    _, listed = await call(transport, "GET", CONFIG_MAPS)
    query = {"resourceVersion": listed["metadata"]["resourceVersion"], "allowWatchBookmarks": "true", "timeoutSeconds": "130"}
    loop = asyncio.get_running_loop()
    start, seen = loop.time(), []
    async with watch(transport, **query) as events:
        async for event in events:
            assert event["type"] == "BOOKMARK"
            seen.append(round(loop.time() - start))
    assert seen == [60, 120, 128]
    assert round(loop.time() - start) == 130


@pytest.mark.looptime
async def test_a_bookmark_moves_on_with_other_kinds_of_objects() -> None:
    transport = ApiServer().transport()
    _, listed = await call(transport, "GET", CONFIG_MAPS)
    version = listed["metadata"]["resourceVersion"]
    async with watch(transport, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds="100") as events:
        for _ in range(3):
            await call(transport, "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"generateName": "s-"}})
        bookmark = await anext(events)
        assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(version)


async def test_a_fresh_definition_answers_429_for_a_while() -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    api = ApiServer(Settings(initializing=timedelta(seconds=3)), now=lambda: moment[0])
    names = {"plural": "things", "kind": "Thing"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    kind = "CustomResourceDefinition"
    api.load([{"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": {"name": "things.example.com"}, "spec": spec}])
    path = "/apis/example.com/v1/things"
    code, body = await call(api.transport(), "GET", path)
    assert (code, body["message"], body["details"]) == (429, "storage is (re)initializing", {"retryAfterSeconds": 1})
    moment[0] += timedelta(seconds=3)
    assert (await call(api.transport(), "GET", path))[0] == 200


async def test_events_are_forgotten_after_an_hour() -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    transport = ApiServer(now=lambda: moment[0]).transport()
    path = "/api/v1/namespaces/default/events"
    about = {"kind": "Pod", "namespace": "default", "name": "p"}
    for name in ("old", "repeated"):
        await call(transport, "POST", path, {"metadata": {"name": name}, "involvedObject": about})
    moment[0] += timedelta(minutes=30)
    await call(transport, "PATCH", f"{path}/repeated", {"count": 2})
    moment[0] += timedelta(minutes=30)
    await call(transport, "POST", path, {"metadata": {"name": "new"}, "involvedObject": about})
    _, listed = await call(transport, "GET", path)
    assert [event["metadata"]["name"] for event in listed["items"]] == ["new", "repeated"]


async def test_what_is_handed_out_cannot_change_what_is_stored() -> None:
    transport = ApiServer().transport()
    created = await create(transport, "a")
    created["metadata"]["name"] = "changed"
    _, again = await call(transport, "GET", f"{CONFIG_MAPS}/a")
    assert again["metadata"]["name"] == "a"


async def test_equal_seeds_make_equal_servers() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    servers = [ApiServer(now=lambda: now, entropy=random.Random(7)).transport() for _ in range(2)]
    first, second = [await call(server, "POST", CONFIG_MAPS, {"metadata": {"generateName": "x-"}}) for server in servers]
    assert first == second
