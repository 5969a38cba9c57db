"""Target kinds."""

import pytest

from flagger_py.api.references import TargetRef
from flagger_py.workloads.base import WorkloadError
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.registry import for_target


def test_a_deployment_of_any_version() -> None:
    """workloads:GEN-02"""
    assert for_target(TargetRef(api_version="apps/v1", kind="Deployment", name="web")) is DeploymentWorkload
    assert for_target(TargetRef(api_version="extensions/v1beta1", kind="Deployment", name="web")) is DeploymentWorkload


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Service", "is not supported yet; supported: DaemonSet, Deployment"),
        ("deployment", "is unknown"),
        ("", "is unknown"),
    ],
)
def test_other_kinds_are_named(kind: str, message: str) -> None:
    """workloads:GEN-02: an unknown kind is no Deployment."""
    with pytest.raises(WorkloadError, match=message):
        for_target(TargetRef(kind=kind, name="web"))
