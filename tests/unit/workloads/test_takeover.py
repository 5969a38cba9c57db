"""Objects that Flagger 1.44 wrote: ours are equal but for named deviations, and a take-over leaves them alone."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from flagger_py.objects.resource import Manifest
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.views import ServicesView
from flagger_py.workloads.autoscaling.scalers import Scalers, reference
from flagger_py.workloads.base import Workload
from flagger_py.workloads.registry import for_target
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import revision_of
from tests.unit.workloads.recordings import FOLDER, Recording

PROMOTED = ("initialized", "promoting", "finalising", "succeeded")
IN_BETWEEN = ("waiting", "progressing", "failed")
AT_ZERO = ("initialized", "waiting", "succeeded", "failed")
SCENARIOS = ("istio-daemonset", "istio-gated", "istio-hpa", "istio-tcp", "istio-weighted", "kubernetes-bluegreen")
"""Those whose recordings are here whole; the other scenarios differ in their routing objects only."""
RECORDED = [
    pytest.param(scenario, phase, id=f"{scenario} {phase}")
    for scenario in SCENARIOS
    for phase in (*PROMOTED, *IN_BETWEEN)
    if (FOLDER / scenario / f"{phase}.yaml").exists()
]
CONTENT_ONLY = ("kind", "data", "type", "spec")
SERVER_FIELDS = ("clusterIP", "clusterIPs", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy", "sessionAffinity")
SERVER_ANNOTATION = "deprecated.daemonset.template.generation"
DEVIATIONS: tuple[tuple[str, Callable[[Manifest], object]], ...] = (
    ("workloads:GEN-08 flagger-id is derived, not random", lambda manifest: annotations_in(manifest).pop("flagger-id", None)),
)
"""Where our object differs from Flagger's on purpose."""


def workload_on(recording: Recording) -> Workload:
    return for_target(recording.canary.spec.target_ref)(recording.objects, WorkloadSettings())


def target_in(recording: Recording) -> Manifest:
    return recording.find(recording.canary.spec.target_ref.kind, "web")


def annotations_in(manifest: Manifest) -> dict[str, Any]:
    annotations: dict[str, Any] = manifest.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    return annotations


def comparable(manifest: Manifest) -> Manifest:
    """What a controller writes: no server-side fields, and without the named deviations."""
    content = deepcopy({key: manifest[key] for key in CONTENT_ONLY if key in manifest})
    for field in SERVER_FIELDS:
        content.get("spec", {}).pop(field, None)
    for _, remove in DEVIATIONS:
        remove(content)
    metadata = manifest["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != SERVER_ANNOTATION}
    owners = [{key: value for key, value in owner.items() if key != "uid"} for owner in metadata.get("ownerReferences", [])]
    return {**content, "labels": metadata.get("labels") or {}, "annotations": annotations, "owners": owners}


def generated(recording: Recording) -> dict[tuple[str, str], Manifest]:
    """Everything that belongs to the Canary, comparable, by kind and name; our snapshots are additional."""
    return {
        (ref.resource.kind, ref.name): comparable(manifest)
        for ref, manifest in recording.objects.stored.items()
        if manifest["metadata"].get("ownerReferences") and ref.resource.kind != "ControllerRevision"
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_initialisation_writes_what_flagger_wrote(scenario: str) -> None:
    """workloads:DEP-01, DS-01, DS-03, CFG-09, HPA-01, HPA-02, routers:K8S-01..05"""
    recording, expected = Recording(scenario, "initializing"), Recording(scenario, "initialized")
    workload, canary = workload_on(recording), recording.canary
    target = target_in(recording)
    await workload.ensure_services(canary)
    tracked = await workload.configs(canary, {}, {})
    await workload.create_primary(canary, revision_of(target["spec"]["template"]), tracked.checksums)
    if reference(canary):
        await Scalers(recording.objects, WorkloadSettings()).keep_copy(canary, 0, whole=True)
    await workload.ensure_apex(canary)
    await workload.scale_to_zero(canary)
    assert generated(recording) == generated(expected)
    assert tracked.checksums == expected.canary.status.tracked_configs
    assert target_in(recording)["spec"] == target_in(expected)["spec"]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_promotion_writes_what_flagger_wrote(scenario: str) -> None:
    """workloads:DEP-01, DEP-06, DS-03, DS-04, CFG-08"""
    recording, expected = Recording(scenario, "progressing"), Recording(scenario, "promoting")
    workload, canary = workload_on(recording), recording.canary
    target = await workload.target(canary)
    tracked = await workload.configs(canary, {}, {})
    assert target is not None
    await workload.promote(canary, target.revision, tracked.checksums)
    assert generated(recording) == generated(expected)
    assert await workload.primary_matches_target(canary)


@pytest.mark.parametrize(("scenario", "phase"), RECORDED)
async def test_the_primary_is_recognised_as_what_it_carries(scenario: str, phase: str) -> None:
    """workloads:GEN-20"""
    recording = Recording(scenario, phase)
    assert await workload_on(recording).primary_matches_target(recording.canary) is (phase in PROMOTED)


@pytest.mark.parametrize(("scenario", "phase"), RECORDED)
async def test_taking_over_writes_nothing(scenario: str, phase: str) -> None:
    """routers:CTR-22, design §6: nothing is restarted, and the Services stay as they are."""
    recording = Recording(scenario, phase)
    workload, canary = workload_on(recording), recording.canary
    await workload.ensure_services(canary)
    await workload.ensure_apex(canary)
    assert await workload.services(canary) == ServicesView(canary=True, primary=True, apex=True)
    if phase in AT_ZERO:
        await workload.scale_to_zero(canary)
    else:
        await workload.scale_up(canary)
    await workload.raise_primary(canary, 1)
    await workload.prune(canary)
    assert await workload.restore_primary(canary)
    assert recording.objects.writes == []


@pytest.mark.parametrize(("scenario", "phase"), RECORDED)
async def test_adoption_writes_one_snapshot(scenario: str, phase: str) -> None:
    """design §5"""
    recording = Recording(scenario, phase)
    await workload_on(recording).adopt(recording.canary)
    assert [write.rsplit(" ", 1)[0] for write in recording.objects.writes] == ["create ControllerRevision"]


@pytest.mark.parametrize(("scenario", "phase"), RECORDED)
async def test_checksums_are_flaggers(scenario: str, phase: str) -> None:
    """workloads:CFG-07, CFG-12: in Waiting the status has those of the last sync, before the gate."""
    recording = Recording(scenario, phase)
    tracked = await workload_on(recording).configs(recording.canary, {}, {})
    assert (tracked.checksums == recording.canary.status.tracked_configs) is (phase != "waiting")


@pytest.mark.parametrize(("scenario", "phase"), RECORDED)
async def test_recorded_workloads_are_ready(scenario: str, phase: str) -> None:
    """workloads:RDY-03, RDY-08"""
    recording = Recording(scenario, phase)
    workload = workload_on(recording)
    target, primary = await workload.target(recording.canary), await workload.primary(recording.canary)
    assert target is not None
    assert primary is not None
    assert (target.readiness, primary.readiness) == (Ready(), Ready())
    assert (target.replicas == 0) is (phase in AT_ZERO)
