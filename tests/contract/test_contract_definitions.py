"""Custom resources: what a CRD serves, defaults, prunes and refuses."""

from typing import Any

import pytest

from tests.contract.definitions import definition, version, widget
from tests.contract.servers import DEFINITIONS, MERGE, Server


async def test_a_definition_is_established_and_completed(server: Server) -> None:
    await server.define(definition(server.group))
    crd = (await server.get(f"{DEFINITIONS}/widgets.{server.group}")).body
    assert {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert crd["spec"]["names"]["listKind"] == "WidgetList"
    assert (crd["status"]["storedVersions"], crd["spec"]["conversion"]) == (["v1"], {"strategy": "None"})


async def test_missing_fields_get_defaults_and_unknown_ones_are_pruned(server: Server) -> None:
    path = await server.define(definition(server.group))
    created = await server.created(path, widget(server.group, items=[{"key": "a"}], bogus=1, free={"any": {"thing": 1}}, maybe=None))
    assert created["spec"] == {
        "size": 1,
        "color": "red",
        "items": [{"key": "a", "count": 7}],
        "free": {"any": {"thing": 1}},
        "maybe": None,
    }


async def test_a_null_becomes_the_default(server: Server) -> None:
    path = await server.define(definition(server.group))
    assert (await server.created(path, widget(server.group, color=None)))["spec"]["color"] == "red"


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        pytest.param({"size": None}, [("spec.size", "FieldValueRequired")], id="required"),
        pytest.param({"size": 0}, [("spec.size", "FieldValueInvalid")], id="minimum"),
        pytest.param({"size": "a"}, [("spec.size", "FieldValueTypeInvalid")], id="type"),
        pytest.param({"size": 1.5}, [("spec.size", "FieldValueTypeInvalid"), ("<nil>", "FieldValueInvalid")], id="fraction"),
        pytest.param({"color": "blue"}, [("spec.color", "FieldValueNotSupported")], id="enum"),
        pytest.param({"title": "a"}, [("spec.title", "FieldValueInvalid")], id="minLength"),
        pytest.param({"title": "aaaaaaa"}, [("spec.title", "FieldValueTooLong")], id="maxLength"),
        pytest.param({"title": "bbb"}, [("spec.title", "FieldValueInvalid")], id="pattern"),
        pytest.param({"either": True}, [("spec.either", "FieldValueTypeInvalid")], id="int or string"),
        pytest.param({"items": [{"count": 1}]}, [("spec.items[0].key", "FieldValueRequired")], id="required in a list"),
        pytest.param({"items": [{"key": str(n)} for n in range(4)]}, [("spec.items", "FieldValueTooMany")], id="maxItems"),
        pytest.param({"items": [{"key": "a"}, {"key": "a"}]}, [("spec.items[1]", "FieldValueDuplicate")], id="key of a list"),
        pytest.param({"tags": ["a", "a"]}, [("spec.tags[1]", "FieldValueDuplicate")], id="value of a set"),
        pytest.param({"labels": {"a": 1}}, [("spec.labels.a", "FieldValueTypeInvalid")], id="value of a map"),
        pytest.param({"choice": {}}, [("<nil>", "FieldValueInvalid"), ("spec.choice.a", "FieldValueRequired")], id="none of oneOf"),
        pytest.param({"choice": {"a": "1", "b": "2"}}, [("<nil>", "FieldValueInvalid")], id="both of oneOf"),
        pytest.param({"size": 200}, [("spec", "FieldValueInvalid")], id="rule in CEL"),
        pytest.param({"size": 13}, [("spec", "FieldValueInvalid")], id="rule without a message"),
    ],
)
async def test_a_bad_object_is_refused_with_each_field(server: Server, spec: Any, causes: list[tuple[str, str]]) -> None:
    path = await server.define(definition(server.group))
    answer = await server.create(path, widget(server.group, **spec))
    assert (answer.code, answer.reason) == (422, "Invalid")
    skipped = ("<nil>", "FieldValueInvalid") if "were not checked" in answer.message else None
    assert answer.causes == [*causes, *([skipped] if skipped else [])]
    assert answer.message.startswith(f'Widget.{server.group} "w" is invalid: ')


async def test_the_words_of_rules(server: Server) -> None:
    path = await server.define(definition(server.group))
    big = await server.create(path, widget(server.group, size=200))
    assert big.message == f'Widget.{server.group} "w" is invalid: spec: Invalid value: too big'
    unlucky = await server.create(path, widget(server.group, size=13))
    assert unlucky.message.endswith("spec: Invalid value: failed rule: self.size != 13")


async def test_transition_rules_compare_with_the_old_object(server: Server) -> None:
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group))
    assert (await server.merge(f"{path}/w", {"spec": {"fixed": "a"}})).code == 200
    answer = await server.merge(f"{path}/w", {"spec": {"fixed": "b"}})
    assert (answer.code, answer.causes) == (422, [("spec", "FieldValueInvalid")])
    assert answer.message.endswith("fixed is immutable")


async def test_unchanged_invalid_values_are_tolerated(server: Server) -> None:
    """Ratcheting: a stricter schema does not lock what is stored."""
    path = await server.define(definition(server.group, version(spec={"type": "object", "properties": _strict(maximum=None)})))
    await server.created(path, widget(server.group, size=50, title="long title"))
    stricter = {"spec": {"versions": [version(spec={"type": "object", "properties": _strict(maximum=10)})]}}
    assert (await server.merge(f"{DEFINITIONS}/widgets.{server.group}", stricter)).code == 200
    refused = await server.until_created(path, widget(server.group, "other", size=11), lambda answer: answer.code == 422)
    assert refused.causes[0][0] == "spec.size"
    kept = await server.merge(f"{path}/w", {"spec": {"title": "other title"}})
    assert (kept.code, kept.body["spec"]) == (200, {"size": 50, "title": "other title"})


async def test_generation_counts_changes_of_the_specification(server: Server) -> None:
    path = await server.define(definition(server.group))
    assert (await server.created(path, widget(server.group)))["metadata"]["generation"] == 1
    changes = [({"spec": {"size": 2}}, "", 2), ({"metadata": {"labels": {"a": "b"}}}, "", 2), ({"status": {"phase": "x"}}, "/status", 2)]
    for patch, subresource, generation in changes:
        answer = await server.patch(f"{path}/w{subresource}", patch, MERGE)
        assert answer.body["metadata"]["generation"] == generation


async def test_status_is_written_through_its_sub_resource_only(server: Server) -> None:
    path = await server.define(definition(server.group))
    assert "status" not in await server.created(path, {**widget(server.group), "status": {"phase": "x"}})
    assert "status" not in (await server.merge(f"{path}/w", {"status": {"phase": "x"}})).body
    both = await server.merge(f"{path}/w/status", {"status": {"phase": "y"}, "spec": {"size": 9}, "metadata": {"labels": {"a": "b"}}})
    assert (both.body["status"], both.body["spec"]["size"]) == ({"phase": "y"}, 1)
    assert "labels" not in both.body["metadata"]
    assert (await server.get(f"{path}/w/status")).body == both.body


async def test_scale_shows_and_sets_replicas(server: Server) -> None:
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group))
    assert (await server.get(f"{path}/w/scale")).code == 500
    await server.merge(f"{path}/w/status", {"status": {"replicas": 3, "selector": "a=b"}})
    scaled = await server.merge(f"{path}/w/scale", {"spec": {"replicas": 4}})
    assert (scaled.code, scaled.body["kind"], scaled.body["apiVersion"]) == (200, "Scale", "autoscaling/v1")
    assert (scaled.body["spec"], scaled.body["status"]) == ({"replicas": 4}, {"replicas": 3, "selector": "a=b"})
    assert (await server.get(f"{path}/w")).body["spec"]["replicas"] == 4


async def test_versions_show_the_same_object(server: Server) -> None:
    old = version("v1beta1", storage=False, deprecated=True)
    path = await server.define(definition(server.group, version(), old))
    created = await server.created(path, widget(server.group))
    older = await server.get(server.path("widgets", "w", group=server.group, version="v1beta1"))
    assert older.body["apiVersion"] == f"{server.group}/v1beta1"
    assert older.body["metadata"]["uid"] == created["metadata"]["uid"]
    assert f"{server.group}/v1beta1 Widget is deprecated; use {server.group}/v1 Widget" in older.headers["warning"]


async def test_an_update_must_name_a_version(server: Server) -> None:
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group))
    answer = await server.call("PUT", f"{path}/w", widget(server.group, size=2))
    assert (answer.code, answer.causes) == (422, [("metadata.resourceVersion", "FieldValueInvalid")])


@pytest.mark.parametrize(
    ("change", "code"),
    [({"kind": "Gadget"}, 422), ({"apiVersion": "other.example.com/v1"}, 400), ({"kind": ""}, 400)],
    ids=["kind", "version", "no kind"],
)
async def test_the_type_must_be_that_of_the_url(server: Server, change: Any, code: int) -> None:
    path = await server.define(definition(server.group))
    assert (await server.create(path, {**widget(server.group), **change})).code == code


async def test_a_cluster_wide_kind_has_no_namespace(server: Server) -> None:
    crd = definition(server.group, scope="Cluster")
    await server.created(DEFINITIONS, crd)
    server.defined.append(crd["metadata"]["name"])
    path = f"/apis/{server.group}/v1/widgets"
    await server.until(path, lambda answer: answer.code == 200)
    created = await server.until_created(path, widget(server.group), lambda answer: answer.code == 201)
    assert "namespace" not in created.body["metadata"]


async def test_a_deleted_definition_takes_its_objects_along(server: Server) -> None:
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group))
    assert (await server.delete(f"{DEFINITIONS}/widgets.{server.group}")).code == 200
    gone = await server.until(path, lambda answer: answer.code == 404)
    assert gone.body == "404 page not found\n"


async def test_a_new_schema_prunes_what_was_stored(server: Server) -> None:
    """As Flagger's CRD in place of ours would do to `status.rollout` (design:§5)."""
    path = await server.define(definition(server.group))
    await server.created(path, widget(server.group, free={"a": 1}))
    narrow = {"spec": {"versions": [version(spec={"type": "object", "properties": {"size": {"type": "integer"}}})]}}
    assert (await server.merge(f"{DEFINITIONS}/widgets.{server.group}", narrow)).code == 200
    shown = await server.until(f"{path}/w", lambda answer: answer.code == 200 and "free" not in answer.body["spec"])
    assert shown.body["spec"] == {"size": 1}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"metadata": {"name": "wrong.example.com"}}, id="name"),
        pytest.param({"spec": {"versions": []}}, id="no version"),
        pytest.param({"spec": {"versions": [version(), version("v2")]}}, id="two stored versions"),
        pytest.param({"spec": {"scope": "Galaxy"}}, id="scope"),
    ],
)
async def test_a_bad_definition_is_refused(server: Server, change: Any) -> None:
    crd = definition(server.group)
    crd["metadata"] |= change.get("metadata", {})
    crd["spec"] |= change.get("spec", {})
    answer = await server.create(DEFINITIONS, crd)
    assert (answer.code, answer.reason) == (422, "Invalid")


def _strict(*, maximum: int | None) -> Any:
    size = {"type": "integer"} | ({"maximum": maximum} if maximum else {})
    return {"size": size, "title": {"type": "string"}}
