"""What a ReplicaSet is to do next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flagger_py.local.workloads.ownership import available_in, is_active, is_ready
from flagger_py.objects.resource import Manifest


@dataclass(frozen=True, slots=True)
class ReplicaSetPlan:
    """Pods to create and to delete (names), the status to write, and when to look again without a change (seconds)."""

    create: int
    delete: tuple[str, ...]
    status: dict[str, Any]
    wake_after: float | None = None


def plan_replica_set(replica_set: Manifest, pods: Sequence[Manifest], now: datetime) -> ReplicaSetPlan:
    """`pods` are those that it owns."""
    active = [pod for pod in pods if is_active(pod)]
    surplus = len(active) - replica_set["spec"].get("replicas", 1)
    if "deletionTimestamp" in replica_set["metadata"]:
        surplus = 0
    doomed = sorted(active, key=_deletion_rank)[: max(0, surplus)]
    waits = [available_in(pod, replica_set["spec"].get("minReadySeconds", 0), now) for pod in active]
    return ReplicaSetPlan(
        max(0, -surplus),
        tuple(pod["metadata"]["name"] for pod in doomed),
        _status(replica_set, active, sum(1 for wait in waits if wait == 0)),
        min((wait for wait in waits if wait), default=None),
    )


def _deletion_rank(pod: Manifest) -> tuple[bool, bool, bool, str, str]:
    """Those that serve least go first, then the youngest."""
    created = pod["metadata"].get("creationTimestamp", "")
    youngest_first = "".join(chr(0x10FFFF - ord(char)) for char in created)
    running = (pod.get("status") or {}).get("phase") == "Running"
    return bool(pod["spec"].get("nodeName")), running, is_ready(pod), youngest_first, pod["metadata"]["name"]


def _status(replica_set: Manifest, active: Sequence[Manifest], available: int) -> dict[str, Any]:
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": len(active),
        "readyReplicas": sum(1 for pod in active if is_ready(pod)),
        "availableReplicas": available,
        "observedGeneration": replica_set["metadata"].get("generation", 1),
    }
