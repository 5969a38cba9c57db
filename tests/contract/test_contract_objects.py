"""What create, get, update, patch and delete answer, for good requests and bad ones."""

from typing import Any

import pytest

from tests.contract.servers import MERGE, Server

CONFIG_MAP = {"metadata": {"name": "a"}, "data": {"key": "value"}}


async def test_a_created_object_has_an_identity_and_is_found_again(server: Server) -> None:
    created = await server.created(server.path("configmaps"), CONFIG_MAP)
    assert created["kind"] == "ConfigMap"
    assert {"uid", "creationTimestamp", "resourceVersion", "namespace"} <= set(created["metadata"])
    assert (await server.get(server.path("configmaps", "a"))).body == created


async def test_a_second_creation_is_refused(server: Server) -> None:
    await server.created(server.path("configmaps"), CONFIG_MAP)
    answer = await server.create(server.path("configmaps"), CONFIG_MAP)
    assert (answer.code, answer.reason, answer.message) == (409, "AlreadyExists", 'configmaps "a" already exists')
    assert answer.body["details"] == {"name": "a", "kind": "configmaps"}


async def test_a_missing_object_is_not_found(server: Server) -> None:
    answer = await server.get(server.path("deployments", "gone", group="apps"))
    assert (answer.code, answer.reason, answer.message) == (404, "NotFound", 'deployments.apps "gone" not found')
    assert answer.body["details"] == {"name": "gone", "group": "apps", "kind": "deployments"}


@pytest.mark.parametrize(
    ("body", "query", "code", "reason", "message"),
    [
        pytest.param({"metadata": {}}, {}, 422, "Invalid", "name or generateName is required", id="without a name"),
        pytest.param({"metadata": {"name": "A_b"}}, {}, 422, "Invalid", "a lowercase RFC 1123 subdomain", id="with a bad name"),
        pytest.param({"metadata": {"name": "b", "namespace": "x"}}, {}, 400, "BadRequest", "does not match the namespace", id="namespace"),
        pytest.param({"metadata": {"name": "b", "resourceVersion": "4"}}, {}, 500, "", "resourceVersion should not be set", id="version"),
        pytest.param({"kind": "Secret", "apiVersion": "v1"}, {}, 400, "BadRequest", "cannot be handled as a ConfigMap", id="other kind"),
        pytest.param({"kind": "ConfigMap", "apiVersion": "v2"}, {}, 400, "BadRequest", "no kind", id="other version"),
        pytest.param(b"{bad", {}, 400, "BadRequest", "unrecognized (must be of type ConfigMap)", id="no JSON"),
        pytest.param({"metadata": {"name": "b"}, "data": {"k": 1}}, {}, 400, "BadRequest", "cannot unmarshal number", id="type of a value"),
        pytest.param({"metadata": {"name": "b"}, "data": []}, {}, 400, "BadRequest", "type map[string]string", id="type of a map"),
        pytest.param({"metadata": {"name": "b", "labels": {"a b": ""}}}, {}, 422, "Invalid", "name part must consist", id="label key"),
        pytest.param({"metadata": {"name": "b", "labels": {"a": "b c"}}}, {}, 422, "Invalid", "a valid label must be", id="label value"),
        pytest.param({"metadata": {"name": "b"}}, {"fieldValidation": "x"}, 422, "Invalid", "fieldValidation", id="unknown option"),
    ],
)
async def test_a_bad_creation_is_refused(server: Server, body: Any, query: dict[str, str], code: int, reason: str, message: str) -> None:
    answer = await server.create(server.path("configmaps"), body, **query)
    assert (answer.code, answer.reason) == (code, reason)
    assert message in answer.message


async def test_a_namespace_must_exist(server: Server) -> None:
    answer = await server.create("/api/v1/namespaces/missing-one/configmaps", CONFIG_MAP)
    assert (answer.code, answer.message) == (404, 'namespaces "missing-one" not found')
    assert (await server.get("/api/v1/namespaces/missing-one/configmaps")).body["items"] == []


async def test_a_generated_name_has_five_more_letters(server: Server) -> None:
    created = await server.created(server.path("configmaps"), {"metadata": {"generateName": "made-"}})
    assert created["metadata"]["name"].startswith("made-")
    assert len(created["metadata"]["name"]) == len("made-") + 5


async def test_a_dry_run_answers_and_stores_nothing(server: Server) -> None:
    answer = await server.create(server.path("configmaps"), CONFIG_MAP, dryRun="All")
    assert answer.code == 201
    assert "resourceVersion" not in answer.body["metadata"]
    assert (await server.get(server.path("configmaps", "a"))).code == 404


@pytest.mark.parametrize(("mode", "code"), [("Strict", 400), ("Warn", 201), ("", 201), ("Ignore", 201)])
async def test_unknown_and_duplicate_fields_are_treated_as_asked(server: Server, mode: str, code: int) -> None:
    body = b'{"metadata":{"name":"b","foo":1},"data":{"k":"1","k":"2"},"bar":2}'
    answer = await server.create(server.path("configmaps"), body, **({"fieldValidation": mode} if mode else {}))
    assert answer.code == code
    if code == 400:
        assert all(problem in answer.message for problem in ('"metadata.foo"', 'duplicate field "data.k"', 'unknown field "bar"'))
    else:
        assert ("bar" in answer.headers.get("warning", "")) == (mode != "Ignore")
    if code == 201:
        assert answer.body["data"] == {"k": "2"}
        assert "bar" not in answer.body


async def test_an_update_needs_the_version_it_was_made_from(server: Server) -> None:
    created = await server.created(server.path("configmaps"), CONFIG_MAP)
    path = server.path("configmaps", "a")
    changed = {**created, "data": {"key": "other"}}
    first = await server.call("PUT", path, changed)
    assert (first.code, first.body["data"]) == (200, {"key": "other"})
    second = await server.call("PUT", path, changed)
    assert (second.code, second.reason) == (409, "Conflict")
    assert second.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_an_update_without_version_overwrites_built_in_kinds(server: Server) -> None:
    await server.created(server.path("configmaps"), CONFIG_MAP)
    answer = await server.call("PUT", server.path("configmaps", "a"), {"metadata": {"name": "a"}, "data": {"new": "one"}})
    assert (answer.code, answer.body["data"]) == (200, {"new": "one"})


async def test_an_update_of_another_uid_is_a_conflict(server: Server) -> None:
    await server.created(server.path("configmaps"), CONFIG_MAP)
    answer = await server.call("PUT", server.path("configmaps", "a"), {"metadata": {"name": "a", "uid": "other"}})
    assert (answer.code, answer.reason) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: other" in answer.message


async def test_an_update_that_changes_nothing_is_no_write(server: Server) -> None:
    created = await server.created(server.path("configmaps"), CONFIG_MAP)
    answer = await server.call("PUT", server.path("configmaps", "a"), created)
    assert answer.version == created["metadata"]["resourceVersion"]
    again = await server.merge(server.path("configmaps", "a"), {"data": {"key": "value"}})
    assert again.version == created["metadata"]["resourceVersion"]


async def test_an_update_of_another_name_or_of_a_missing_object_is_refused(server: Server) -> None:
    await server.created(server.path("configmaps"), CONFIG_MAP)
    other = await server.call("PUT", server.path("configmaps", "a"), {"metadata": {"name": "b"}})
    assert (other.code, other.message) == (400, "the name of the object (b) does not match the name on the URL (a)")
    missing = await server.call("PUT", server.path("configmaps", "b"), {"metadata": {"name": "b"}})
    assert (missing.code, missing.reason) == (404, "NotFound")


async def test_a_put_creates_leases_and_services(server: Server) -> None:
    lease = await server.call("PUT", server.path("leases", "l", group="coordination.k8s.io"), {"metadata": {"name": "l"}})
    assert lease.code == 201
    service = await server.call("PUT", server.path("services", "s"), {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert service.code == 201


async def test_versions_only_grow(server: Server) -> None:
    versions = [
        int((await server.created(server.path("configmaps"), {"metadata": {"name": f"c{n}"}}))["metadata"]["resourceVersion"])
        for n in range(3)
    ]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", "/api/v1/namespaces/default/configmaps/a", id="create at a name"),
        pytest.param("PUT", "/api/v1/namespaces/default/configmaps", id="update of a collection"),
        pytest.param("POST", "/apis/apps/v1/deployments", id="create in all namespaces"),
    ],
)
async def test_a_method_that_makes_no_sense_is_not_allowed(server: Server, method: str, path: str) -> None:
    answer = await server.call(method, path, {"metadata": {"name": "a"}})
    assert (answer.code, answer.reason) == (405, "MethodNotAllowed")


async def test_unknown_resources_of_a_built_in_group_have_a_status(server: Server) -> None:
    for path in ("/apis/apps/v1/foos", "/apis/apps/v2/deployments", server.path("deployments", "d", group="apps", subresource="foo")):
        answer = await server.get(path)
        assert (answer.code, answer.reason) == (404, "NotFound")
        assert answer.message == "the server could not find the requested resource"


async def test_unknown_groups_and_paths_are_plain_text(server: Server) -> None:
    for path in (f"/apis/{server.group}/v1/widgets", f"/apis/{server.group}", "/nothing"):
        answer = await server.get(path)
        assert (answer.code, answer.body) == (404, "404 page not found\n")


async def test_bodies_may_be_yaml_but_not_plain_text(server: Server) -> None:
    body = b"metadata:\n  name: a\ndata:\n  date: '2024-01-01'\n"
    created = await server.call("POST", server.path("configmaps"), body, content_type="application/yaml")
    assert (created.code, created.body["data"]) == (201, {"date": "2024-01-01"})
    refused = await server.call("POST", server.path("configmaps"), CONFIG_MAP, content_type="text/plain")
    assert (refused.code, refused.reason) == (415, "UnsupportedMediaType")


async def test_the_identity_of_an_object_cannot_be_patched(server: Server) -> None:
    await server.created(server.path("configmaps"), CONFIG_MAP)
    path = server.path("configmaps", "a")
    uid = await server.patch(path, {"metadata": {"uid": "x"}}, MERGE)
    assert (uid.code, uid.causes[0]) == (422, ("metadata.uid", "FieldValueInvalid"))
    name = await server.patch(path, {"metadata": {"name": "b"}}, MERGE)
    assert (name.code, name.reason) == (400, "BadRequest")
