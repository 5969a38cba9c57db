"""The primary workload: rendered from the target when it is created and when it is promoted. Pure."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.workloads.base import PRIMARY_SUFFIX, Selector, WorkloadError
from flagger_py.workloads.kinds import PodKind
from flagger_py.workloads.metadata import annotations_of, included, labels_of, owner_reference, primary_labels, without_toolkit_keys
from flagger_py.workloads.settings import WorkloadSettings

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
    name = f"{target['kind']} {target['metadata'].get('namespace', '')}/{target['metadata']['name']}"
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


@dataclass(frozen=True, slots=True)
class Original:
    """What a primary is made of."""

    kind: PodKind
    canary: Canary
    target: Manifest
    selector: Selector
    settings: WorkloadSettings

    @property
    def labels(self) -> dict[str, str]:
        """Those of the primary object."""
        return primary_labels(included(labels_of(self.target), self.settings.include_label_prefixes), self.selector)

    @property
    def copied_fields(self) -> dict[str, Any]:
        """The fields of the spec that each primary gets."""
        spec = self.target["spec"]
        return {key: deepcopy(spec[key]) for key in self.kind.copied_fields if spec.get(key) is not None}


def new_primary(original: Original, template: Manifest) -> Manifest:
    """The primary as it is created; `template` is already the primary's (workloads:DEP-01, DS-03, SEL-03)."""
    kind, canary, target, selector = original.kind, original.canary, original.target, original.selector
    metadata = {
        "name": primary_name(canary),
        "namespace": canary.namespace,
        "labels": original.labels,
        "annotations": _without_controller_keys(kind, without_toolkit_keys(annotations_of(target))),
        "ownerReferences": [owner_reference(canary)],
    }
    spec = {
        **kind.created_fields(target),
        "selector": {"matchLabels": {**target["spec"]["selector"]["matchLabels"], selector.label: selector.primary}},
        "template": template,
        **original.copied_fields,
    }
    return {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "metadata": metadata, "spec": spec}


def promoted(original: Original, primary: Manifest, template: Manifest) -> Manifest:
    """The live primary with what a promotion copies (workloads:DEP-01, DS-03). Raises `PromotionRefused`."""
    kind, target = original.kind, original.target
    metadata = {
        **primary["metadata"],
        "labels": original.labels,
        "annotations": {
            **_only_controller_keys(kind, annotations_of(primary)),
            **_without_controller_keys(kind, included(annotations_of(target), original.settings.include_label_prefixes)),
        },
    }
    kept = {key: value for key, value in primary["spec"].items() if key not in kind.copied_fields}
    spec = {**kept, **original.copied_fields, **kind.promoted_fields(original.canary, target), "template": template}
    return {**primary, "metadata": metadata, "spec": spec}


def restored(canary: Canary, snapshot: Manifest) -> Manifest:
    """A deleted primary's metadata and spec, as it is created again from what was kept of it (workloads:DEP-05)."""
    metadata = {
        **snapshot["metadata"],
        "name": primary_name(canary),
        "namespace": canary.namespace,
        "ownerReferences": [owner_reference(canary)],
    }
    return {"metadata": metadata, "spec": snapshot["spec"]}


def require_own_primary(canary: Canary, primary: Manifest) -> None:
    """Refuse a primary that another object controls; one without a controller is taken over, as Flagger does.

    Raises `WorkloadError`.
    """
    for owner in primary["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and (owner.get("kind"), owner.get("name")) != ("Canary", canary.metadata.name):
            name = f"{primary['kind']} {canary.namespace}/{primary['metadata']['name']}"
            raise WorkloadError(f"{name} is controlled by {owner.get('kind')} {owner.get('name')}, not by Canary {canary.metadata.name}")


def require_matching_pods(primary: Manifest, template: Manifest) -> None:
    """Refuse a template whose pods the primary's selector, which cannot be changed, would not match. Raises `WorkloadError`."""
    wanted = primary["spec"]["selector"].get("matchLabels") or {}
    labels = template["metadata"]["labels"]
    missing = {key: value for key, value in wanted.items() if labels.get(key) != value}
    if missing:
        name = f"{primary['kind']} {primary['metadata']['namespace']}/{primary['metadata']['name']}"
        raise WorkloadError(f"{name} selects pods with {missing}, but the target's pod labels make {labels}; a selector cannot be changed")


def _without_controller_keys(kind: PodKind, annotations: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if not key.startswith(kind.controller_annotations)}


def _only_controller_keys(kind: PodKind, annotations: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in annotations.items() if key.startswith(kind.controller_annotations)}
