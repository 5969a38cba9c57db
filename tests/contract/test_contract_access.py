"""Who may do what, and how a refusal is said."""

from typing import Any

import pytest

from tests.contract.servers import Server

RBAC = "rbac.authorization.k8s.io"


async def _grant(server: Server, user: str, *rules: dict[str, Any]) -> None:
    """Give a user a Role in the test's namespace."""
    await server.created(server.path("roles", group=RBAC), {"metadata": {"name": "role"}, "rules": list(rules)})
    binding = {
        "metadata": {"name": "binding"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "role"},
        "subjects": [{"kind": "User", "name": user}, {"kind": "Group", "name": "team"}],
    }
    await server.created(server.path("rolebindings", group=RBAC), binding)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/api/v1/pods", 'pods is forbidden: User "eve" cannot list resource "pods" in API group "" at the cluster scope'),
        (
            "GET",
            "/api/v1/namespaces/default/pods",
            'pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            "GET",
            "/apis/apps/v1/namespaces/x/deployments/x/status",
            'deployments.apps "x" is forbidden: User "eve" cannot get resource "deployments/status" in API group "apps" in the namespace "x"',  # noqa: E501
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default/pods",
            'pods is forbidden: User "eve" cannot deletecollection resource "pods" in API group "" in the namespace "default"',
        ),
        ("GET", "/nothing", 'forbidden: User "eve" cannot get path "/nothing"'),
    ],
)
async def test_a_missing_right_is_named(server: Server, method: str, path: str, message: str) -> None:
    answer = await server.as_user("eve", method, path)
    assert (answer.code, answer.reason, answer.message) == (403, "Forbidden", message)


async def test_a_role_gives_what_its_rules_say(server: Server) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"], "resourceNames": ["known"]},
    ]
    await _grant(server, "bob", *rules)
    ours = {"configmaps": 200, "secrets": 403, "pods": 403}
    for plural, code in ours.items():
        await _eventually(server, "bob", server.path(plural), code)
    assert (await server.as_user("bob", "GET", "/api/v1/namespaces/default/configmaps")).code == 403
    assert (await server.as_user("bob", "GET", server.path("secrets", "known"))).code == 404
    assert (await server.as_user("bob", "GET", server.path("secrets", "other"))).code == 403
    assert (await server.as_user("bob", "GET", server.path("deployments", "x", group="apps", subresource="status"))).code == 404
    assert (await server.as_user("bob", "GET", server.path("deployments", "x", group="apps"))).code == 403
    assert (await server.as_user("carol", "GET", server.path("configmaps"), None, "team")).code == 200


async def test_a_list_of_one_name_can_be_allowed_by_that_name(server: Server) -> None:
    await _grant(server, "bob", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"], "resourceNames": ["known"]})
    await _eventually(server, "bob", server.path("secrets"), 403)
    headers = {"impersonate-user": "bob"}
    allowed = await server.call("GET", server.path("secrets"), headers=headers, query={"fieldSelector": "metadata.name=known"})
    assert allowed.code == 200


async def test_everybody_may_discover(server: Server) -> None:
    for path in ("/api", "/apis", "/apis/apps/v1", "/version", "/openapi/v3", "/healthz"):
        assert (await server.as_user("nobody", "GET", path)).code == 200


async def test_roles_are_checked(server: Server) -> None:
    path = server.path("rolebindings", group=RBAC)
    binding = {"metadata": {"name": "b"}, "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "r"}, "subjects": []}
    await server.created(path, binding)
    changed = await server.merge(f"{path}/b", {"roleRef": {"name": "z"}})
    assert changed.causes == [("roleRef", "FieldValueInvalid")]
    unknown = await server.create(path, {**binding, "metadata": {"name": "c"}, "roleRef": {"kind": "Foo", "name": ""}})
    assert unknown.causes == [("roleRef.kind", "FieldValueNotSupported"), ("roleRef.name", "FieldValueRequired")]


async def test_access_can_be_asked_about(server: Server) -> None:
    await _grant(server, "bob", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]})
    await _eventually(server, "bob", server.path("configmaps", "x"), 404)
    for verb, allowed in (("get", True), ("list", False)):
        attributes = {"namespace": server.namespace, "verb": verb, "resource": "configmaps"}
        review = {"spec": {"resourceAttributes": attributes}}
        answer = await server.as_user("bob", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        assert (answer.code, answer.body["status"]["allowed"]) == (201, allowed)
    other = {"spec": {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}}
    answer = await server.as_user("bob", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", other)
    assert answer.body["status"]["allowed"] is False


async def test_a_service_account_token_is_reviewed(server: Server) -> None:
    await server.created(server.path("serviceaccounts"), {"metadata": {"name": "robot"}})
    path = server.path("serviceaccounts", "robot", subresource="token")
    requested = await server.create(path, {"spec": {"expirationSeconds": 3600}})
    assert requested.code == 201
    review = {"spec": {"token": requested.body["status"]["token"]}}
    answer = await server.create("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert answer.body["status"]["authenticated"] is True
    assert answer.body["status"]["user"]["username"] == f"system:serviceaccount:{server.namespace}:robot"
    bad = await server.create("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nonsense"}})
    assert "authenticated" not in bad.body["status"]
    assert (await server.create(path, {"spec": {"expirationSeconds": 10}})).code == 422


async def _eventually(server: Server, user: str, path: str, code: int) -> None:
    """A real server's RBAC informers need a moment."""
    headers = {"impersonate-user": user}
    for _ in range(200):
        if (await server.call("GET", path, headers=headers)).code == code:
            return
    raise AssertionError(f"{user} does not get {code} from {path}")
