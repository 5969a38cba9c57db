"""Deployment targets (workloads:§1.1)."""

from typing import Any, ClassVar

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import DEPLOYMENT, Manifest
from flagger_py.rollout.readiness import Readiness
from flagger_py.workloads.base import PromotionRefused
from flagger_py.workloads.kinds import PodKind
from flagger_py.workloads.readiness import available_replicas, deployment_readiness, wanted_replicas
from flagger_py.workloads.templated import TemplatedWorkload


class DeploymentKind(PodKind):
    """Deployments: scaled by their replicas."""

    resource = DEPLOYMENT
    copied_fields = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")
    kept_spec = frozenset({"replicas", "selector"})
    controller_annotations = "deployment.kubernetes.io/"

    def created_fields(self, target: Manifest) -> dict[str, Any]:
        return {"replicas": wanted_replicas(target) or 1}

    def promoted_fields(self, canary: Canary, target: Manifest) -> dict[str, Any]:
        """The target's replicas, where no autoscaler sets them (workloads:AS-05). Refused for 0 (DEP-09)."""
        if canary.spec.autoscaler_ref is not None:
            return {}
        replicas = wanted_replicas(target)
        if replicas == 0:
            name = f"Deployment {canary.namespace}/{canary.spec.target_ref.name}"
            raise PromotionRefused(f"{name}: spec.replicas is 0, and the primary would get none; it must be at least 1 to be promoted")
        return {"replicas": replicas}

    def replicas(self, manifest: Manifest) -> int:
        return wanted_replicas(manifest)

    def available(self, manifest: Manifest) -> int:
        return available_replicas(manifest)

    def readiness(self, manifest: Manifest, threshold: int) -> Readiness:
        return deployment_readiness(manifest, threshold)

    def has_old_pods(self, manifest: Manifest) -> bool:
        status = manifest.get("status") or {}
        is_observed = status.get("observedGeneration", 0) >= manifest["metadata"].get("generation", 0)
        return not is_observed or (status.get("replicas") or 0) > (status.get("updatedReplicas") or 0)

    def zero_patch(self, target: Manifest) -> dict[str, Any]:
        return {"replicas": 0} if wanted_replicas(target) else {}

    def raised_patch(self, workload: Manifest, replicas: int) -> dict[str, Any]:
        return {"replicas": replicas} if wanted_replicas(workload) < replicas else {}


class DeploymentWorkload(TemplatedWorkload):
    """A Deployment and its primary."""

    kind: ClassVar[PodKind] = DeploymentKind()
