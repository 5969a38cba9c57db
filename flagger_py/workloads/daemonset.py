"""DaemonSet targets (workloads:§1.2)."""

from typing import Any, ClassVar, Final

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import DAEMON_SET, Manifest
from flagger_py.rollout.readiness import Readiness
from flagger_py.workloads.base import WorkloadError
from flagger_py.workloads.kinds import PodKind
from flagger_py.workloads.marks import at_zero_patch
from flagger_py.workloads.readiness import daemon_set_readiness
from flagger_py.workloads.template import summary_of
from flagger_py.workloads.templated import TemplatedWorkload

ROLLING_UPDATE: Final = "RollingUpdate"


class DaemonSetKind(PodKind):
    """DaemonSets: scaled to zero by a node selector that fits no node (workloads:DS-01)."""

    resource = DAEMON_SET
    copied_fields = ("minReadySeconds", "revisionHistoryLimit", "updateStrategy")
    kept_spec = frozenset({"selector", "updateStrategy"})
    controller_annotations = "deprecated.daemonset.template.generation"

    def require_usable(self, target: Manifest) -> None:
        """Its primary gets the same strategy, and would never replace the pods of the version before (workloads:DS-02)."""
        strategy = (target["spec"].get("updateStrategy") or {}).get("type") or ROLLING_UPDATE
        if strategy != ROLLING_UPDATE:
            name = f"DaemonSet {target['metadata'].get('namespace', '')}/{target['metadata']['name']}"
            wanted = f"which leaves old pods running; it must be {ROLLING_UPDATE!r}"
            raise WorkloadError(f"{name}: spec.updateStrategy.type is {strategy!r}, {wanted}")

    def created_fields(self, target: Manifest) -> dict[str, Any]:
        del target
        return {}

    def promoted_fields(self, canary: Canary, target: Manifest) -> dict[str, Any]:
        del canary, target
        return {}

    def replicas(self, manifest: Manifest) -> int:
        """At least 1 unless at zero: how many nodes it fits shows only once its controller has looked."""
        return 0 if _is_at_zero(manifest) else max(1, _count(manifest, "desiredNumberScheduled"))

    def available(self, manifest: Manifest) -> int:
        return _count(manifest, "numberAvailable")

    def readiness(self, manifest: Manifest, threshold: int) -> Readiness:
        return daemon_set_readiness(manifest, threshold)

    def has_old_pods(self, manifest: Manifest) -> bool:
        status = manifest.get("status") or {}
        is_observed = status.get("observedGeneration", 0) >= manifest["metadata"].get("generation", 0)
        return not is_observed or _count(manifest, "currentNumberScheduled") > _count(manifest, "updatedNumberScheduled")

    def zero_patch(self, target: Manifest) -> dict[str, Any]:
        return {} if _is_at_zero(target) else at_zero_patch(is_wanted=True)

    def raised_patch(self, workload: Manifest, replicas: int) -> dict[str, Any]:
        """How many pods there are follows from the nodes."""
        del replicas
        return at_zero_patch(is_wanted=False) if _is_at_zero(workload) else {}


class DaemonSetWorkload(TemplatedWorkload):
    """A DaemonSet and its primary."""

    kind: ClassVar[PodKind] = DaemonSetKind()


def _is_at_zero(manifest: Manifest) -> bool:
    return summary_of(manifest["spec"]["template"]).is_at_zero


def _count(manifest: Manifest, field: str) -> int:
    return int((manifest.get("status") or {}).get(field) or 0)
