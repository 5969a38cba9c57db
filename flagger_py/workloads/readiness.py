"""When a workload counts as ready, from what its own controller reports. Pure."""

from collections.abc import Mapping
from typing import Any

from flagger_py.objects.resource import Manifest
from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready


def deployment_readiness(manifest: Manifest, threshold: int) -> Readiness:
    """Judge a Deployment; `threshold` is the percentage of updated pods that must be available (workloads:RDY-03).

    Zero wanted pods are ready (RDY-06). `Dead` is only what the Deployment reports about itself; the Canary's own
    deadline is the core's business (RDY-04).
    """
    status: Mapping[str, Any] = manifest.get("status") or {}
    if (unobserved := _unobserved(manifest, status)) is not None:
        return unobserved
    if _has_exceeded_its_deadline(status):
        return Dead("it exceeded its own progress deadline")
    return _pods_readiness(wanted_replicas(manifest), status, threshold)


def daemon_set_readiness(manifest: Manifest, threshold: int) -> Readiness:
    """Judge a DaemonSet; `threshold` is the percentage of the wanted pods that must be available (workloads:RDY-08).

    Where no node is to run a pod it is ready (RDY-09). It never reports itself as dead: the deadline is the core's (RDY-10).
    """
    status: Mapping[str, Any] = manifest.get("status") or {}
    if (unobserved := _unobserved(manifest, status)) is not None:
        return unobserved
    desired, updated = status.get("desiredNumberScheduled") or 0, status.get("updatedNumberScheduled") or 0
    available = status.get("numberAvailable") or 0
    required = required_available(desired, threshold)
    if updated < desired:
        return NotReady(f"{updated} of {desired} pods updated")
    if available < required:
        return NotReady(f"{available} of {required} pods available")
    return Ready()


def wanted_replicas(manifest: Manifest) -> int:
    """`spec.replicas`, which the API server defaults to 1."""
    replicas = manifest["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def available_replicas(manifest: Manifest) -> int:
    """How many pods of a Deployment can take traffic now."""
    return int((manifest.get("status") or {}).get("availableReplicas") or 0)


def required_available(updated: int, threshold: int) -> int:
    """How many of the updated pods must be available: rounded down, but at least one unless the threshold is 0 (workloads:RDY-05)."""
    if threshold <= 0 or updated <= 0:
        return 0
    return max(1, updated * threshold // 100)


def _unobserved(manifest: Manifest, status: Mapping[str, Any]) -> NotReady | None:
    generation = manifest["metadata"].get("generation", 0)
    is_observed = generation <= status.get("observedGeneration", 0)
    return None if is_observed else NotReady(f"generation {generation} is not observed yet")


def _pods_readiness(wanted: int, status: Mapping[str, Any], threshold: int) -> Readiness:
    updated = status.get("updatedReplicas") or 0
    existing = status.get("replicas") or 0
    available = status.get("availableReplicas") or 0
    if updated < wanted:
        return NotReady(f"{updated} of {wanted} pods updated")
    if existing > updated:
        return NotReady(f"{existing - updated} old pods still terminating")
    required = required_available(updated, threshold)
    if available < required:
        return NotReady(f"{available} of {required} pods available")
    return Ready()


def _has_exceeded_its_deadline(status: Mapping[str, Any]) -> bool:
    return any(
        condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        for condition in status.get("conditions") or ()
    )
