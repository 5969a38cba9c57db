"""Revisions, config references and the rendering of the primary's pod template."""

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flagger_py.objects.resource import Manifest
from flagger_py.workloads.base import Selector
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.template import (
    ConfigReference,
    PrimaryCopy,
    as_primary,
    container_ports,
    digest_of,
    is_primary_of,
    references,
    revision_of,
    summary_of,
)
from tests.unit.workloads.build import make_deployment

PROPERTY = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""The machine is shared: how long an example takes says nothing."""
SELECTOR_LABELS = ("app", "name", "app.kubernetes.io/name")

POD_SPEC: Manifest = {
    "containers": [{"name": "c", "ports": [{"containerPort": 80}], "envFrom": [{"secretRef": {"name": "a", "optional": True}}]}]
}

scalars = st.one_of(st.text(max_size=5), st.integers(-(2**40), 2**40), st.booleans())
trees = st.recursive(
    scalars,
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(st.text(max_size=4), children, max_size=4)),
    max_leaves=12,
)
templates = st.dictionaries(st.sampled_from(["metadata", "spec", "x"]), trees, max_size=3)


def shuffled(tree: Any, chance: random.Random) -> Any:
    """The same document with its keys in another order, and with nulls and empty containers where nothing was."""
    if isinstance(tree, list):
        return [shuffled(entry, chance) for entry in tree]
    if not isinstance(tree, dict):
        return tree
    items = [(key, shuffled(value, chance)) for key, value in tree.items()]
    nothing: tuple[Any, ...] = (None, {}, [])
    items += [(f"added-{chance.random()}", empty) for empty in nothing if chance.random() < 0.5]
    chance.shuffle(items)
    return dict(items)


def copy_of(tracked: tuple[str, ...] = (), *, selector: Selector | None = None, target: str = "web") -> PrimaryCopy:
    return PrimaryCopy(target, selector or Selector("app", "web"), SELECTOR_LABELS, tracked, "some-id")


class TestRevision:
    """workloads:CHG-01, CHG-02"""

    @PROPERTY
    @given(templates, st.integers())
    def test_it_depends_on_meaning_not_on_form(self, template: Manifest, seed: int) -> None:
        assert digest_of(shuffled(template, random.Random(seed))) == digest_of(template)

    @PROPERTY
    @given(templates, st.sampled_from(["image", "value"]), st.text(min_size=1))
    def test_it_moves_with_any_value(self, template: Manifest, key: str, value: str) -> None:
        assert digest_of({**template, "changed": {key: value}}) != digest_of(template)

    @PROPERTY
    @given(templates)
    def test_it_survives_json_and_the_store(self, template: Manifest) -> None:
        manifest: Manifest = {"metadata": {"name": "web"}, "spec": {"template": {**template, "metadata": {}, "spec": POD_SPEC}}}
        kept = DeploymentWorkload.project(manifest)
        summary = summary_of(json.loads(json.dumps(kept))["spec"]["template"])
        assert summary == summary_of(json.loads(json.dumps(manifest))["spec"]["template"])
        assert summary.revision == revision_of(manifest["spec"]["template"])
        assert DeploymentWorkload.project(kept) == kept

    def test_its_form_is_fixed_for_ever(self) -> None:
        assert revision_of({"spec": {"containers": [{"name": "web", "image": "web:1"}]}}) == "v1:b60e34ee58722c6e"

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param({"labelSelector": {}}, {}, id="an empty label selector selects everything"),
            pytest.param({"annotations": {"a": ""}}, {"annotations": {}}, id="an annotation without a value"),
            pytest.param({"args": [""]}, {"args": []}, id="an empty argument"),
            pytest.param({"args": ["a", "b"]}, {"args": ["b", "a"]}, id="order of a list"),
            pytest.param({"a": "1"}, {"a": 1}, id="text and number"),
        ],
    )
    def test_different_meanings_differ(self, one: Manifest, other: Manifest) -> None:
        assert revision_of({"spec": one}) != revision_of({"spec": other})

    def test_restart_annotation_is_a_new_revision(self) -> None:
        template = make_deployment()["spec"]["template"]
        restarted = {**template, "metadata": {**template["metadata"], "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
        assert revision_of(restarted) != revision_of(template)


CONTAINER_SOURCES: list[tuple[dict[str, Any], str]] = [
    ({"env": [{"valueFrom": {"configMapKeyRef": {"name": "a", "key": "k"}}}]}, "configmap/a"),
    ({"env": [{"valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}]}, "secret/a"),
    ({"envFrom": [{"configMapRef": {"name": "a"}}]}, "configmap/a"),
    ({"envFrom": [{"secretRef": {"name": "a"}}]}, "secret/a"),
]

REFERENCE_PLACES = [
    pytest.param({"volumes": [{"configMap": {"name": "a"}}]}, "configmap/a", id="volume"),
    pytest.param({"volumes": [{"secret": {"secretName": "a"}}]}, "secret/a", id="secret volume"),
    pytest.param({"volumes": [{"projected": {"sources": [{"configMap": {"name": "a"}}]}}]}, "configmap/a", id="projected"),
    pytest.param({"volumes": [{"projected": {"sources": [{"secret": {"name": "a"}}]}}]}, "secret/a", id="projected secret"),
    *[
        pytest.param({place: [{"name": "c", **source}]}, key, id=f"{place} {key} {next(iter(source))}")
        for place in ("containers", "initContainers")
        for source, key in CONTAINER_SOURCES
    ],
]


class TestReferences:
    @pytest.mark.parametrize(("pod_spec", "key"), REFERENCE_PLACES)
    def test_every_place_is_scanned(self, pod_spec: Manifest, key: str) -> None:
        """workloads:CFG-01"""
        assert [reference.key for reference in references(pod_spec)] == [key]

    @pytest.mark.parametrize(("pod_spec", "key"), REFERENCE_PLACES)
    def test_every_place_is_rewritten_and_recognised(self, pod_spec: Manifest, key: str) -> None:
        """workloads:CFG-10, S7"""
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec}
        primary = as_primary(template, copy_of((key,)))
        assert [reference.key for reference in references(primary["spec"])] == [f"{key}-primary"]
        assert [reference.key for reference in references(pod_spec)] == [key], "the target is never modified"
        assert is_primary_of(primary, template, copy_of())

    @pytest.mark.parametrize(
        "pod_spec",
        [
            pytest.param({"volumes": [{"csi": {"nodePublishSecretRef": {"name": "a"}}}]}, id="CSI volume"),
            pytest.param({"ephemeralContainers": [{"name": "c", "envFrom": [{"secretRef": {"name": "a"}}]}]}, id="ephemeral container"),
            pytest.param({"imagePullSecrets": [{"name": "a"}]}, id="pull secret"),
            pytest.param({"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]}, id="plain value"),
            pytest.param({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": ""}}]}]}, id="no name"),
            pytest.param({"volumes": None, "containers": None}, id="nulls"),
        ],
    )
    def test_nothing_else_is_scanned(self, pod_spec: Manifest) -> None:
        """workloads:CFG-02"""
        assert references(pod_spec) == ()

    def test_the_last_mention_decides_whether_it_is_optional(self) -> None:
        """workloads:CFG-03"""
        pod_spec = {
            "volumes": [{"configMap": {"name": "a", "optional": False}}, {"secret": {"secretName": "a", "optional": True}}],
            "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "a", "optional": True}}]}],
            "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "a"}}]}],
        }
        assert references(pod_spec) == (ConfigReference("configmap", "a", True), ConfigReference("secret", "a", False))

    @PROPERTY
    @given(st.lists(st.sampled_from(["a", "b", "a-primary"]), max_size=6), st.sets(st.sampled_from(["a", "b", "a-primary"])))
    def test_a_primary_is_recognised_whatever_is_tracked(self, names: list[str], tracked: set[str]) -> None:
        """workloads:GEN-20"""
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"volumes": [{"configMap": {"name": name}} for name in names]}}
        keys = tuple(f"configmap/{name}" for name in tracked)
        assert is_primary_of(as_primary(template, copy_of(keys)), template, copy_of())


class TestAsPrimary:
    def test_labels_keep_everything_but_the_selected_one(self) -> None:
        """workloads:GEN-05, GEN-07, SEL-02"""
        labels = {"app": "podinfo", "tier": "front", "kustomize.toolkit.fluxcd.io/name": "x"}
        primary = as_primary({"metadata": {"labels": labels}, "spec": {}}, copy_of(selector=Selector("app", "podinfo"), target="service"))
        assert primary["metadata"]["labels"] == {"app": "podinfo-primary", "tier": "front"}

    def test_annotations_lose_what_is_not_the_pods(self) -> None:
        """workloads:GEN-05, GEN-08"""
        annotations = {"a": "1", "flagger-id": "old", "kustomize.toolkit.fluxcd.io/checksum": "x"}
        primary = as_primary({"metadata": {"annotations": annotations}}, copy_of())
        assert primary["metadata"]["annotations"] == {"a": "1", "flagger-id": "some-id"}

    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            pytest.param({"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "web-primary"}}, id="label with the target's name"),
            pytest.param({"matchLabels": {"app": "other"}}, {"matchLabels": {"app": "other"}}, id="foreign value"),
            pytest.param({"matchLabels": {"tier": "web"}}, {"matchLabels": {"tier": "web"}}, id="foreign key"),
            pytest.param({"matchLabels": {"app": "podinfo"}}, {"matchLabels": {"app": "podinfo-primary"}}, id="the selector's value"),
            pytest.param(
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "web", "podinfo"]}]},
                {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "web-primary", "podinfo"]}]},
                id="first value of an expression",
            ),
            pytest.param(
                {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]},
                {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]},
                id="expression with a foreign key",
            ),
            pytest.param(
                {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
                {"matchExpressions": [{"key": "app", "operator": "Exists", "values": []}]},
                id="expression without values",
            ),
        ],
    )
    @pytest.mark.parametrize("place", ["spread", "preferred", "required"])
    def test_spread_and_anti_affinity_follow_the_primary(self, place: str, selector: Manifest, expected: Manifest) -> None:
        """workloads:DEP-03, S3"""
        template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": in_place(place, selector)}
        copy = copy_of(selector=Selector("app", "podinfo"))
        primary = as_primary(template, copy)
        assert revision_of(primary["spec"]) == revision_of(in_place(place, expected))
        assert is_primary_of(primary, template, copy)

    def test_a_primary_whose_spread_flagger_left_alone_is_recognised(self) -> None:
        """workloads:DEP-03: Flagger compares with the Deployment's name only, so it rewrote nothing here."""
        template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": in_place("required", {"matchLabels": {"app": "podinfo"}})}
        copy = copy_of(selector=Selector("app", "podinfo"))
        written = as_primary(template, copy)
        written["spec"] = template["spec"]
        assert is_primary_of(written, template, copy)

    def test_other_affinity_is_left_alone(self) -> None:
        """workloads:DEP-03"""
        spec = {
            "affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"app": "web"}}}]}
            }
        }
        assert as_primary({"spec": spec}, copy_of())["spec"] == spec

    def test_another_image_is_another_template(self) -> None:
        one, other = (make_deployment(image=image)["spec"]["template"] for image in ("web:1", "web:2"))
        assert not is_primary_of(as_primary(one, copy_of()), other, copy_of())


def in_place(place: str, selector: Manifest) -> Manifest:
    """A pod spec with the label selector in one of the places of DEP-03."""
    if place == "spread":
        return {"topologySpreadConstraints": [{"labelSelector": selector}, {"topologyKey": "zone"}]}
    preferred = [{"weight": 1, "podAffinityTerm": {"labelSelector": selector}}] if place == "preferred" else []
    required = [{"labelSelector": selector}] if place == "required" else []
    return {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": preferred,
                "requiredDuringSchedulingIgnoredDuringExecution": required,
            }
        }
    }


def test_ports_of_mesh_proxies_do_not_count() -> None:
    """workloads:SEL-05"""
    pod_spec = {
        "containers": [
            {"name": "web", "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]},
            {"name": "istio-proxy", "ports": [{"containerPort": 15090}]},
            {"name": "envoy", "ports": [{"containerPort": 15001}]},
            {"name": "plain"},
        ],
        "initContainers": [{"name": "init", "ports": [{"containerPort": 1}]}],
    }
    assert [(port.container, port.index, port.name, port.port, port.protocol) for port in container_ports(pod_spec)] == [
        ("web", 0, "http", 8080, "TCP"),
        ("web", 1, "", 53, "UDP"),
    ]
