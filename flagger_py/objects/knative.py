"""Knative Services and Revisions as values: what their workload and their router both read (workloads:§1.4, routers:§3.13). Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flagger_py.objects.resource import Manifest, Resource

KNATIVE_SERVICE: Final = Resource("serving.knative.dev", "v1", "services", "Service")
KNATIVE_REVISION: Final = Resource("serving.knative.dev", "v1", "revisions", "Revision")
PRIMARY_REVISION: Final = "flagger.app/primary-revision"
"""Annotation of a Knative Service: the name of the Revision that serves users (workloads:KN-02)."""
OF_SERVICE: Final = "serving.knative.dev/service"
"""Label of a Revision: the Knative Service that it belongs to."""
_KEPT_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "generation", "labels", "ownerReferences", "deletionTimestamp")


def project_service(manifest: Manifest) -> Manifest:
    """What the store keeps: everything but the template, which Knative turns into Revisions."""
    annotations = manifest["metadata"].get("annotations") or {}
    kept = {PRIMARY_REVISION: annotations[PRIMARY_REVISION]} if PRIMARY_REVISION in annotations else {}
    spec = manifest.get("spec") or {}
    return {
        "apiVersion": KNATIVE_SERVICE.api_version,
        "kind": KNATIVE_SERVICE.kind,
        "metadata": _metadata(manifest) | ({"annotations": kept} if kept else {}),
        "spec": {"traffic": spec["traffic"]} if "traffic" in spec else {},
        "status": manifest.get("status") or {},
    }


def project_revision(manifest: Manifest) -> Manifest:
    """What the store keeps: whether it is ready."""
    status = manifest.get("status") or {}
    conditions = [found for found in status.get("conditions") or () if found.get("type") == "Ready"]
    return {
        "apiVersion": KNATIVE_REVISION.api_version,
        "kind": KNATIVE_REVISION.kind,
        "metadata": _metadata(manifest),
        "status": {"observedGeneration": status.get("observedGeneration", 0), "conditions": conditions},
    }


def primary_revision(service: Manifest) -> str:
    """The name of the Revision that serves users; empty where none was chosen."""
    name: str = (service["metadata"].get("annotations") or {}).get(PRIMARY_REVISION, "")
    return name


def latest_created(service: Manifest) -> str:
    """The name of the newest Revision, ready or not; empty where there is none yet."""
    name: str = (service.get("status") or {}).get("latestCreatedRevisionName") or ""
    return name


def unobserved(manifest: Manifest) -> str:
    """Why its status says nothing of its spec as it is now; empty where it does."""
    generation = manifest["metadata"].get("generation", 0)
    is_observed = generation <= ((manifest.get("status") or {}).get("observedGeneration") or 0)
    return "" if is_observed else f"generation {generation} is not observed yet"


def condition(manifest: Manifest, type_: str) -> Mapping[str, Any] | None:
    """One condition of its status."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((found for found in conditions if found.get("type") == type_), None)


def obstacle(found: Mapping[str, Any] | None) -> str:
    """Why a condition is not True, as its controller says it; empty where it is."""
    if found is None:
        return "nothing is reported yet"
    if found.get("status") == "True":
        return ""
    return ": ".join(text for text in (found.get("reason"), found.get("message")) if text) or f"is {found.get('status')}"


def named_revisions(service: Manifest) -> Iterator[str]:
    """The Revisions that its traffic names, other than by being the latest."""
    for part in (service.get("spec") or {}, service.get("status") or {}):
        for entry in part.get("traffic") or ():
            if entry.get("revisionName") and not entry.get("latestRevision"):
                yield entry["revisionName"]


def _metadata(manifest: Manifest) -> dict[str, Any]:
    return {key: value for key, value in manifest["metadata"].items() if key in _KEPT_METADATA}
