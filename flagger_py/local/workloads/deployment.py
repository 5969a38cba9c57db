"""What a Deployment is to do next. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from flagger_py.local.workloads.deployment_status import deployment_status
from flagger_py.local.workloads.ownership import HASH_LABEL, owner_reference, template_hash
from flagger_py.local.workloads.rolling import DESIRED_ANNOTATION, MAX_ANNOTATION, Bounds, Set, is_scaling, recreate, roll, scale
from flagger_py.objects.resource import DEPLOYMENT, Manifest

REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """At most one step: a ReplicaSet to create, others to change (merge patches by name) or to delete; then the status."""

    status: dict[str, Any]
    create: Manifest | None = None
    patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    revision: str = ""
    """The revision that the Deployment's annotation is to name; empty to leave it."""
    wake_after: float | None = None


def plan_deployment(deployment: Manifest, replica_sets: Sequence[Manifest], now: datetime) -> DeploymentPlan:
    """`replica_sets` are those that it owns."""
    name = f"{deployment['metadata']['name']}-{template_hash(deployment['spec']['template'])}"
    new = next((entry for entry in replica_sets if entry["metadata"]["name"] == name), None)
    old = [entry for entry in replica_sets if entry is not new]
    if "deletionTimestamp" in deployment["metadata"]:
        return _plan(deployment, new, old, now, {})
    if deployment["spec"].get("paused"):
        return _plan(deployment, new, old, now, _scaled(deployment, new, old))
    revision = str(max([_revision(entry) for entry in old], default=0) + 1)
    if new is None:
        return _creation(deployment, name, old, revision, now)
    patches = _steps(deployment, new, old)
    if _revision(new) < int(revision):
        patches = _combined(patches, {name: {"metadata": {"annotations": {REVISION_ANNOTATION: revision}}}})
    return _plan(deployment, new, old, now, patches, revision=revision)


def _steps(deployment: Manifest, new: Manifest, old: Sequence[Manifest]) -> dict[str, dict[str, Any]]:
    bounds, new_set, old_sets = Bounds.of(deployment), Set.of(new), [Set.of(entry) for entry in old]
    if is_scaling(bounds, [new_set, *old_sets]):
        return _scaled(deployment, new, old)
    is_recreate = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    counts = recreate(bounds, new_set, old_sets) if is_recreate else roll(bounds, new_set, old_sets)
    return {name: _replicas(bounds, count) for name, count in counts.items()}


def _scaled(deployment: Manifest, new: Manifest | None, old: Sequence[Manifest]) -> dict[str, dict[str, Any]]:
    """The counts after a change of `spec.replicas`; what was asked for is noted on every ReplicaSet in use."""
    bounds, new_set, old_sets = Bounds.of(deployment), Set.of(new) if new else None, [Set.of(entry) for entry in old]
    counts = scale(bounds, new_set, old_sets)
    in_use = [entry for entry in [*([new_set] if new_set else []), *old_sets] if entry.replicas or entry.name in counts]
    return {
        entry.name: _replicas(bounds, counts.get(entry.name, entry.replicas))
        for entry in in_use
        if entry.name in counts or entry.desired != bounds.replicas
    }


def _replicas(bounds: Bounds, count: int) -> dict[str, Any]:
    return {"spec": {"replicas": count}, "metadata": {"annotations": _annotations(bounds)}}


def _annotations(bounds: Bounds) -> dict[str, str]:
    return {DESIRED_ANNOTATION: str(bounds.replicas), MAX_ANNOTATION: str(bounds.replicas + bounds.surge)}


def _combined(first: Mapping[str, dict[str, Any]], second: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    combined = {name: dict(patch) for name, patch in first.items()}
    for name, patch in second.items():
        before = combined.get(name, {})
        annotations = {**(before.get("metadata") or {}).get("annotations", {}), **patch["metadata"]["annotations"]}
        combined[name] = {**before, "metadata": {"annotations": annotations}}
    return combined


def _creation(deployment: Manifest, name: str, old: Sequence[Manifest], revision: str, now: datetime) -> DeploymentPlan:
    """A ReplicaSet of the new template, with as many replicas as the old ones leave room for."""
    bounds, old_sets = Bounds.of(deployment), [Set.of(entry) for entry in old]
    empty = Set(name, 0, 0, 0)
    is_recreate = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    counts = recreate(bounds, empty, old_sets) if is_recreate else roll(bounds, empty, old_sets)
    manifest = _replica_set(deployment, name, counts.get(name, 0), bounds, revision)
    plan = _plan(deployment, None, old, now, {}, revision=revision, created=name)
    return DeploymentPlan(plan.status, manifest, plan.patches, plan.delete, revision, plan.wake_after)


def _replica_set(deployment: Manifest, name: str, replicas: int, bounds: Bounds, revision: str) -> Manifest:
    spec = deployment["spec"]
    hashed = {HASH_LABEL: name.rpartition("-")[2]}
    metadata = spec["template"].get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **hashed}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), **hashed}}
    annotations = {key: value for key, value in (deployment["metadata"].get("annotations") or {}).items() if not _is_own(key)}
    return {
        "metadata": {
            "name": name,
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {**annotations, **_annotations(bounds), REVISION_ANNOTATION: revision},
            "ownerReferences": [owner_reference(deployment, DEPLOYMENT)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": selector,
            "template": {**spec["template"], "metadata": {**metadata, "labels": labels}},
        },
    }


def _is_own(annotation: str) -> bool:
    """Annotations of the Deployment that its ReplicaSets do not inherit."""
    return annotation.startswith("deployment.kubernetes.io/") or annotation == "kubectl.kubernetes.io/last-applied-configuration"


def _plan(
    deployment: Manifest,
    new: Manifest | None,
    old: Sequence[Manifest],
    now: datetime,
    patches: Mapping[str, Mapping[str, Any]],
    *,
    revision: str = "",
    created: str = "",
) -> DeploymentPlan:
    status, wake_after = deployment_status(deployment, new, old, now, created=created)
    doomed = _beyond_history(deployment, old) if not patches and _is_complete(deployment, status) else ()
    annotations = deployment["metadata"].get("annotations") or {}
    wanted = revision if annotations.get(REVISION_ANNOTATION) != revision else ""
    return DeploymentPlan(status, None, patches, doomed, wanted, wake_after)


def _is_complete(deployment: Manifest, status: Mapping[str, Any]) -> bool:
    replicas = deployment["spec"].get("replicas", 1)
    return bool(status["updatedReplicas"] == status["replicas"] == status["availableReplicas"] == replicas)


def _beyond_history(deployment: Manifest, old: Sequence[Manifest]) -> tuple[str, ...]:
    """Empty ReplicaSets that `revisionHistoryLimit` does not keep, the oldest first."""
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    empty = [entry for entry in old if not Set.of(entry).replicas and not Set.of(entry).actual]
    surplus = max(0, len(old) - limit)
    return tuple(entry["metadata"]["name"] for entry in sorted(empty, key=_revision)[:surplus])


def _revision(replica_set: Manifest) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION, "0")
    return int(text) if text.isdecimal() else 0
