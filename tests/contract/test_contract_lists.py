"""Lists: order, selectors, pages that stay consistent, and versions."""

from typing import Any

import pytest

from tests.contract.servers import MERGE, Server


async def _config_maps(server: Server, count: int = 5) -> str:
    path = server.path("configmaps")
    for number in range(count):
        labels = {"number": str(number), "parity": "even" if number % 2 == 0 else "odd"}
        await server.created(path, {"metadata": {"name": f"c{number}", "labels": labels}})
    return path


def _names(body: Any) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]


async def test_a_list_is_in_name_order_and_its_built_in_items_have_no_type(server: Server) -> None:
    path = server.path("secrets")
    for name in ("b", "c", "a"):
        await server.created(path, {"metadata": {"name": name}})
    answer = await server.get(path)
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("SecretList", "v1")
    assert _names(answer.body) == ["a", "b", "c"]
    assert not any("kind" in item or "apiVersion" in item for item in answer.body["items"])
    assert int(answer.version) > 0


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("parity=even", ["c0", "c2", "c4"]),
        ("parity==odd", ["c1", "c3"]),
        ("parity!=odd,number", ["c0", "c2", "c4"]),
        ("number in (1,2)", ["c1", "c2"]),
        ("number notin (1,2),parity", ["c0", "c3", "c4"]),
        ("!number", []),
        ("parity=even,number!=0", ["c2", "c4"]),
    ],
)
async def test_label_selectors(server: Server, selector: str, found: list[str]) -> None:
    path = await _config_maps(server)
    assert _names((await server.get(path, labelSelector=selector)).body) == found


async def test_a_label_selector_that_is_none_is_refused(server: Server) -> None:
    answer = await server.get(server.path("configmaps"), labelSelector="a b")
    assert (answer.code, answer.reason) == (400, "BadRequest")
    assert answer.message.startswith("unable to parse requirement")


async def test_field_selectors(server: Server) -> None:
    path = await _config_maps(server, 2)
    assert _names((await server.get(path, fieldSelector="metadata.name=c1")).body) == ["c1"]
    assert _names((await server.get(path, fieldSelector="metadata.name!=c1")).body) == ["c0"]
    assert _names((await server.get("/api/v1/configmaps", fieldSelector=f"metadata.namespace={server.namespace}")).body) == ["c0", "c1"]
    refused = await server.get(path, fieldSelector="data.key=x")
    assert (refused.code, refused.reason) == (400, "BadRequest")
    assert "data.key" in refused.message


async def test_events_are_selected_by_what_they_are_about(server: Server) -> None:
    path = server.path("events")
    for name, kind in (("one", "Warning"), ("two", "Normal")):
        about = {"kind": "Pod", "namespace": server.namespace, "name": f"pod-{name}"}
        await server.created(path, {"metadata": {"name": name}, "involvedObject": about, "type": kind})
    assert _names((await server.get(path, fieldSelector="involvedObject.name=pod-one")).body) == ["one"]
    assert _names((await server.get(path, fieldSelector="involvedObject.kind=Pod,type=Normal")).body) == ["two"]


async def test_pages_show_one_moment_while_others_write(server: Server) -> None:
    path = server.path("secrets")
    for number in range(5):
        await server.created(path, {"metadata": {"name": f"c{number}"}})
    first = await server.get(path, limit="2")
    assert _names(first.body) == ["c0", "c1"]
    assert first.body["metadata"]["remainingItemCount"] == 3
    await server.delete(f"{path}/c3")
    await server.created(path, {"metadata": {"name": "c2x"}})
    second = await server.get(path, **{"limit": "2", "continue": first.body["metadata"]["continue"]})
    assert _names(second.body) == ["c2", "c3"]
    assert second.version == first.version
    third = await server.get(path, **{"continue": second.body["metadata"]["continue"]})
    assert _names(third.body) == ["c4"]
    assert "continue" not in third.body["metadata"]


async def test_a_selected_page_does_not_count_what_remains(server: Server) -> None:
    path = await _config_maps(server)
    answer = await server.get(path, limit="1", labelSelector="parity=even")
    assert _names(answer.body) == ["c0"]
    assert answer.body["metadata"]["continue"]
    assert "remainingItemCount" not in answer.body["metadata"]


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        pytest.param({"limit": "x"}, 400, "BadRequest", id="limit"),
        pytest.param({"continue": "x"}, 400, "BadRequest", id="token"),
        pytest.param({"resourceVersion": "x"}, 400, "BadRequest", id="version"),
        pytest.param({"resourceVersion": "99999999999"}, 504, "Timeout", id="version of the future"),
        pytest.param({"resourceVersionMatch": "Exact"}, 422, "Invalid", id="match without version"),
        pytest.param({"resourceVersionMatch": "Foo", "resourceVersion": "1"}, 422, "Invalid", id="unknown match"),
        pytest.param({"sendInitialEvents": "true"}, 422, "Invalid", id="initial events of a list"),
    ],
)
async def test_bad_options_are_refused(server: Server, query: dict[str, str], code: int, reason: str) -> None:
    answer = await server.get(server.path("configmaps"), **query)
    assert (answer.code, answer.reason) == (code, reason)


async def test_an_exact_version_shows_the_past(server: Server) -> None:
    path = server.path("secrets")
    created = await server.created(path, {"metadata": {"name": "a"}, "data": {"k": "YQ=="}})
    await server.patch(f"{path}/a", {"data": {"k": "Yg=="}}, MERGE)
    version = created["metadata"]["resourceVersion"]
    past = await server.get(path, resourceVersion=version, resourceVersionMatch="Exact")
    assert (past.code, past.body["items"][0]["data"]) == (200, {"k": "YQ=="})
    assert past.version == version


async def test_delete_collection_takes_what_the_selector_finds(server: Server) -> None:
    path = await _config_maps(server)
    answer = await server.delete(path, labelSelector="parity=odd")
    assert (answer.code, answer.body["kind"], _names(answer.body)) == (200, "ConfigMapList", ["c1", "c3"])
    assert _names((await server.get(path, labelSelector="number")).body) == ["c0", "c2", "c4"]
