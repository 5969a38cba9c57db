"""What is kept of a Deployment in the store, and what the core is told of it. Pure."""

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import DEPLOYMENT, Manifest
from flagger_py.rollout.views import PrimaryView, TargetView
from flagger_py.workloads.readiness import available_replicas, deployment_readiness, is_deadline_exceeded, wanted_replicas
from flagger_py.workloads.template import TemplateSummary, reduced, summary_of

DEFAULT_READY_THRESHOLD = 100
KEPT_METADATA = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "generation",
        "resourceVersion",
        "labels",
        "ownerReferences",
        "creationTimestamp",
        "deletionTimestamp",
    }
)
KEPT_SPEC = frozenset({"replicas", "selector"})
KEPT_STATUS = frozenset({"observedGeneration", "replicas", "updatedReplicas", "availableReplicas"})
"""What readiness looks at. A change of anything else wakes nobody."""


def project_deployment(manifest: Manifest) -> Manifest:
    """Metadata, replicas, selector, what readiness looks at, and of the pod template only its summary.

    A second projection changes nothing.
    """
    spec = manifest.get("spec") or {}
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": {key: value for key, value in manifest["metadata"].items() if key in KEPT_METADATA},
        "spec": {**{key: value for key, value in spec.items() if key in KEPT_SPEC}, "template": reduced(spec.get("template") or {})},
        "status": _project_status(manifest.get("status") or {}),
    }


def _project_status(status: Manifest) -> Manifest:
    conditions = [
        {"type": found["type"], "reason": found.get("reason")} for found in status.get("conditions") or () if is_deadline_exceeded(found)
    ]
    return {**{key: value for key, value in status.items() if key in KEPT_STATUS}, **({"conditions": conditions} if conditions else {})}


def template_summary(manifest: Manifest) -> TemplateSummary:
    """The summary of a Deployment's pod template, from the store or whole."""
    return summary_of(manifest["spec"]["template"])


def target_view(canary: Canary, manifest: Manifest) -> TargetView:
    """The user's workload, judged by `canaryReadyThreshold` (workloads:RDY-02)."""
    threshold = canary.spec.analysis.canary_ready_threshold if canary.spec.analysis else None
    return TargetView(
        uid=manifest["metadata"].get("uid", ""),
        generation=manifest["metadata"].get("generation", 0),
        revision=template_summary(manifest).revision,
        replicas=wanted_replicas(manifest),
        available=available_replicas(manifest),
        readiness=deployment_readiness(manifest, DEFAULT_READY_THRESHOLD if threshold is None else threshold),
    )


def primary_view(canary: Canary, manifest: Manifest) -> PrimaryView:
    """The generated copy, judged by `primaryReadyThreshold` (workloads:RDY-02)."""
    threshold = canary.spec.analysis.primary_ready_threshold if canary.spec.analysis else None
    return PrimaryView(
        replicas=wanted_replicas(manifest),
        available=available_replicas(manifest),
        readiness=deployment_readiness(manifest, DEFAULT_READY_THRESHOLD if threshold is None else threshold),
        promotion_id=template_summary(manifest).promotion_id,
    )


def has_old_pods(manifest: Manifest) -> bool:
    """Whether pods of an older template may still run."""
    status = manifest.get("status") or {}
    is_observed = status.get("observedGeneration", 0) >= manifest["metadata"].get("generation", 0)
    return not is_observed or (status.get("replicas") or 0) > (status.get("updatedReplicas") or 0)
