"""Target kinds."""

import pytest

from flagger_py.api.references import TargetRef
from flagger_py.workloads.base import WorkloadError
from flagger_py.workloads.core_service import CoreServiceWorkload
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.knative import KnativeWorkload
from flagger_py.workloads.registry import for_target


def test_a_deployment_of_any_version() -> None:
    """workloads:GEN-02"""
    assert for_target(TargetRef(api_version="apps/v1", kind="Deployment", name="web")) is DeploymentWorkload
    assert for_target(TargetRef(api_version="extensions/v1beta1", kind="Deployment", name="web")) is DeploymentWorkload


def test_a_service_of_any_version_but_knative() -> None:
    """workloads:GEN-02"""
    assert for_target(TargetRef(api_version="v1", kind="Service", name="web")) is CoreServiceWorkload
    assert for_target(TargetRef(api_version="serving.knative.dev/v1beta1", kind="Service", name="web")) is CoreServiceWorkload


def test_a_service_of_knatives_version_is_a_knative_service() -> None:
    """workloads:GEN-02"""
    assert for_target(TargetRef(api_version="serving.knative.dev/v1", kind="Service", name="web")) is KnativeWorkload


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("deployment", "is unknown"),
        ("", "is unknown"),
    ],
)
def test_other_kinds_are_named(kind: str, message: str) -> None:
    """workloads:GEN-02: an unknown kind is no Deployment."""
    with pytest.raises(WorkloadError, match=message):
        for_target(TargetRef(kind=kind, name="web"))
