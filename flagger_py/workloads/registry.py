"""Which target kinds there are."""

from collections.abc import Mapping

from flagger_py.api.references import TargetRef
from flagger_py.workloads.base import Workload, WorkloadError
from flagger_py.workloads.core_service import CoreServiceWorkload
from flagger_py.workloads.daemonset import DaemonSetWorkload
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.knative import KnativeWorkload

WORKLOADS: Mapping[str, type[Workload]] = {
    "DaemonSet": DaemonSetWorkload,
    "Deployment": DeploymentWorkload,
    "Service": CoreServiceWorkload,
}


def for_target(target: TargetRef) -> type[Workload]:
    """The implementation of the target's kind; `apiVersion` tells a Knative Service from a core one, and does not count otherwise
    (workloads:GEN-02).

    Raises `WorkloadError` for all others.
    """
    if target.is_knative:
        return KnativeWorkload
    if workload := WORKLOADS.get(target.kind):
        return workload
    supported = ", ".join(sorted(WORKLOADS))
    raise WorkloadError(f"spec.targetRef.kind {target.kind!r} is unknown; supported: {supported}")
