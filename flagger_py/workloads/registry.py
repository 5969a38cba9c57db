"""Which target kinds there are."""

from collections.abc import Mapping

from flagger_py.api.references import TARGET_KINDS, TargetRef
from flagger_py.workloads.base import Workload, WorkloadError
from flagger_py.workloads.daemonset import DaemonSetWorkload
from flagger_py.workloads.deployment import DeploymentWorkload

WORKLOADS: Mapping[str, type[Workload]] = {"DaemonSet": DaemonSetWorkload, "Deployment": DeploymentWorkload}


def for_target(target: TargetRef) -> type[Workload]:
    """The implementation of the target's kind; `apiVersion` does not count (workloads:GEN-02). Raises `WorkloadError` for all others."""
    if workload := WORKLOADS.get(target.kind):
        return workload
    supported = ", ".join(sorted(WORKLOADS))
    if target.kind in TARGET_KINDS:
        raise WorkloadError(f"spec.targetRef.kind {target.kind!r} is not supported yet; supported: {supported}")
    raise WorkloadError(f"spec.targetRef.kind {target.kind!r} is unknown; supported: {supported}")
