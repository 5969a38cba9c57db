"""Watches: where they begin, what they show, how they end."""

import pytest

from tests.contract.definitions import definition, version, widget
from tests.contract.servers import DEFINITIONS, MERGE, Server


async def test_a_watch_from_a_version_shows_what_came_after(server: Server) -> None:
    path = server.path("secrets")
    await server.created(path, {"metadata": {"name": "before"}})
    listed = await server.get(path)
    async with server.watch(path, resourceVersion=listed.version) as events:
        await server.created(path, {"metadata": {"name": "a"}})
        await server.merge(f"{path}/a", {"data": {"k": "YQ=="}})
        await server.delete(f"{path}/a")
        assert await events.take(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_events_carry_whole_objects_with_growing_versions(server: Server) -> None:
    path = server.path("secrets")
    listed = await server.get(path)
    async with server.watch(path, resourceVersion=listed.version) as events:
        created = await server.created(path, {"metadata": {"name": "a"}})
        added = await events.next()
        assert added["object"] == created
        await server.delete(f"{path}/a")
        deleted = await events.next()
        assert int(deleted["object"]["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])
        assert deleted["object"]["kind"] == "Secret"


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}], ids=["without a version", "from version 0"])
async def test_a_watch_without_a_version_begins_with_what_is_there(server: Server, query: dict[str, str]) -> None:
    path = server.path("secrets")
    for name in ("a", "b"):
        await server.created(path, {"metadata": {"name": name}})
    async with server.watch(path, **query) as events:
        assert sorted(await events.take(2)) == [("ADDED", "a"), ("ADDED", "b")]
        await server.created(path, {"metadata": {"name": "c"}})
        assert await events.take(1) == [("ADDED", "c")]


async def test_a_watch_of_initial_events_says_where_they_end(server: Server) -> None:
    path = server.path("secrets")
    await server.created(path, {"metadata": {"name": "a"}})
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with server.watch(path, **query) as events:
        assert await events.take(1) == [("ADDED", "a")]
        bookmark = await events.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark["object"]["kind"] == "Secret"


async def test_bookmarks_come_before_the_end_of_the_time(server: Server) -> None:
    path = server.path("secrets")
    listed = await server.get(path)
    async with server.watch(path, resourceVersion=listed.version, allowWatchBookmarks="true", timeoutSeconds="3") as events:
        await server.created(path, {"metadata": {"name": "a"}})
        assert await events.take(1) == [("ADDED", "a")]
        event = await events.next()
        assert event["type"] == "BOOKMARK"
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(listed.version)
        while event:
            assert event["type"] == "BOOKMARK"
            event = await events.next()


async def test_a_watch_ends_when_its_time_is_up(server: Server) -> None:
    listed = await server.get(server.path("secrets"))
    async with server.watch(server.path("secrets"), resourceVersion=listed.version, timeoutSeconds="1") as events:
        assert events.status == 200
        assert await events.next() == {}


async def test_an_object_that_leaves_the_selection_is_deleted_for_the_watcher(server: Server) -> None:
    path = server.path("secrets")
    listed = await server.get(path)
    async with server.watch(path, resourceVersion=listed.version, labelSelector="app=a") as events:
        await server.created(path, {"metadata": {"name": "other"}})
        await server.created(path, {"metadata": {"name": "x", "labels": {"app": "a"}}})
        changed = await server.patch(f"{path}/x", {"metadata": {"labels": {"app": "b"}}}, MERGE)
        await server.patch(f"{path}/x", {"metadata": {"labels": {"app": "a"}}}, MERGE)
        assert await events.take(1) == [("ADDED", "x")]
        left = await events.next()
        assert left["type"] == "DELETED"
        assert left["object"]["metadata"]["labels"] == {"app": "a"}
        assert left["object"]["metadata"]["resourceVersion"] == changed.version
        assert await events.take(1) == [("ADDED", "x")]


async def test_a_watch_of_one_name_sees_only_that(server: Server) -> None:
    path = server.path("secrets")
    listed = await server.get(path)
    async with server.watch(path, resourceVersion=listed.version, fieldSelector="metadata.name=b") as events:
        for name in ("a", "b"):
            await server.created(path, {"metadata": {"name": name}})
        assert await events.take(1) == [("ADDED", "b")]


async def test_metadata_only_watches_leave_the_contents_out(server: Server) -> None:
    path = server.path("secrets")
    await server.created(path, {"metadata": {"name": "a"}, "data": {"k": "YQ=="}})
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
    async with server.watch(path, accept=accept) as events:
        event = await events.next()
        assert event["object"]["kind"] == "PartialObjectMetadata"
        assert set(event["object"]) == {"kind", "apiVersion", "metadata"}


async def test_a_watch_ends_when_the_definition_changes(server: Server) -> None:
    path = await server.define(definition(server.group))
    listed = await server.get(path)
    async with server.watch(path, resourceVersion=listed.version, timeoutSeconds="20") as events:
        await server.created(path, widget(server.group))
        assert await events.take(1) == [("ADDED", "w")]
        changed = {"spec": {"versions": [version(spec={"type": "object", "x-kubernetes-preserve-unknown-fields": True})]}}
        assert (await server.merge(f"{DEFINITIONS}/widgets.{server.group}", changed)).code == 200
        assert await events.next() == {}
