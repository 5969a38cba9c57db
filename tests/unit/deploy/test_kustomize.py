"""The manifests that are shipped: whole, in step with the code, and fit for Pod Security "restricted" (operations:§8, §11, OPS-33)."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.controller import flags

KUSTOMIZE = Path(__file__).parents[3] / "deploy/kustomize"
FOLDERS = [KUSTOMIZE, *sorted((KUSTOMIZE / "overlays").iterdir())]
OVERLAYS = {
    "contour": ("projectcontour", "contour", "http://flagger-prometheus:9090"),
    "gatewayapi": ("flagger-system", "gatewayapi:v1", "http://flagger-prometheus:9090"),
    "istio": ("istio-system", "istio", "http://prometheus:9090"),
    "knative": ("flagger-system", "knative", "http://flagger-prometheus:9090"),
    "kubernetes": ("flagger-system", "kubernetes", "http://flagger-prometheus:9090"),
}
GENERATED = sorted(KUSTOMIZE.rglob("rbac*.yaml"))

Manifest = dict[str, Any]

with_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def load(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@functools.cache
def build(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True, timeout=30)
    return list(yaml.safe_load_all(done.stdout))


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def deployment() -> Manifest:
    (manifest,) = load(KUSTOMIZE / "base/deployment.yaml")
    return manifest


def container() -> Manifest:
    found: Manifest = deployment()["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: str(path.relative_to(KUSTOMIZE)))
def test_the_roles_are_what_the_installed_code_declares(path: Path) -> None:
    """operations:OPS-24: one generated role; when this fails, run the command in the first line of the file."""
    first, _, rest = path.read_text().partition("\n")
    command = first.removeprefix("# Made by: flagger-py ").partition("  (")[0].split()
    result = CliRunner().invoke(cli.main, command)
    assert (result.exit_code, result.output) == (0, rest)


@pytest.mark.parametrize("path", sorted(KUSTOMIZE.rglob("*.yaml")), ids=lambda path: str(path.relative_to(KUSTOMIZE)))
def test_every_file_holds_named_objects_and_belongs_to_a_kustomization(path: Path) -> None:
    documents = load(path)
    assert documents
    assert all(document["apiVersion"] and document["kind"] for document in documents)
    if path.name != "kustomization.yaml":
        assert all(document["metadata"]["name"] for document in documents)
        (kustomization,) = load(path.parent / "kustomization.yaml")
        assert path.name in kustomization["resources"]


def test_every_resource_of_a_kustomization_exists() -> None:
    for path in [*KUSTOMIZE.rglob("kustomization.yaml"), KUSTOMIZE.parent / "crds/kustomization.yaml"]:
        (kustomization,) = load(path)
        assert all((path.parent / resource).exists() for resource in kustomization["resources"]), path


def test_all_crds_are_in_the_kustomization() -> None:
    crds = KUSTOMIZE.parent / "crds"
    (kustomization,) = load(crds / "kustomization.yaml")
    assert sorted(kustomization["resources"]) == sorted(path.name for path in crds.glob("*.flagger.app.yaml"))


def test_the_pod_passes_pod_security_restricted() -> None:
    """operations:OPS-33"""
    pod = deployment()["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & pod.keys()


def test_the_probes_ask_over_http_on_the_port_that_is_opened() -> None:
    """operations:OPS-29, operations:OPS-03"""
    assert container()["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container()["ports"] == [{"name": "http", "containerPort": int(flags.read([], {}).port)}]


def test_the_deployment_replaces_flaggers_in_place() -> None:
    """operations:§11: same name, and the selector cannot be changed."""
    spec = deployment()["spec"]
    assert deployment()["metadata"]["name"] == "flagger"
    assert spec["selector"] == {"matchLabels": {"app": "flagger"}}
    assert spec["template"]["metadata"]["labels"] == {"app": "flagger"}
    assert spec["template"]["spec"]["serviceAccountName"] == load(KUSTOMIZE / "base/service-account.yaml")[0]["metadata"]["name"]


def test_the_arguments_are_understood_and_pass_the_own_namespace_for_the_election() -> None:
    """design §6"""
    (variable,) = container()["env"]
    assert variable == {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    parsed = flags.read([argument.replace("$(POD_NAMESPACE)", "istio-system") for argument in container()["args"]], {})
    assert (parsed.enable_leader_election, parsed.lease_namespace) == (True, "istio-system")
    assert (parsed.log_level, parsed.include_label_prefix) == ("info", ("app.kubernetes.io",))


@with_kubectl
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_kustomization_builds_and_grants_its_rights_to_its_own_account(folder: Path) -> None:
    manifests = build(folder)
    assert len(of_kind(manifests, "CustomResourceDefinition")) == 3
    (account,) = of_kind(manifests, "ServiceAccount")
    (installed,) = of_kind(manifests, "Deployment")
    assert account["metadata"]["namespace"] == installed["metadata"]["namespace"]
    roles = {role["metadata"]["name"] for role in of_kind(manifests, "Role") + of_kind(manifests, "ClusterRole")}
    bindings = of_kind(manifests, "RoleBinding") + of_kind(manifests, "ClusterRoleBinding")
    assert {binding["roleRef"]["name"] for binding in bindings} == roles
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "flagger", "namespace": account["metadata"]["namespace"]}]


@with_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_selects_its_router_in_flaggers_namespace_for_it(name: str) -> None:
    """operations:§11"""
    namespace, provider, metrics_server = OVERLAYS[name]
    manifests = build(KUSTOMIZE / "overlays" / name)
    (installed,) = of_kind(manifests, "Deployment")
    parsed = flags.read(installed["spec"]["template"]["spec"]["containers"][0]["args"], {})
    assert installed["metadata"]["namespace"] == namespace
    assert (parsed.mesh_provider, parsed.metrics_server) == (provider, metrics_server)
    assert parsed.ingress_class == ("contour" if name == "contour" else "")
    assert parsed.ignored_arguments == ()


@with_kubectl
def test_an_overlay_has_the_rights_for_its_own_router_only() -> None:
    """operations:OPS-24"""
    roles = of_kind(build(KUSTOMIZE / "overlays/istio"), "ClusterRole")
    groups = {group for role in roles for rule in role["rules"] for group in rule["apiGroups"]}
    assert "networking.istio.io" in groups
    assert not groups & {"projectcontour.io", "gateway.networking.k8s.io"}


@with_kubectl
def test_only_a_namespace_of_our_own_gets_pod_security_labels() -> None:
    """A mesh's own namespace holds pods that need more."""
    for folder in FOLDERS:
        assert {namespace["metadata"]["name"] for namespace in of_kind(build(folder), "Namespace")} <= {"flagger-system"}
