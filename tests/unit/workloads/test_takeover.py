"""Objects that Flagger 1.44 wrote, taken over: equal to ours, and left alone."""

import pytest

from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.settings import WorkloadSettings
from tests.unit.workloads.recordings import Recording

SETTLED = ("initialized", "promoting", "finalising", "succeeded")


@pytest.mark.parametrize(("phase", "matches"), [*((phase, True) for phase in SETTLED), ("progressing", False), ("failed", False)])
async def test_primary_matches_target_where_it_carries_its_revision(phase: str, matches: bool) -> None:
    """workloads:GEN-20"""
    recording = Recording("istio-weighted", phase)
    workload = DeploymentWorkload(recording.objects, WorkloadSettings())
    assert await workload.primary_matches_target(recording.canary) is matches


@pytest.mark.parametrize("phase", ["initialized", "progressing", "promoting", "finalising", "succeeded", "failing", "failed"])
async def test_taking_over_writes_to_no_service(phase: str) -> None:
    """routers:CTR-22, K8S-08, K8S-13"""
    recording = Recording("istio-weighted", phase)
    workload = DeploymentWorkload(recording.objects, WorkloadSettings())
    await workload.ensure_services(recording.canary)
    await workload.ensure_apex(recording.canary)
    assert recording.objects.writes == []
    view = await workload.services(recording.canary)
    assert view.canary
    assert view.primary
    assert view.apex


@pytest.mark.parametrize("phase", ["initialized", "progressing", "succeeded", "failed"])
async def test_config_checksums_equal_the_recorded_ones(phase: str) -> None:
    """workloads:CFG-07"""
    recording = Recording("istio-weighted", phase)
    workload = DeploymentWorkload(recording.objects, WorkloadSettings())
    tracked = await workload.configs(recording.canary, {}, {})
    assert tracked.checksums == recording.canary.status.tracked_configs
