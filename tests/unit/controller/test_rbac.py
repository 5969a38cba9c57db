"""The rights that are asked for: those that are declared, and no more (operations:§8, design §10)."""

from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.controller.rbac import Account, Right, Role, core_rights, lease_rights, manifests, router_rights, rules
from flagger_py.objects.resource import CANARY, CONFIG_MAP, SECRET, SERVICE
from flagger_py.routers.registry import UnknownRouter

Granted = dict[tuple[str, str], set[str]]


def granted(policy: list[dict[str, Any]]) -> Granted:
    """Verbs by group and resource."""
    found: Granted = {}
    for rule in policy:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def test_rights_with_the_same_verbs_share_a_rule_in_a_stable_order() -> None:
    rights = [Right(SECRET, ("watch", "get")), Right(CONFIG_MAP, ("get",)), Right(CONFIG_MAP, ("watch",)), Right(SERVICE, ("get", "patch"))]
    expected = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "watch"]},
    ]
    assert rules(rights) == expected
    assert rules(reversed(rights)) == expected


def test_subresources_and_names_make_rules_of_their_own() -> None:
    assert rules([Right(CANARY, ("patch",), "status"), Right(CANARY, ("get",), names=("web",)), Right(CANARY, ("get",))]) == [
        {"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get"]},
        {"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get"], "resourceNames": ["web"]},
        {"apiGroups": ["flagger.app"], "resources": ["canaries/status"], "verbs": ["patch"]},
    ]


def test_every_installation_reads_its_own_kinds_writes_status_and_reports_events() -> None:
    """operations:§8"""
    policy = granted(rules(core_rights()))
    assert policy["flagger.app", "canaries"] == {"get", "list", "watch", "patch"}, "the finalizer of revertOnDeletion is metadata"
    assert policy["flagger.app", "canaries/status"] == {"patch"}
    assert policy["flagger.app", "canaries/finalizers"] == {"update"}
    assert policy["flagger.app", "metrictemplates"] == policy["flagger.app", "alertproviders"] == {"get", "list", "watch"}
    assert policy["", "events"] == {"get", "create", "patch"}
    assert {"get", "list", "watch", "create", "patch"} <= policy["apps", "deployments"]
    assert "create" in policy["apps", "controllerrevisions"]


def test_secrets_can_be_listed_only_where_configs_are_tracked() -> None:
    """design §10, operations:OPS-25; MetricTemplates refer to Secrets in any case."""
    assert {"get", "list", "watch"} <= granted(rules(core_rights()))["", "secrets"]
    policy = granted(rules(core_rights(config_tracking=False)))
    assert policy["", "secrets"] == {"get"}
    assert ("", "configmaps") not in policy


def test_workloads_are_never_deleted() -> None:
    assert "delete" not in granted(rules(core_rights()))["apps", "deployments"]


def test_nothing_is_granted_by_wildcard() -> None:
    for rule in rules([*core_rights(), *router_rights(["istio", "contour", "gatewayapi:v1", "kubernetes"]), *lease_rights()]):
        assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]


@pytest.mark.parametrize(
    ("provider", "resources"),
    [
        ("istio", {("networking.istio.io", "virtualservices"), ("networking.istio.io", "destinationrules")}),
        ("contour", {("projectcontour.io", "httpproxies")}),
        ("gatewayapi:v1", {("gateway.networking.k8s.io", "httproutes")}),
        ("kubernetes", set()),
    ],
)
def test_a_router_adds_its_own_kinds(provider: str, resources: set[tuple[str, str]]) -> None:
    assert granted(rules(router_rights([provider]))).keys() == resources


def test_an_unknown_router_is_refused_by_name() -> None:
    with pytest.raises(UnknownRouter, match="nope"):
        list(router_rights(["nope"]))
    result = CliRunner().invoke(cli.main, ["rbac", "--provider", "nope"])
    assert result.exit_code == 1
    assert "unknown provider 'nope'" in result.output


def test_the_election_may_touch_its_own_lease_only() -> None:
    assert rules(lease_rights()) == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "watch", "patch"],
            "resourceNames": ["flagger-leader-election"],
        },
    ]


@pytest.mark.parametrize(("namespace", "kind"), [("", "ClusterRole"), ("team", "Role")])
def test_a_role_is_bound_to_the_account_cluster_wide_or_in_one_namespace(namespace: str, kind: str) -> None:
    role, binding = manifests(Role("flagger", (Right(SERVICE, ("get",)),), namespace), Account("flagger", "flagger-system"))
    assert (role["kind"], binding["kind"]) == (kind, f"{kind}Binding")
    assert role["metadata"].get("namespace", "") == binding["metadata"].get("namespace", "") == namespace
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "flagger"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "flagger", "namespace": "flagger-system"}]


def test_with_a_namespace_nothing_is_granted_outside_of_it() -> None:
    """operations:OPS-24: Role mode."""
    printed = CliRunner().invoke(cli.main, ["rbac", "--namespace", "team", "--no-config-tracking"]).output
    documents = list(yaml.safe_load_all(printed))
    assert {document["kind"] for document in documents} == {"Role", "RoleBinding"}
    assert {document["metadata"]["namespace"] for document in documents} == {"team"}
    assert "&id" not in printed
