"""What the controller itself writes into the pod template of a target: it is no part of the user's revision. Pure.

A DaemonSet cannot have zero replicas: a node selector that fits no node stands for that (workloads:DS-01). And pods read the values of
their environment once: where only a config has changed, an annotation makes the canary's pods start anew (workloads:CHG-06).
"""

from typing import Any, Final

from flagger_py.objects.resource import Manifest

SCALE_TO_ZERO: Final = "flagger.app/scale-to-zero"
RESTARTED_FOR: Final = "flagger.app/restarted-for"


def is_at_zero(template: Manifest) -> bool:
    """Whether the node selector keeps all pods away."""
    return SCALE_TO_ZERO in ((template.get("spec") or {}).get("nodeSelector") or {})


def restarted_for(template: Manifest) -> str:
    """What the pods were started anew for; empty where they never were."""
    occasion: str = _annotations(template).get(RESTARTED_FOR, "")
    return occasion


def without_marks(template: Manifest) -> Manifest:
    """The template as the user wrote it; the same object where nothing of ours is in it (workloads:DS-05)."""
    if is_at_zero(template):
        template = {**template, "spec": _without(template["spec"], "nodeSelector", SCALE_TO_ZERO)}
    if restarted_for(template):
        template = {**template, "metadata": _without(template["metadata"], "annotations", RESTARTED_FOR)}
    return template


def at_zero_patch(*, is_wanted: bool) -> dict[str, Any]:
    """The part of a merge patch of the spec that sets or removes the node selector; other selectors stay."""
    return {"template": {"spec": {"nodeSelector": {SCALE_TO_ZERO: "true" if is_wanted else None}}}}


def restarted_for_patch(occasion: str | None) -> dict[str, Any]:
    """The part of a merge patch of the spec that sets the annotation, or removes it."""
    return {"template": {"metadata": {"annotations": {RESTARTED_FOR: occasion}}}}


def _annotations(template: Manifest) -> dict[str, str]:
    return (template.get("metadata") or {}).get("annotations") or {}


def _without(holder: Manifest, field: str, key: str) -> Manifest:
    """The holder without one key of a map, and without the map where nothing else is in it."""
    kept = {name: value for name, value in holder[field].items() if name != key}
    rest = {name: value for name, value in holder.items() if name != field}
    return {**rest, field: kept} if kept else rest
