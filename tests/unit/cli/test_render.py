"""`flagger-py render`: what the controller would create or change, from files alone."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flagger_py.routers import registry
from flagger_py.routers.base import Router
from tests.unit.cli.render_golden import FOLDER, GOLDEN, INPUT, printed, run

Manifest = dict[str, Any]

WORKLOAD: list[Manifest] = list(yaml.safe_load_all((INPUT / "workload.yaml").read_text()))
DEPLOYMENT, CONFIG_MAP, SECRET, SERVICE = WORKLOAD
CANARY: Manifest = yaml.safe_load((INPUT / "canary.yaml").read_text())
ISTIO = ("--provider", "istio")


def render(*manifests: Manifest, options: tuple[str, ...] = ISTIO) -> Result:
    return run("-", *options, stdin=yaml.safe_dump_all(manifests))


def documents(result: Result) -> dict[str, Manifest]:
    """What was printed, by `Kind name`."""
    found = [document for document in yaml.safe_load_all(result.stdout) if document]
    return {f"{document['kind']} {document['metadata']['name']}": document for document in found}


def changed(manifest: Manifest, path: str, value: object) -> Manifest:
    """A copy with one field set; a number in the path is an index."""
    result: Manifest = replaced(manifest, [int(part) if part.isdecimal() else part for part in path.split(".")], value)
    return result


def replaced(root: Any, path: Sequence[str | int], value: object) -> Any:
    """A copy with what stands at the path replaced."""
    result = copy.deepcopy(root)
    *parents, last = path
    holder: Any = result
    for part in parents:
        holder = holder[part]
    holder[last] = value
    return result


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_printed_is_as_recorded(name: str) -> None:
    assert printed(*GOLDEN[name]) == (FOLDER / name).read_text()


def test_every_object_of_an_initialised_canary_is_there() -> None:
    """engine:ST-01, workloads:DEP-01, workloads:CFG-09: the target is at zero, because no request reaches it."""
    result = render(CANARY, *WORKLOAD)
    assert result.exit_code == 0
    assert list(documents(result)) == [
        "Service podinfo-canary",
        "Service podinfo-primary",
        "Secret podinfo-token-primary",
        "ConfigMap podinfo-settings-primary",
        *[name for name in documents(result) if name.startswith("ControllerRevision")],
        "Deployment podinfo-primary",
        "Service podinfo",
        "DestinationRule podinfo-canary",
        "DestinationRule podinfo-primary",
        "VirtualService podinfo",
        "Deployment podinfo",
    ]
    assert documents(result)["Deployment podinfo"]["spec"]["replicas"] == 0


@pytest.mark.parametrize(("routes", "replicas"), [("90/10", 3), ("0/100", 3), ("100/0/mirror", 3), ("100/0", 0)])
def test_the_target_runs_while_requests_reach_it(routes: str, replicas: int) -> None:
    """workloads:DEP-08: as many pods as the primary has."""
    stopped = changed(DEPLOYMENT, "spec.replicas", 0)
    primary = documents(render(CANARY, *WORKLOAD))["Deployment podinfo-primary"]
    running = changed(primary, "spec.replicas", 3)
    result = render(CANARY, stopped, CONFIG_MAP, SECRET, SERVICE, running, options=(*ISTIO, "--routes", routes))
    found = documents(result).get("Deployment podinfo", stopped)
    assert (result.exit_code, found["spec"]["replicas"]) == (0, replicas)


def test_rendering_its_own_output_changes_nothing() -> None:
    first = documents(render(CANARY, *WORKLOAD, options=(*ISTIO, "--show-secrets")))
    again = render(CANARY, CONFIG_MAP, SECRET, *first.values(), options=ISTIO)
    assert (again.stdout, again.exit_code) == ("", 0)


def test_files_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([CANARY, *WORKLOAD]))
    before = file.read_bytes()
    assert run(str(tmp_path), *ISTIO).exit_code == 0
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_values_of_secrets_are_hidden_unless_asked_for() -> None:
    hidden = render(CANARY, *WORKLOAD)
    assert documents(hidden)["Secret podinfo-token-primary"]["data"] == {"token": "***"}
    assert "bm90LXNvLXNlY3JldA==" not in hidden.output
    shown = render(CANARY, *WORKLOAD, options=(*ISTIO, "--show-secrets"))
    assert documents(shown)["Secret podinfo-token-primary"]["data"] == {"token": "bm90LXNvLXNlY3JldA=="}


def test_the_diff_of_a_secret_says_that_a_value_differs_and_hides_it() -> None:
    """A copy of an older content is not changed while there is a primary, so the primary is left out here."""
    old_copy = documents(render(CANARY, *WORKLOAD, options=(*ISTIO, "--show-secrets")))["Secret podinfo-token-primary"]
    old_copy["data"]["token"] = "b2xk"
    result = render(CANARY, *WORKLOAD, old_copy, options=(*ISTIO, "--diff"))
    assert "-  token: '*** (before)'\n+  token: '*** (after)'\n" in result.stdout
    assert "b2xk" not in result.output


def test_a_diff_shows_no_mere_change_of_order() -> None:
    """A server gives the fields of its objects sorted."""
    first = render(CANARY, *WORKLOAD, options=(*ISTIO, "--show-secrets"))
    sorted_objects: list[Manifest] = list(yaml.safe_load_all(yaml.safe_dump_all(documents(first).values(), sort_keys=True)))
    result = render(CANARY, CONFIG_MAP, SECRET, *sorted_objects, options=(*ISTIO, "--routes", "80/20", "--diff"))
    changes = [line for line in result.stdout.splitlines() if line.startswith(("-  ", "+  "))]
    assert changes == [
        "-      weight: 100",
        "+      weight: 80",
        "-      weight: 0",
        "+      weight: 20",
        "-  replicas: 0",
        "+  replicas: 2",
    ]


def test_an_invalid_canary_is_rendered_and_its_problems_are_told() -> None:
    result = render(changed(CANARY, "spec.analysis.threshold", -1), *WORKLOAD)
    assert "VirtualService podinfo" in documents(result)
    assert "standard input:1: Canary test/podinfo: spec.analysis.threshold" not in result.stdout
    assert "Canary test/podinfo: spec.analysis.threshold: -1: must be" in result.stderr
    assert result.exit_code == 1


def test_what_is_not_supported_yet_is_rendered_and_told() -> None:
    result = render(changed(CANARY, "spec.provider", "linkerd"), *WORKLOAD)
    assert "Deployment podinfo-primary" in documents(result)
    assert "[NotSupported" in result.stderr


def test_an_unknown_provider_keeps_only_the_routes_from_being_rendered() -> None:
    """routers:PRV-02"""
    result = render(changed(CANARY, "spec.provider", "itsio"), *WORKLOAD)
    assert "Deployment podinfo-primary" in documents(result)
    assert "Canary test/podinfo: unknown provider 'itsio'; known are: " in result.stderr
    assert result.exit_code == 1


def test_a_canary_without_provider_needs_the_flag() -> None:
    result = render(CANARY, *WORKLOAD, options=())
    assert "Canary test/podinfo: spec.provider: neither the Canary nor --provider names one; installed are: contour, " in result.stderr
    assert "Deployment podinfo-primary" in documents(result)
    assert result.exit_code == 1


def test_without_the_target_the_routes_are_rendered() -> None:
    result = render(CANARY)
    assert list(documents(result)) == ["DestinationRule podinfo-canary", "DestinationRule podinfo-primary", "VirtualService podinfo"]
    assert result.stderr.count("Canary test/podinfo: Deployment test/podinfo does not exist\n") == 1
    assert result.exit_code == 1


def test_a_config_that_is_not_in_the_files_is_taken_to_exist() -> None:
    result = render(CANARY, DEPLOYMENT, CONFIG_MAP)
    pod = documents(result)["Deployment podinfo-primary"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "podinfo-token-primary"
    assert "Secret podinfo-token-primary" not in documents(result)
    assert "note: Secret test/podinfo-token is not in the files: it is taken to exist and to be tracked" in result.stderr
    assert result.exit_code == 0


def test_without_config_tracking_there_are_no_copies() -> None:
    """workloads:CFG-14"""
    result = render(CANARY, DEPLOYMENT, options=(*ISTIO, "--enable-config-tracking", "false"))
    assert not [name for name in documents(result) if name.startswith(("ConfigMap", "Secret"))]
    assert result.stderr.count("note:") == 1


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (changed(DEPLOYMENT, "spec.template.spec.containers.0.name", None), "spec.template.spec.containers[0].name: is required"),
        (changed(DEPLOYMENT, "spec.selector", None), "spec.selector: is required"),
        (changed(DEPLOYMENT, "spec.replicas", "two"), 'spec.replicas: "two": must be a whole number'),
        (changed(DEPLOYMENT, "spec.template.spec.containers", {}), "spec.template.spec.containers: must be a list"),
        (changed(DEPLOYMENT, "spec.template.metadata.labels", {"app": 1}), "spec.template.metadata.labels.app: 1: must be a string"),
    ],
)
def test_an_object_that_no_api_server_would_take_is_named(manifest: Manifest, message: str) -> None:
    result = render(CANARY, manifest, CONFIG_MAP, SECRET)
    assert f"Deployment test/podinfo: {message} [Invalid, schema]" in result.stderr
    assert result.exit_code == 1


def test_a_target_without_a_label_to_select_by_is_named() -> None:
    """workloads:SEL-01"""
    result = render(CANARY, changed(DEPLOYMENT, "spec.selector.matchLabels", {"tier": "web"}), CONFIG_MAP, SECRET)
    assert "Deployment test/podinfo: spec.selector.matchLabels has ['tier'], but must have one of ['app', 'name'" in result.stderr
    assert result.exit_code == 1


def test_a_service_of_another_canary_is_not_taken() -> None:
    """routers:K8S-12"""
    owner = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "other", "uid": "1", "controller": True}
    result = render(CANARY, *WORKLOAD[:3], changed(SERVICE, "metadata.ownerReferences", [owner]))
    assert "Service test/podinfo belongs to Canary other" in result.stderr
    assert "VirtualService podinfo" in documents(result)
    assert result.exit_code == 1


def test_a_service_target_gets_its_two_copies() -> None:
    """workloads:SVC-03: the user's Service stays as it is."""
    canary = changed(CANARY, "spec.targetRef", {"apiVersion": "v1", "kind": "Service", "name": SERVICE["metadata"]["name"]})
    canary = changed(canary, "spec.service", {"port": SERVICE["spec"]["ports"][0]["port"]})
    name = SERVICE["metadata"]["name"]
    found = documents(render(canary, SERVICE, options=(*ISTIO, "--routes", "80/20")))
    assert {f"Service {name}-primary", f"Service {name}-canary"} <= set(found)
    assert f"Service {name}" not in found
    assert found[f"Service {name}-primary"]["spec"]["ports"] == SERVICE["spec"]["ports"]


def test_a_knative_service_gets_its_annotation_and_its_traffic() -> None:
    """workloads:KN-02, routers:KNA-02: a Revision is assumed, because only a cluster makes them."""
    service = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [{"image": "web:1"}]}}},
    }
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 10}
    spec = {"provider": "knative", "targetRef": target, "analysis": analysis}
    canary = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    result = render(canary, service, options=("--routes", "80/20"))
    assert result.exit_code == 0, result.stderr
    found = documents(result)
    assert found.keys() == {"Service web"}
    assert found["Service web"]["metadata"]["annotations"] == {"flagger.app/primary-revision": "web-00001"}
    assert found["Service web"]["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 20},
        {"revisionName": "web-00001", "percent": 80},
    ]
    assert "note: Revision shop/web-00001 is not in the files" in result.stderr


def test_a_route_in_an_old_version_is_refused() -> None:
    """routers:GW-01: v1alpha2 is not read as if it were v1."""
    route = {"apiVersion": "gateway.networking.k8s.io/v1alpha2", "kind": "HTTPRoute", "metadata": {"name": "podinfo", "namespace": "test"}}
    result = render(CANARY, *WORKLOAD, route, options=("--provider", "gatewayapi:v1"))
    assert "gateway.networking.k8s.io/v1alpha2 is not supported; write it as gateway.networking.k8s.io/v1" in result.stderr
    assert result.exit_code == 1


def test_an_object_that_is_given_twice_is_an_error() -> None:
    result = render(CANARY, *WORKLOAD, SERVICE)
    assert "Service test/podinfo: standard input:" in result.stderr
    assert "the object is given twice; the last one counts" in result.stderr
    assert result.exit_code == 1


def test_objects_without_a_namespace_are_in_the_one_that_is_given() -> None:
    bare = [changed(manifest, "metadata.namespace", None) for manifest in (CANARY, *WORKLOAD)]
    result = render(*bare, options=(*ISTIO, "-n", "shop"))
    assert {document["metadata"]["namespace"] for document in documents(result).values()} == {"shop"}
    assert result.exit_code == 0


def test_the_uid_of_a_canary_from_a_cluster_is_used() -> None:
    result = render(changed(CANARY, "metadata.uid", "6f8d0b4e-1d9c-4a53-9a86-0f6c7d1f5b11"), *WORKLOAD)
    owners = documents(result)["VirtualService podinfo"]["metadata"]["ownerReferences"]
    assert owners[0]["uid"] == "6f8d0b4e-1d9c-4a53-9a86-0f6c7d1f5b11"
    assert "uid" not in result.stderr


def test_session_cookies_are_made_up_and_that_is_said() -> None:
    analysis = CANARY["spec"]["analysis"] | {"sessionAffinity": {"cookieName": "flagger"}}
    result = render(changed(CANARY, "spec.analysis", analysis), *WORKLOAD, options=(*ISTIO, "--routes", "80/20"))
    assert "flagger=exampleXYZ" in result.stdout
    assert "note: Canary test/podinfo: the values of session cookies are examples" in result.stderr


def test_two_canaries_share_the_copy_of_a_config() -> None:
    """workloads:CFG-09"""
    label = changed(changed(DEPLOYMENT, "metadata.name", "other"), "spec.selector.matchLabels.app", "other")
    second = changed(label, "spec.template.metadata.labels.app", "other")
    canary = changed(changed(CANARY, "metadata.name", "other"), "spec.targetRef.name", "other")
    found = documents(render(CANARY, canary, *WORKLOAD, second))
    owners = found["ConfigMap podinfo-settings-primary"]["metadata"]["ownerReferences"]
    assert {owner["name"] for owner in owners} == {"podinfo", "other"}


def test_no_canary_is_an_error() -> None:
    result = render(*WORKLOAD)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert "there is no Canary in the files that can be rendered" in result.stderr


def test_a_canary_that_cannot_be_decoded_is_an_error() -> None:
    result = render(changed(CANARY, "spec.analysis.stepWeight", "ten"), *WORKLOAD)
    assert 'spec.analysis.stepWeight: "ten": must be' in result.stderr
    assert (result.stdout, result.exit_code) == ("", 1)


def test_what_stands_before_unreadable_yaml_is_rendered() -> None:
    result = run("-", *ISTIO, stdin=yaml.safe_dump_all([CANARY, *WORKLOAD]) + "---\na: b: c\n")
    assert "VirtualService podinfo" in documents(result)
    assert "cannot be read: mapping values are not allowed here" in result.stderr
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ("80", "must be PRIMARY/CANARY, such as 80/20, or 100/0/mirror"),
        ("80/20/", "must be PRIMARY/CANARY"),
        ("80/30", "sum to 100"),
        ("80/20/mirror", "mirroring needs all traffic on the primary"),
        ("-10/110", "must be PRIMARY/CANARY"),
    ],
)
def test_weights_that_cannot_be_are_refused(routes: str, message: str) -> None:
    result = render(CANARY, *WORKLOAD, options=(*ISTIO, "--routes", routes))
    assert (result.stdout, result.exit_code) == ("", 2)
    assert message in " ".join(result.stderr.split())


class Broken(Router):
    async def set_routes(self, canary: object, traffic: object) -> None:
        raise ZeroDivisionError("no reason")


def test_a_router_that_raises_is_told_and_the_rest_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    Broken.__abstractmethods__ = frozenset()  # the rest of the contract is not called
    monkeypatch.setattr(registry, "load", lambda provider: Broken)
    result = render(CANARY, *WORKLOAD)
    assert "router 'istio' failed: ZeroDivisionError: no reason" in result.stderr
    assert "Deployment podinfo-primary" in documents(result)
    assert result.exit_code == 1


def paths_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a value can be replaced."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from paths_in(entry, (*path, key))


EVERYTHING = [CANARY, *WORKLOAD]
ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "x", "x" * 300, [], {}, [None], {"a": None}, {"a": {"b": []}}, ["a", 1]]
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(list(paths_in(EVERYTHING))[5:]), value=ODD, provider=st.sampled_from(["istio", "gatewayapi:v1", "contour"]))
def test_nothing_in_a_file_ends_in_a_traceback(path: tuple[str | int, ...], value: object, provider: str) -> None:
    result = render(*replaced(EVERYTHING, path, value), options=("--provider", provider))
    assert result.exit_code in (0, 1)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 0 or result.stderr
