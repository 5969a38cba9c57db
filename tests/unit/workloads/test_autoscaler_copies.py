"""What the primary's autoscaler is made of, and when a live one is left alone (workloads:§4)."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.views import CopyState, ReplicaLimits
from flagger_py.workloads.autoscaling.copies import Copying, project
from flagger_py.workloads.autoscaling.horizontal import HorizontalPodAutoscalerKind
from flagger_py.workloads.autoscaling.keda import ScaledObjectKind
from flagger_py.workloads.base import WorkloadError
from tests.unit.workloads.autoscalers import make_hpa, make_scaled_object, scaled_canary

TOOLKIT = "kustomize.toolkit.fluxcd.io/checksum"
HPA = HorizontalPodAutoscalerKind()
KEDA = ScaledObjectKind()


def hpa_copying(source: Manifest | None = None, *, prefixes: tuple[str, ...] = (), **ref: Any) -> Copying:
    return Copying(HPA, scaled_canary(**ref), source or make_hpa(), prefixes)


def keda_copying(source: Manifest | None = None, canary: Canary | None = None) -> Copying:
    return Copying(KEDA, canary or scaled_canary("ScaledObject"), source or make_scaled_object())


def query_of(manifest: Manifest) -> str:
    query: str = manifest["spec"]["triggers"][0]["metadata"]["query"]
    return query


class TestHorizontal:
    def test_the_primarys_scales_the_primary_with_the_same_metrics_and_behaviour(self) -> None:
        """workloads:HPA-01, GEN-01"""
        source = make_hpa(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})
        copy = hpa_copying(source).new()
        assert copy["metadata"]["name"] == "web-primary"
        assert copy["spec"] == {
            **source["spec"],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-primary"},
        }

    def test_it_has_the_labels_but_for_those_of_flux_and_no_annotation(self) -> None:
        """workloads:HPA-02, GEN-04"""
        source = make_hpa(metadata={"labels": {"team": "shop", TOOLKIT: "x"}, "annotations": {"note": "mine"}})
        metadata = hpa_copying(source).new()["metadata"]
        assert metadata["labels"] == {"team": "shop"}
        assert "annotations" not in metadata
        assert [owner["kind"] for owner in metadata["ownerReferences"]] == ["Canary"]

    def test_annotations_follow_the_prefixes_of_the_command_line(self) -> None:
        """workloads:HPA-03"""
        source = make_hpa(metadata={"annotations": {"example.com/note": "mine", "other": "x"}})
        assert hpa_copying(source, prefixes=("example.com/",)).new()["metadata"]["annotations"] == {"example.com/note": "mine"}

    @pytest.mark.parametrize(
        ("own", "limits"),
        [
            pytest.param(None, ReplicaLimits(2, 6), id="none of its own"),
            pytest.param({"minReplicas": 3}, ReplicaLimits(3, 6), id="least"),
            pytest.param({"maxReplicas": 15}, ReplicaLimits(2, 15), id="most"),
            pytest.param({"minReplicas": 2, "maxReplicas": 15}, ReplicaLimits(2, 15), id="both"),
        ],
    )
    def test_the_canarys_own_limits_win(self, own: dict[str, int] | None, limits: ReplicaLimits) -> None:
        """workloads:HPA-01, scenario S9"""
        copying = hpa_copying(primaryScalerReplicas=own) if own else hpa_copying()
        assert HPA.limits(copying.new()) == limits

    def test_limits_that_exclude_each_other_are_refused_with_both_values(self) -> None:
        with pytest.raises(WorkloadError, match=r"minReplicas 9 and maxReplicas 6.*HorizontalPodAutoscaler shop/web"):
            hpa_copying(primaryScalerReplicas={"minReplicas": 9}).new()

    def test_absent_least_replicas_mean_one_and_stay_absent(self) -> None:
        """workloads:HPA-03: absent equals 1."""
        source = make_hpa()
        del source["spec"]["minReplicas"]
        copy = hpa_copying(source).new()
        assert "minReplicas" not in copy["spec"]
        assert hpa_copying(source).state({**copy, "spec": {**copy["spec"], "minReplicas": 1}}) is CopyState.IN_STEP


class TestKeda:
    def test_everything_is_copied_that_this_version_knows_nothing_of(self) -> None:
        """workloads:KEDA-01, KEDA-06"""
        source = make_scaled_object(initialCooldownPeriod=7, advanced={"scalingModifiers": {"formula": "load"}}, fallback={"behavior": "x"})
        spec = keda_copying(source).new()["spec"]
        assert spec["initialCooldownPeriod"] == 7
        assert spec["advanced"] == {"scalingModifiers": {"formula": "load"}, "horizontalPodAutoscalerConfig": {}}
        assert spec["fallback"] == {"behavior": "x"}
        assert spec["scaleTargetRef"] == {"name": "web-primary"}

    @pytest.mark.parametrize(
        ("advanced", "config"),
        [
            pytest.param(None, {}, id="none"),
            pytest.param({"horizontalPodAutoscalerConfig": {"name": "mine"}}, {"name": "mine-primary"}, id="named"),
            pytest.param({"horizontalPodAutoscalerConfig": {"behavior": {}}}, {"behavior": {}}, id="default name"),
        ],
    )
    def test_the_hpa_that_keda_makes_has_a_name_of_its_own(self, advanced: dict[str, Any] | None, config: dict[str, Any]) -> None:
        """workloads:KEDA-02"""
        source = make_scaled_object(**({"advanced": advanced} if advanced else {}))
        assert keda_copying(source).new()["spec"]["advanced"]["horizontalPodAutoscalerConfig"] == config

    def test_annotations_are_copied_but_never_a_pause(self) -> None:
        """workloads:KEDA-03: the primary of a source that is paused at zero must not stay there."""
        annotations = {
            "scaledobject.keda.sh/transfer-hpa-ownership": "true",
            "autoscaling.keda.sh/paused-replicas": "0",
            "autoscaling.keda.sh/paused": "true",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            TOOLKIT: "x",
        }
        labels = {"team": "shop", "scaledobject.keda.sh/name": "web"}
        metadata = keda_copying(make_scaled_object(metadata={"annotations": annotations, "labels": labels})).new()["metadata"]
        assert metadata["annotations"] == {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
        assert metadata["labels"] == {"team": "shop"}

    @pytest.mark.parametrize(
        ("query", "rewritten"),
        [
            pytest.param('{app="web"}', '{app="web-primary"}', id="target"),
            pytest.param('{app="web-canary"}', '{app="web-primary"}', id="canary"),
            pytest.param('{a="web",b="web-canary"}', '{a="web-primary",b="web-primary"}', id="both"),
            pytest.param('{app="web-primary"}', '{app="web-primary"}', id="primary stays"),
            pytest.param('web_requests{app="web"}', 'web_requests{app="web-primary"}', id="metric name stays"),
            pytest.param('{app="web-api"}', '{app="web-api"}', id="another workload stays"),
            pytest.param('{app="my-web"}', '{app="my-web"}', id="end of another name stays"),
            pytest.param('{pod=~"web-[a-z0-9]+-.*"}', '{pod=~"web-primary-[a-z0-9]+-.*"}', id="pattern of pod names"),
            pytest.param('{pod=~"web-canary-.*"}', '{pod=~"web-primary-.*"}', id="pattern of the canary's names"),
        ],
    )
    def test_the_targets_name_becomes_the_primarys_in_queries(self, query: str, rewritten: str) -> None:
        """workloads:KEDA-04"""
        assert query_of(keda_copying(make_scaled_object(query=query)).new()) == rewritten

    def test_a_query_for_a_named_trigger_replaces_it_and_nothing_else_is_rewritten(self) -> None:
        """workloads:KEDA-04"""
        canary = scaled_canary("ScaledObject", primaryScalerQueries={"load": "sum(mine)"})
        assert query_of(keda_copying(canary=canary).new()) == "sum(mine)"
        other = scaled_canary("ScaledObject", primaryScalerQueries={})
        assert 'app="web"' in query_of(keda_copying(canary=other).new())

    def test_a_query_for_no_trigger_is_remarked_on(self) -> None:
        """api:GAP-52"""
        canary = scaled_canary("ScaledObject", primaryScalerQueries={"lod": "sum(mine)"})
        assert KEDA.remark(canary, make_scaled_object()) == (
            "the Canary's primaryScalerQueries name ['lod'], but spec.triggers[].name has ['load']"
        )

    def test_an_autoscaler_of_something_else_is_remarked_on(self) -> None:
        """workloads:AS-02"""
        source = make_scaled_object(scaleTargetRef={"name": "other"})
        assert "Deployment other, not the Canary's target Deployment web" in KEDA.remark(scaled_canary("ScaledObject"), source)
        assert KEDA.remark(scaled_canary("ScaledObject"), make_scaled_object()) == ""

    def test_zero_least_replicas_may_be_asked_of_keda(self) -> None:
        """workloads:AS-01"""
        canary = scaled_canary("ScaledObject", primaryScalerReplicas={"minReplicas": 0})
        assert KEDA.limits(keda_copying(canary=canary).new()) == ReplicaLimits(0, 3)

    @pytest.mark.parametrize(
        ("annotations", "paused"),
        [
            pytest.param({}, False, id="none"),
            pytest.param({"autoscaling.keda.sh/paused-replicas": "0"}, True, id="at zero"),
            pytest.param({"autoscaling.keda.sh/paused-replicas": "3"}, False, id="its user's number"),
        ],
    )
    def test_only_a_pause_at_zero_is_ours(self, annotations: dict[str, str], *, paused: bool) -> None:
        """workloads:KEDA-06"""
        assert KEDA.is_paused(make_scaled_object(metadata={"annotations": annotations})) is paused


def edited(change: Callable[[Manifest], object], copying: Copying) -> Manifest:
    live = deepcopy(copying.new())
    change(live)
    return live


class TestState:
    @pytest.mark.parametrize(
        ("change", "state"),
        [
            pytest.param(lambda live: None, CopyState.IN_STEP, id="as it was made"),
            pytest.param(lambda live: live["spec"].update(minReplicas=5), CopyState.IN_STEP, id="least replicas are judged apart"),
            pytest.param(lambda live: live["spec"].update(maxReplicas=5), CopyState.DIFFERS, id="most replicas"),
            pytest.param(lambda live: live["spec"].update(metrics=[]), CopyState.DIFFERS, id="metrics"),
            pytest.param(lambda live: live["spec"].update(behavior={}), CopyState.DIFFERS, id="behaviour"),
            pytest.param(lambda live: live["metadata"].pop("labels"), CopyState.DATED, id="labels wait for the promotion"),
            pytest.param(lambda live: live["metadata"]["labels"].update(mine="x"), CopyState.IN_STEP, id="labels of others"),
        ],
    )
    def test_of_a_live_copy(self, change: Callable[[Manifest], object], state: CopyState) -> None:
        copying = hpa_copying(make_hpa(metadata={"labels": {"team": "shop"}}))
        assert copying.state(edited(change, copying)) is state

    def test_missing(self) -> None:
        assert hpa_copying().state(None) is CopyState.MISSING

    def test_a_paused_copy_is_to_be_healed(self) -> None:
        """workloads:KEDA-03: what Flagger has left paused."""
        copying = keda_copying()
        live = edited(lambda copy: copy["metadata"].update(annotations={"autoscaling.keda.sh/paused-replicas": "0"}), copying)
        assert copying.state(live) is CopyState.PAUSED
        assert copying.state(copying.renewed(live)) is CopyState.IN_STEP
        assert copying.state(copying.raised(live)) is CopyState.IN_STEP

    def test_flaggers_rewriting_waits_for_the_promotion(self) -> None:
        """workloads:KEDA-04, KEDA-05: what Flagger wrote is no reason to write while nothing is rolled out."""
        source = make_scaled_object(query="web_requests", metadata={"annotations": {"mine": "x"}})
        copying = keda_copying(source)
        live = {**copying.new(), "spec": KEDA.flaggers_spec(copying.canary, source)}
        del live["metadata"]["annotations"]
        assert query_of(live) == "web-primary_requests"
        assert copying.state(live) is CopyState.DATED
        assert query_of(copying.renewed(live)) == "web_requests"
        assert copying.renewed(live)["metadata"]["annotations"] == {"mine": "x"}


class TestLimits:
    def test_least_replicas_are_held_up_but_never_above_the_most(self) -> None:
        """workloads:AS-05"""
        copying = hpa_copying()
        assert HPA.limits(copying.renewed(copying.new(), 4)) == ReplicaLimits(4, 6)
        assert HPA.limits(copying.renewed(copying.new(), 40)) == ReplicaLimits(6, 6)

    def test_in_the_middle_of_a_rollout_limits_only_rise(self) -> None:
        """workloads:AS-05: an edit of the source must not cut the primary."""
        live = {**hpa_copying().new(), "metadata": {"name": "web-primary"}}
        lower = hpa_copying(make_hpa(minReplicas=1, maxReplicas=3, metrics=[]))
        assert lower.raised(live)["spec"] == live["spec"]
        higher = hpa_copying(make_hpa(minReplicas=3, maxReplicas=9, metrics=[]))
        assert higher.raised(live)["spec"] == {**live["spec"], "minReplicas": 3, "maxReplicas": 9}
        assert HPA.limits(lower.raised(live, 5)) == ReplicaLimits(5, 6)


def test_the_store_keeps_no_measurements() -> None:
    """Else each measurement of each autoscaler would wake its Canary."""
    live = {**make_hpa(metadata={"creationTimestamp": "2026-01-01T00:00:00Z"}), "status": {"currentReplicas": 3}}
    assert project(live) == make_hpa()
    assert project(project(live)) == project(live)
