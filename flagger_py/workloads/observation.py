"""What is kept of a workload with pods in the store, and what the core is told of it. Pure."""

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.views import PrimaryView, TargetView
from flagger_py.workloads.kinds import PodKind
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


def project(kind: PodKind, manifest: Manifest) -> Manifest:
    """Metadata, status, some fields of the spec, and of the pod template only its summary. A second projection changes nothing."""
    spec = manifest.get("spec") or {}
    return {
        "apiVersion": kind.resource.api_version,
        "kind": kind.resource.kind,
        "metadata": {key: value for key, value in manifest["metadata"].items() if key in KEPT_METADATA},
        "spec": {**{key: value for key, value in spec.items() if key in kind.kept_spec}, "template": reduced(spec.get("template") or {})},
        "status": manifest.get("status") or {},
    }


def template_summary(manifest: Manifest) -> TemplateSummary:
    """The summary of a workload's pod template, from the store or whole."""
    return summary_of(manifest["spec"]["template"])


def target_view(kind: PodKind, canary: Canary, manifest: Manifest) -> TargetView:
    """The user's workload, judged by `canaryReadyThreshold` (workloads:RDY-02)."""
    threshold = canary.spec.analysis.canary_ready_threshold if canary.spec.analysis else None
    summary = template_summary(manifest)
    return TargetView(
        uid=manifest["metadata"].get("uid", ""),
        generation=manifest["metadata"].get("generation", 0),
        revision=summary.revision,
        replicas=kind.replicas(manifest),
        available=kind.available(manifest),
        readiness=kind.readiness(manifest, DEFAULT_READY_THRESHOLD if threshold is None else threshold),
        restarted_for=summary.restarted_for,
    )


def primary_view(kind: PodKind, canary: Canary, manifest: Manifest) -> PrimaryView:
    """The generated copy, judged by `primaryReadyThreshold` (workloads:RDY-02)."""
    threshold = canary.spec.analysis.primary_ready_threshold if canary.spec.analysis else None
    return PrimaryView(
        replicas=kind.replicas(manifest),
        available=kind.available(manifest),
        readiness=kind.readiness(manifest, DEFAULT_READY_THRESHOLD if threshold is None else threshold),
        promotion_id=template_summary(manifest).promotion_id,
    )
