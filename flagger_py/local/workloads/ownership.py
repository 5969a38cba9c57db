"""Owner references, template hashes and the pods that templates make. Pure."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from flagger_py.local.conditions import find_condition, is_true, parse_timestamp
from flagger_py.objects.resource import Manifest, Resource

HASH_LABEL: Final = "pod-template-hash"
REVISION_HASH_LABEL: Final = "controller-revision-hash"

_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of generated names in Kubernetes: no vowels, so that no word appears."""


def template_hash(template: Manifest) -> str:
    """Ten safe characters that stand for a pod template."""
    digest = hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).digest()
    return "".join(_SAFE[byte % len(_SAFE)] for byte in digest[:10])


def controller_of(manifest: Manifest) -> dict[str, Any] | None:
    """The owner reference that has `controller: true`."""
    references = manifest["metadata"].get("ownerReferences") or []
    return next((entry for entry in references if entry.get("controller")), None)


def owned_by(owner: Manifest, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Those that the owner controls, in name order."""
    uid = owner["metadata"]["uid"]
    found = [entry for entry in manifests if (controller_of(entry) or {}).get("uid") == uid]
    return sorted(found, key=lambda entry: str(entry["metadata"]["name"]))


def owner_reference(owner: Manifest, resource: Resource) -> dict[str, Any]:
    """A controlling reference."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_from(owner: Manifest, resource: Resource, template: Manifest, labels: dict[str, str]) -> Manifest:
    """A new pod of a template; the server completes its name."""
    metadata = template.get("metadata") or {}
    return {
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(metadata.get("labels") or {}), **labels},
            "annotations": dict(metadata.get("annotations") or {}),
            "ownerReferences": [owner_reference(owner, resource)],
        },
        "spec": template["spec"],
    }


def is_active(pod: Manifest) -> bool:
    """Neither ended nor being deleted."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Manifest) -> bool:
    return is_true(pod, "Ready")


def available_in(pod: Manifest, min_ready_seconds: float, now: datetime) -> float | None:
    """Seconds until the pod counts as available: 0 if it does, `None` while it is not ready."""
    ready = find_condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready_seconds or not ready.get("lastTransitionTime"):
        return 0.0
    at = parse_timestamp(ready["lastTransitionTime"]) + timedelta(seconds=min_ready_seconds)
    return max(0.0, (at - now).total_seconds())
