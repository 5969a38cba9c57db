"""Labels, annotations and owner references of generated objects."""

from collections.abc import Iterable, Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import CANARY, Manifest
from flagger_py.workloads.base import Selector

TOOLKIT_DOMAIN = "toolkit.fluxcd.io"
PROMOTION_ID = "flagger-id"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
FLUX_GUARDS: Mapping[str, str] = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
"""Annotations that keep Flux from reverting what we change (routers:MD-01)."""


def without_toolkit_keys(entries: Mapping[str, str]) -> dict[str, str]:
    """Everything but Flux' own bookkeeping, which must not be copied (workloads:GEN-05)."""
    return {key: value for key, value in entries.items() if TOOLKIT_DOMAIN not in key}


def included(entries: Mapping[str, str], prefixes: Iterable[str]) -> dict[str, str]:
    """The entries that `-include-label-prefix` names; an empty prefix matches nothing (workloads:GEN-06)."""
    wanted = tuple(prefix for prefix in prefixes if prefix)
    kept = entries if "*" in wanted else {key: value for key, value in entries.items() if key.startswith(wanted)}
    return without_toolkit_keys(kept)


def primary_labels(labels: Mapping[str, str], selector: Selector) -> dict[str, str]:
    """Labels of the primary or of its pods (workloads:GEN-07)."""
    return {**without_toolkit_keys(labels), selector.label: selector.primary}


def owner_reference(canary: Canary, *, controller: bool = True) -> dict[str, Any]:
    """The owner reference of everything that is created for a Canary (workloads:GEN-04)."""
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "name": canary.metadata.name,
        "uid": canary.metadata.uid,
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def owners_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Its owner references; they may be absent."""
    return manifest["metadata"].get("ownerReferences") or []


def is_canary_reference(owner: Mapping[str, Any]) -> bool:
    """Whether the owner is a Canary, ours or another."""
    return owner.get("kind") == CANARY.kind and str(owner.get("apiVersion", "")).startswith(f"{CANARY.group}/")


def controlling_canary(manifest: Manifest) -> str | None:
    """The name of the Canary that controls the object (routers:K8S-12)."""
    return next((owner["name"] for owner in owners_of(manifest) if owner.get("controller") and is_canary_reference(owner)), None)


def is_owned_by(manifest: Manifest, canary: Canary) -> bool:
    """Whether this Canary is among the owners, by name: a Canary that was deleted and restored has another uid."""
    return any(is_canary_reference(owner) and owner["name"] == canary.metadata.name for owner in owners_of(manifest))


def labels_of(manifest: Manifest) -> dict[str, str]:
    """Its labels; they may be absent."""
    return manifest["metadata"].get("labels") or {}


def annotations_of(manifest: Manifest) -> dict[str, str]:
    """Its annotations; they may be absent."""
    return manifest["metadata"].get("annotations") or {}
