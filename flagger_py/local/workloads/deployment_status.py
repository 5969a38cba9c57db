"""The status of a Deployment with its conditions `Available` and `Progressing`. Pure; reasons and messages are Kubernetes'."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flagger_py.local.conditions import find_condition, parse_timestamp, timestamp
from flagger_py.local.workloads.rolling import Bounds, Set
from flagger_py.objects.resource import Manifest

Condition = dict[str, Any]


def deployment_status(
    deployment: Manifest, new: Manifest | None, old: Sequence[Manifest], now: datetime, *, created: str
) -> tuple[dict[str, Any], float | None]:
    """The status, and the seconds until its progress deadline. `created` names a ReplicaSet that this pass creates."""
    status = _counts(deployment, new, old)
    progressing = _progressing(deployment, status, new["metadata"]["name"] if new else created, now, is_new=bool(created))
    conditions = [_available(deployment, status, now), *([progressing] if progressing else [])]
    status["conditions"] = conditions
    return status, _until_deadline(deployment, progressing, now)


def _counts(deployment: Manifest, new: Manifest | None, old: Sequence[Manifest]) -> dict[str, Any]:
    every = [*([new] if new else []), *old]
    available = _sum(every, "availableReplicas")
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": _sum(every, "replicas"),
        "updatedReplicas": _sum([new], "replicas") if new else 0,
        "readyReplicas": _sum(every, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(Set.of(entry).replicas for entry in every) - available),
    }


def _sum(replica_sets: Sequence[Manifest], field: str) -> int:
    return sum((entry.get("status") or {}).get(field, 0) for entry in replica_sets)


def _available(deployment: Manifest, status: Mapping[str, Any], now: datetime) -> Condition:
    enough = status["availableReplicas"] >= Bounds.of(deployment).least_available
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    message = f"Deployment {'has' if enough else 'does not have'} minimum availability."
    return _replaced(find_condition(deployment, "Available"), _condition("Available", enough, reason, message), now)


def _progressing(deployment: Manifest, status: Mapping[str, Any], name: str, now: datetime, *, is_new: bool) -> Condition | None:
    """The condition with its clock: `lastUpdateTime` moves whenever there is progress, and the deadline counts from it."""
    before = find_condition(deployment, "Progressing")
    if deployment["spec"].get("paused"):
        return _paused(before, now)
    if before is not None and before.get("reason") == "DeploymentPaused":
        return _replaced(before, _condition("Progressing", None, "DeploymentResumed", "Deployment is resumed"), now)
    if is_new:
        return _replaced(before, _condition("Progressing", True, "NewReplicaSetCreated", f'Created new replica set "{name}"'), now)
    if before is None:
        return _replaced(None, _condition("Progressing", True, "FoundNewReplicaSet", f'Found new replica set "{name}"'), now)
    return _advanced(deployment, status, name, before, now)


def _advanced(deployment: Manifest, status: Mapping[str, Any], name: str, before: Mapping[str, Any], now: datetime) -> Condition:
    if before.get("reason") == "NewReplicaSetAvailable" and status["replicas"] == status["updatedReplicas"]:
        return dict(before)
    if _is_complete(deployment, status):
        done = _condition("Progressing", True, "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
        return _replaced(before, done, now)
    if _has_progressed(deployment.get("status") or {}, status):
        moving = _condition("Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        return {**_replaced(before, moving, now), "lastUpdateTime": timestamp(now)}
    if _deadline(deployment, before) <= now and before.get("reason") != "NewReplicaSetAvailable":
        late = _condition("Progressing", False, "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
        return _replaced(before, late, now)
    return dict(before)


def _paused(before: Mapping[str, Any] | None, now: datetime) -> Condition:
    """A Deployment that had failed keeps saying so."""
    if before is not None and before.get("reason") == "ProgressDeadlineExceeded":
        return dict(before)
    return _replaced(before, _condition("Progressing", None, "DeploymentPaused", "Deployment is paused"), now)


def _is_complete(deployment: Manifest, status: Mapping[str, Any]) -> bool:
    replicas = deployment["spec"].get("replicas", 1)
    return bool(status["updatedReplicas"] == replicas == status["replicas"] == status["availableReplicas"])


def _has_progressed(before: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    grown = any(status[field] > before.get(field, 0) for field in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    return grown or status["replicas"] - status["updatedReplicas"] < old_before


def _deadline(deployment: Manifest, progressing: Mapping[str, Any]) -> datetime:
    limit = deployment["spec"].get("progressDeadlineSeconds", 600)
    return parse_timestamp(progressing["lastUpdateTime"]) + timedelta(seconds=limit)


def _until_deadline(deployment: Manifest, progressing: Mapping[str, Any] | None, now: datetime) -> float | None:
    """Nothing to wait for where the rollout has ended, well or badly."""
    ended = ("NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused")
    if progressing is None or progressing["reason"] in ended:
        return None
    return max(0.1, (_deadline(deployment, progressing) - now).total_seconds())


def _condition(kind: str, is_true: bool | None, reason: str, message: str) -> Condition:
    status = "Unknown" if is_true is None else "True" if is_true else "False"
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _replaced(before: Mapping[str, Any] | None, new: Condition, now: datetime) -> Condition:
    """A condition of the same status and reason stays as it is; the transition time moves with the status only."""
    if before is not None and before["status"] == new["status"]:
        if before.get("reason") == new["reason"]:
            return dict(before)
        return {**new, "lastUpdateTime": timestamp(now), "lastTransitionTime": before["lastTransitionTime"]}
    return {**new, "lastUpdateTime": timestamp(now), "lastTransitionTime": timestamp(now)}
