"""The primary Deployment: rendered from the target when it is created and when it is promoted. Pure."""

from copy import deepcopy
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import DEPLOYMENT, Manifest
from flagger_py.workloads.base import PRIMARY_SUFFIX, PromotionRefused, Selector, WorkloadError
from flagger_py.workloads.metadata import annotations_of, included, labels_of, owner_reference, primary_labels, without_toolkit_keys
from flagger_py.workloads.readiness import wanted_replicas
from flagger_py.workloads.settings import WorkloadSettings

COPIED_FIELDS = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")
DEPLOYMENT_CONTROLLER_DOMAIN = "deployment.kubernetes.io/"
"""Annotations that the Deployment controller writes for each Deployment by itself."""
LABEL_VALUE_LIMIT = 63
NAME_LIMIT = 253


def primary_name(canary: Canary) -> str:
    """The name of the primary workload (workloads:GEN-01)."""
    return canary.spec.target_ref.name + PRIMARY_SUFFIX


def select_by(target: Manifest, candidates: tuple[str, ...]) -> Selector:
    """The first candidate label in the target's selector, with its value (workloads:SEL-01, SEL-02).

    Presence counts, not value. Raises `WorkloadError` where there is none, or where its value or the target's name cannot take
    `-primary` (SEL-04).
    """
    name = f"Deployment {target['metadata'].get('namespace', '')}/{target['metadata']['name']}"
    labels = target["spec"].get("selector", {}).get("matchLabels") or {}
    label = next((candidate for candidate in candidates if candidate in labels), None)
    if label is None:
        raise WorkloadError(f"{name}: spec.selector.matchLabels has {sorted(labels)}, but must have one of {list(candidates)}")
    if not labels[label]:
        raise WorkloadError(
            f"{name}: spec.selector.matchLabels[{label}] is empty; with {PRIMARY_SUFFIX!r} added it would be no valid label value"
        )
    selector = Selector(label, labels[label])
    require_room(f"{name}: spec.selector.matchLabels[{label}]", selector.value, LABEL_VALUE_LIMIT)
    require_room(f"{name}: metadata.name", target["metadata"]["name"], NAME_LIMIT)
    return selector


def require_room(field: str, value: str, limit: int) -> None:
    """Refuse a name to which `-primary` cannot be added (workloads:SEL-04). Raises `WorkloadError`."""
    longest = limit - len(PRIMARY_SUFFIX)
    if len(value) > longest:
        raise WorkloadError(f"{field} {value!r} has {len(value)} characters; at most {longest} leave room for {PRIMARY_SUFFIX!r}")


def new_primary(canary: Canary, target: Manifest, template: Manifest, selector: Selector, settings: WorkloadSettings) -> Manifest:
    """The primary as it is created; `template` is already the primary's (workloads:DEP-01, SEL-03)."""
    metadata = {
        "name": primary_name(canary),
        "namespace": canary.namespace,
        "labels": primary_labels(included(labels_of(target), settings.include_label_prefixes), selector),
        "annotations": _without_controller_keys(without_toolkit_keys(annotations_of(target))),
        "ownerReferences": [owner_reference(canary)],
    }
    spec = {
        "replicas": wanted_replicas(target) or 1,
        "selector": {"matchLabels": {**target["spec"]["selector"]["matchLabels"], selector.label: selector.primary}},
        "template": template,
        **_copied_fields(target),
    }
    return {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "metadata": metadata, "spec": spec}


def promoted(
    primary: Manifest, target: Manifest, template: Manifest, *, selector: Selector, settings: WorkloadSettings, replicas: int | None
) -> Manifest:
    """The live primary with what a promotion copies (workloads:DEP-01); `replicas` is `None` where an autoscaler sets them."""
    metadata = {
        **primary["metadata"],
        "labels": primary_labels(included(labels_of(target), settings.include_label_prefixes), selector),
        "annotations": {
            **_only_controller_keys(annotations_of(primary)),
            **_without_controller_keys(included(annotations_of(target), settings.include_label_prefixes)),
        },
    }
    kept = {key: value for key, value in primary["spec"].items() if key not in COPIED_FIELDS}
    spec = {**kept, **_copied_fields(target), "template": template}
    if replicas is not None:
        spec["replicas"] = replicas
    return {**primary, "metadata": metadata, "spec": spec}


def restored(canary: Canary, snapshot: Manifest) -> Manifest:
    """A deleted primary, as it is created again from what was kept of it (workloads:DEP-05)."""
    metadata = {
        **snapshot["metadata"],
        "name": primary_name(canary),
        "namespace": canary.namespace,
        "ownerReferences": [owner_reference(canary)],
    }
    return {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "metadata": metadata, "spec": snapshot["spec"]}


def promoted_replicas(canary: Canary, target: Manifest) -> int | None:
    """The replicas that a promotion gives the primary; `None` leaves them alone (workloads:DEP-01, AS-05).

    Raises `PromotionRefused` for 0 (workloads:DEP-09).
    """
    if canary.spec.autoscaler_ref is not None:
        return None
    replicas = wanted_replicas(target)
    if replicas == 0:
        name = f"Deployment {canary.namespace}/{canary.spec.target_ref.name}"
        raise PromotionRefused(f"{name}: spec.replicas is 0, and the primary would get none; it must be at least 1 to be promoted")
    return replicas


def require_own_primary(canary: Canary, primary: Manifest) -> None:
    """Refuse a primary that another object controls; one without a controller is taken over, as Flagger does.

    Raises `WorkloadError`.
    """
    for owner in primary["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and (owner.get("kind"), owner.get("name")) != ("Canary", canary.metadata.name):
            name = f"Deployment {canary.namespace}/{primary['metadata']['name']}"
            raise WorkloadError(f"{name} is controlled by {owner.get('kind')} {owner.get('name')}, not by Canary {canary.metadata.name}")


def require_matching_pods(primary: Manifest, template: Manifest) -> None:
    """Refuse a template whose pods the primary's selector, which cannot be changed, would not match. Raises `WorkloadError`."""
    wanted = primary["spec"]["selector"].get("matchLabels") or {}
    labels = template["metadata"]["labels"]
    missing = {key: value for key, value in wanted.items() if labels.get(key) != value}
    if missing:
        name = f"Deployment {primary['metadata']['namespace']}/{primary['metadata']['name']}"
        raise WorkloadError(f"{name} selects pods with {missing}, but the target's pod labels make {labels}; a selector cannot be changed")


def _copied_fields(target: Manifest) -> dict[str, Any]:
    return {key: deepcopy(target["spec"][key]) for key in COPIED_FIELDS if target["spec"].get(key) is not None}


def _without_controller_keys(annotations: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if not key.startswith(DEPLOYMENT_CONTROLLER_DOMAIN)}


def _only_controller_keys(annotations: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if key.startswith(DEPLOYMENT_CONTROLLER_DOMAIN)}
