"""Deletion: finalizers, preconditions, dependents and namespaces."""

import pytest

from tests.contract.definitions import definition, widget
from tests.contract.servers import MERGE, Server
from tests.contract.workloads import config_map, deployment


def _owned(name: str, owner: dict[str, object], *, blocks: bool = False) -> dict[str, object]:
    metadata = owner["metadata"]
    assert isinstance(metadata, dict)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"]}
    return {"metadata": {"name": name, "ownerReferences": [reference | ({"blockOwnerDeletion": True} if blocks else {})]}}


async def test_a_deletion_answers_a_status_and_the_object_is_gone(server: Server) -> None:
    created = await server.created(server.path("configmaps"), config_map())
    path = server.path("configmaps", "c")
    answer = await server.delete(path)
    assert (answer.code, answer.body["status"]) == (200, "Success")
    assert answer.body["details"] == {"name": "c", "kind": "configmaps", "uid": created["metadata"]["uid"]}
    assert (await server.delete(path)).code == 404


async def test_preconditions_protect_another_object_of_the_same_name(server: Server) -> None:
    created = await server.created(server.path("configmaps"), config_map())
    path = server.path("configmaps", "c")
    for precondition in ({"uid": "other"}, {"resourceVersion": "1"}):
        answer = await server.delete(path, {"preconditions": precondition})
        assert (answer.code, answer.reason) == (409, "Conflict")
    uid = created["metadata"]["uid"]
    assert (await server.delete(path, {"preconditions": {"uid": uid}})).code == 200


async def test_finalizers_hold_an_object_until_the_last_is_removed(server: Server) -> None:
    path = await server.define(definition(server.group))
    held = widget(server.group)
    held["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    await server.created(path, held)
    deleted = await server.delete(f"{path}/w")
    assert deleted.code == 200
    metadata = deleted.body["metadata"]
    assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (0, 2)
    assert metadata["deletionTimestamp"]
    again = await server.delete(f"{path}/w")
    assert (again.code, again.version) == (200, deleted.version)
    added = await server.merge(f"{path}/w", {"metadata": {"finalizers": ["example.com/a", "example.com/b", "example.com/c"]}})
    assert (added.code, added.causes[0]) == (422, ("metadata.finalizers", "FieldValueForbidden"))
    assert (await server.merge(f"{path}/w", {"metadata": {"finalizers": ["example.com/b"]}})).code == 200
    assert (await server.merge(f"{path}/w", {"metadata": {"finalizers": None}})).code == 200
    assert (await server.get(f"{path}/w")).code == 404


async def test_a_dry_run_deletes_nothing(server: Server) -> None:
    await server.created(server.path("configmaps"), config_map())
    assert (await server.delete(server.path("configmaps", "c"), dryRun="All")).code == 200
    assert (await server.get(server.path("configmaps", "c"))).code == 200


async def test_dependents_follow_their_owner(server: Server) -> None:
    path = server.path("configmaps")
    owner = await server.created(path, config_map("owner"))
    await server.created(path, _owned("dependent", owner))
    assert (await server.delete(f"{path}/owner")).code == 200
    await server.until(f"{path}/dependent", lambda answer: answer.code == 404)


async def test_orphaned_dependents_stay(server: Server) -> None:
    path = server.path("configmaps")
    owner = await server.created(path, config_map("owner"))
    await server.created(path, _owned("dependent", owner))
    await server.delete(f"{path}/owner", {"propagationPolicy": "Orphan"})
    await server.until(f"{path}/owner", lambda answer: answer.code == 404)
    left = await server.until(f"{path}/dependent", lambda answer: "ownerReferences" not in answer.body["metadata"])
    assert left.code == 200


async def test_a_foreground_deletion_waits_for_dependents(server: Server) -> None:
    path = server.path("configmaps")
    owner = await server.created(path, config_map("owner"))
    dependent = _owned("dependent", owner, blocks=True)
    assert isinstance(dependent["metadata"], dict)
    dependent["metadata"]["finalizers"] = ["example.com/hold"]
    await server.created(path, dependent)
    deleted = await server.delete(f"{path}/owner", {"propagationPolicy": "Foreground"})
    assert deleted.body["metadata"]["finalizers"] == ["foregroundDeletion"]
    await server.until(f"{path}/dependent", lambda answer: "deletionTimestamp" in answer.body["metadata"])
    assert (await server.get(f"{path}/owner")).code == 200
    await server.merge(f"{path}/dependent", {"metadata": {"finalizers": None}})
    await server.until(f"{path}/owner", lambda answer: answer.code == 404)


async def test_dependents_of_an_owner_that_never_existed_are_deleted(server: Server) -> None:
    owner: dict[str, object] = {"metadata": {"name": "gone", "uid": "00000000-0000-0000-0000-000000000000"}}
    await server.created(server.path("configmaps"), _owned("dangling", owner))
    await server.until(server.path("configmaps", "dangling"), lambda answer: answer.code == 404)


async def test_an_object_with_another_living_owner_stays(server: Server) -> None:
    path = server.path("configmaps")
    one, two = await server.created(path, config_map("one")), await server.created(path, config_map("two"))
    shared = _owned("shared", one)
    other = _owned("shared", two)
    assert isinstance(shared["metadata"], dict)
    assert isinstance(other["metadata"], dict)
    shared["metadata"]["ownerReferences"] += other["metadata"]["ownerReferences"]
    await server.created(path, shared)
    await server.delete(f"{path}/one")
    left = await server.until(f"{path}/shared", lambda answer: len(answer.body["metadata"]["ownerReferences"]) == 1)
    assert left.body["metadata"]["ownerReferences"][0]["name"] == "two"


async def test_a_deleted_namespace_takes_its_contents_along(server: Server) -> None:
    name = f"{server.namespace}-x"
    base = f"/api/v1/namespaces/{name}"
    await server.created("/api/v1/namespaces", {"metadata": {"name": name}})
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await server.created(f"{base}/configmaps", held)
    await server.created(f"{base}/configmaps", config_map())
    deleted = await server.delete(base)
    assert (deleted.code, deleted.body["status"]["phase"]) == (200, "Terminating")
    refused = await server.create(f"{base}/configmaps", config_map("late"))
    assert (refused.code, refused.reason, refused.causes) == (403, "Forbidden", [("metadata.namespace", "NamespaceTerminating")])
    await server.until(f"{base}/configmaps/c", lambda answer: answer.code == 404)
    assert (await server.get(base)).code == 200
    await server.merge(f"{base}/configmaps/held", {"metadata": {"finalizers": None}})
    await server.until(base, lambda answer: answer.code == 404)


async def test_a_new_namespace_is_active_and_has_its_name_as_a_label(server: Server) -> None:
    found = (await server.get(f"/api/v1/namespaces/{server.namespace}")).body
    assert (found["status"], found["spec"]) == ({"phase": "Active"}, {"finalizers": ["kubernetes"]})
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": server.namespace}


@pytest.mark.parametrize("policy", ["Sideways", "x"])
async def test_an_unknown_policy_is_refused(server: Server, policy: str) -> None:
    await server.created(server.path("configmaps"), config_map())
    answer = await server.delete(server.path("configmaps", "c"), {"propagationPolicy": policy})
    assert (answer.code, answer.causes) == (422, [("propagationPolicy", "FieldValueNotSupported")])


async def test_a_deleted_service_is_answered_whole(server: Server) -> None:
    await server.created(server.path("services"), {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert (await server.delete(server.path("services", "s"))).body["kind"] == "Service"
    await server.created(server.path("deployments", group="apps"), deployment())
    assert (await server.delete(server.path("deployments", "web", group="apps"))).body["kind"] == "Status"


async def test_finalizers_are_qualified_names(server: Server) -> None:
    held = config_map()
    held["metadata"]["finalizers"] = ["nope"]
    answer = await server.create(server.path("configmaps"), held)
    assert (answer.code, answer.causes) == (422, [("metadata.finalizers[0]", "FieldValueInvalid")])


async def test_a_custom_object_may_have_a_finalizer_without_a_domain(server: Server) -> None:
    """Flagger's own is one."""
    path = await server.define(definition(server.group))
    held = widget(server.group)
    held["metadata"]["finalizers"] = ["finalizer.flagger.app"]
    await server.created(path, held)
    assert (await server.delete(f"{path}/w")).code == 200
    assert (await server.merge(f"{path}/w", {"metadata": {"finalizers": None}})).code == 200
    assert (await server.get(f"{path}/w")).code == 404


async def test_an_object_being_deleted_can_still_be_updated(server: Server) -> None:
    held = config_map(a="1")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await server.created(server.path("configmaps"), held)
    path = server.path("configmaps", "c")
    await server.delete(path)
    assert (await server.patch(path, {"data": {"a": "2"}}, MERGE)).body["data"] == {"a": "2"}
    await server.merge(path, {"metadata": {"finalizers": None}})
