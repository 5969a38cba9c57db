"""The four patch types, and who owns which field afterwards."""

from typing import Any

import pytest

from tests.contract.definitions import definition, widget
from tests.contract.servers import APPLY, JSON_PATCH, MERGE, STRATEGIC, Server
from tests.contract.workloads import config_map, deployment


def _managers(body: Any) -> dict[tuple[str, str, str], Any]:
    entries = body["metadata"].get("managedFields", [])
    return {(entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"] for entry in entries}


async def test_a_merge_patch_merges_maps_replaces_lists_and_deletes_nulls(server: Server) -> None:
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group, free={"a": 1, "b": {"c": 2, "d": 3}, "list": [1, 2]}))
    answer = await server.patch(f"{path}/w", {"spec": {"free": {"a": None, "b": {"c": 4}, "list": [3]}}}, MERGE)
    assert answer.body["spec"]["free"] == {"b": {"c": 4, "d": 3}, "list": [3]}


async def test_a_patch_that_names_a_version_is_refused_when_it_is_old(server: Server) -> None:
    created = await server.created(server.path("configmaps"), config_map(a="1"))
    path = server.path("configmaps", "c")
    pinned = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"a": "2"}}
    assert (await server.patch(path, pinned, MERGE)).code == 200
    refused = await server.patch(path, pinned, MERGE)
    assert (refused.code, refused.reason) == (409, "Conflict")
    assert (await server.patch(path, {"data": {"a": "3"}}, MERGE)).code == 200


async def test_a_json_patch_does_its_operations_in_order(server: Server) -> None:
    await server.created(server.path("configmaps"), config_map(a="1", b="2"))
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "9"},
        {"op": "copy", "from": "/data/a", "path": "/data/c"},
        {"op": "move", "from": "/data/b", "path": "/data/d"},
        {"op": "add", "path": "/data/e~1f", "value": "x"},
        {"op": "remove", "path": "/data/e~1f"},
    ]
    answer = await server.patch(server.path("configmaps", "c"), operations, JSON_PATCH)
    assert (answer.code, answer.body["data"]) == (200, {"a": "9", "c": "9", "d": "2"})


@pytest.mark.parametrize(
    ("body", "content_type", "code", "reason"),
    [
        pytest.param([{"op": "test", "path": "/data/a", "value": "no"}], JSON_PATCH, 422, "Invalid", id="failed test"),
        pytest.param([{"op": "remove", "path": "/data/none"}], JSON_PATCH, 422, "Invalid", id="missing member"),
        pytest.param({"op": "remove"}, JSON_PATCH, 400, "BadRequest", id="no list"),
        pytest.param([], MERGE, 400, "BadRequest", id="no object"),
        pytest.param(b"{bad", MERGE, 400, "BadRequest", id="no JSON"),
        pytest.param({"data": {"a": "2"}}, "application/json", 415, "UnsupportedMediaType", id="no patch type"),
        pytest.param({"data": {"a": 2}}, MERGE, 422, "Invalid", id="wrong type"),
        pytest.param({"kind": "Secret"}, MERGE, 422, "Invalid", id="another kind"),
        pytest.param({"metadata": {"namespace": "x"}}, MERGE, 400, "BadRequest", id="another namespace"),
        pytest.param(config_map(a="2"), APPLY, 422, "Invalid", id="apply without a manager"),
    ],
)
async def test_a_bad_patch_is_refused(server: Server, body: Any, content_type: str, code: int, reason: str) -> None:
    await server.created(server.path("configmaps"), config_map(a="1"))
    answer = await server.patch(server.path("configmaps", "c"), body, content_type)
    assert (answer.code, answer.reason) == (code, reason)


async def test_a_strict_patch_with_an_unknown_field_is_unprocessable(server: Server) -> None:
    """design:§5, by which the controller sees that its CRD is not installed."""
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group))
    answer = await server.merge(f"{path}/w/status", {"status": {"rollout": {}}}, fieldValidation="Strict")
    assert (answer.code, answer.reason, answer.causes) == (422, "Invalid", [("patch", "FieldValueInvalid")])
    assert 'unknown field "status.rollout"' in answer.message
    warned = await server.merge(f"{path}/w/status", {"status": {"rollout": {}}}, fieldValidation="Warn")
    assert warned.code == 200
    assert "status.rollout" in warned.headers["warning"]


async def test_a_strategic_merge_knows_list_items_by_their_keys(server: Server) -> None:
    await server.created(server.path("deployments", group="apps"), deployment())
    path = server.path("deployments", "web", group="apps")
    template = {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}]}, {"name": "side", "image": "side:1"}]}}
    added = await server.patch(path, {"spec": {"template": template}}, STRATEGIC)
    containers = added.body["spec"]["template"]["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in containers] == [("web", "web:1"), ("side", "side:1")]
    assert containers[0]["env"] == [{"name": "A", "value": "1"}]
    template = {"spec": {"containers": [{"name": "side", "$patch": "delete"}, {"name": "web", "env": [{"name": "B", "value": "2"}]}]}}
    removed = await server.patch(path, {"spec": {"template": template}}, STRATEGIC)
    containers = removed.body["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in containers] == ["web"]
    assert [one["name"] for one in containers[0]["env"]] == ["B", "A"]


async def test_a_strategic_merge_retains_the_keys_that_it_names(server: Server) -> None:
    await server.created(server.path("deployments", group="apps"), deployment())
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    answer = await server.patch(server.path("deployments", "web", group="apps"), patch, STRATEGIC)
    assert answer.body["spec"]["strategy"] == {"type": "Recreate"}


async def test_a_strategic_merge_of_a_custom_resource_is_not_supported(server: Server) -> None:
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group))
    answer = await server.patch(f"{path}/w", {"spec": {"size": 2}}, STRATEGIC)
    assert (answer.code, answer.reason) == (415, "UnsupportedMediaType")


async def test_apply_creates_owns_and_removes_what_is_no_longer_applied(server: Server) -> None:
    path = server.path("configmaps", "c")
    created = await server.apply(path, config_map(a="1", b="2"), "one")
    assert created.code == 201
    assert _managers(created.body) == {("one", "Apply", ""): {"f:data": {"f:a": {}, "f:b": {}}}}
    again = await server.apply(path, config_map(a="1", b="2"), "one")
    assert (again.code, again.version) == (200, created.version)
    less = await server.apply(path, config_map(a="1"), "one")
    assert less.body["data"] == {"a": "1"}


async def test_two_appliers_conflict_until_one_forces(server: Server) -> None:
    path = server.path("configmaps", "c")
    await server.apply(path, config_map(a="1", b="2"), "one")
    refused = await server.apply(path, config_map(a="9"), "two")
    assert (refused.code, refused.reason) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert refused.causes == [(".data.a", "FieldManagerConflict")]
    forced = await server.apply(path, config_map(a="9"), "two", force="true")
    assert forced.body["data"] == {"a": "9", "b": "2"}
    assert _managers(forced.body) == {("one", "Apply", ""): {"f:data": {"f:b": {}}}, ("two", "Apply", ""): {"f:data": {"f:a": {}}}}


async def test_the_same_value_is_owned_together(server: Server) -> None:
    path = server.path("configmaps", "c")
    await server.apply(path, config_map(a="1"), "one")
    shared = await server.apply(path, config_map(a="1"), "two")
    assert shared.code == 200
    left = await server.apply(path, config_map(), "one")
    assert left.body["data"] == {"a": "1"}


async def test_an_update_takes_fields_from_appliers(server: Server) -> None:
    path = server.path("configmaps", "c")
    await server.apply(path, config_map(a="1", b="2"), "one")
    updated = await server.merge(path, {"data": {"b": "3"}}, fieldManager="other")
    assert _managers(updated.body) == {
        ("one", "Apply", ""): {"f:data": {"f:a": {}}},
        ("other", "Update", ""): {"f:data": {"f:b": {}}},
    }
    refused = await server.apply(path, config_map(a="1", b="2"), "one")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "other" using v1: .data.b'


async def test_managed_fields_name_the_scaler(server: Server) -> None:
    await server.created(server.path("deployments", group="apps"), deployment(), fieldManager="creator")
    path = server.path("deployments", "web", group="apps")
    await server.call("PATCH", f"{path}/scale", {"spec": {"replicas": 5}}, content_type=MERGE, query={"fieldManager": "hpa"})
    managers = _managers((await server.get(path)).body)
    assert managers["hpa", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in managers["creator", "Update", ""]["f:spec"]


async def test_apply_merges_lists_by_their_keys(server: Server) -> None:
    path = server.path("deployments", "web", group="apps")
    await server.apply(path, deployment(), "one")
    only = {"containers": [{"name": "side", "image": "side:1"}]}
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": only}}}
    both = await server.apply(path, other, "two")
    assert [one["name"] for one in both.body["spec"]["template"]["spec"]["containers"]] == ["web", "side"]
    without = await server.apply(path, {**other, "spec": {}}, "two")
    assert [one["name"] for one in without.body["spec"]["template"]["spec"]["containers"]] == ["web"]


async def test_apply_refuses_fields_that_the_schema_lacks(server: Server) -> None:
    answer = await server.apply(server.path("configmaps", "c"), {**config_map(a="1"), "bogus": 1}, "one")
    assert (answer.code, answer.reason) == (500, "")
    assert ".bogus: field not declared in schema" in answer.message


async def test_apply_of_a_custom_resource(server: Server) -> None:
    path = await server.define(definition(server.group))
    config = widget(server.group, items=[{"key": "a", "count": 1}], tags=["x"])
    created = await server.apply(f"{path}/w", config, "one")
    assert created.code == 201
    other = widget(server.group, items=[{"key": "b"}], tags=["y"])
    both = await server.apply(f"{path}/w", other, "two")
    assert both.body["spec"]["items"] == [{"key": "a", "count": 1}, {"key": "b", "count": 7}]
    assert sorted(both.body["spec"]["tags"]) == ["x", "y"]


async def test_managed_fields_can_be_cleared(server: Server) -> None:
    path = server.path("configmaps", "c")
    await server.apply(path, config_map(a="1"), "one")
    cleared = await server.merge(path, {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in cleared.body["metadata"]
