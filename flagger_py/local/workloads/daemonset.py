"""What a DaemonSet is to do next on the nodes that there are. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flagger_py.local.workloads.ownership import REVISION_HASH_LABEL, available_in, is_active, is_ready, pod_from, template_hash
from flagger_py.objects.resource import DAEMON_SET, Manifest


@dataclass(frozen=True, slots=True)
class DaemonSetPlan:
    """Pods to create and to delete (names), the status, and when to look again without a change (seconds)."""

    create: tuple[Manifest, ...]
    delete: tuple[str, ...]
    status: dict[str, Any]
    wake_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Counts:
    """The pods of a DaemonSet on the nodes that it is to run on."""

    wanted: tuple[str, ...]
    active: tuple[Manifest, ...]
    current: tuple[Manifest, ...]
    """Active pods of the current template."""
    waits: tuple[float | None, ...]
    """For each active pod, the seconds until it is available."""

    @property
    def available(self) -> int:
        return sum(1 for wait in self.waits if wait == 0)


def plan_daemon_set(daemon_set: Manifest, pods: Sequence[Manifest], nodes: Sequence[Manifest], now: datetime) -> DaemonSetPlan:
    """`pods` are those that it owns. A node that its `nodeSelector` does not fit runs none: so it is scaled to zero."""
    hashed = template_hash(daemon_set["spec"]["template"])
    counts = _counts(daemon_set, pods, nodes, hashed, now)
    doomed = [pod for pod in counts.active if pod["spec"].get("nodeName") not in counts.wanted]
    doomed += _outdated(daemon_set, counts)
    occupied = {pod["spec"].get("nodeName") for pod in pods}
    missing = [node for node in counts.wanted if node not in occupied]
    if "deletionTimestamp" in daemon_set["metadata"]:
        doomed, missing = [], []
    return DaemonSetPlan(
        tuple(_pod(daemon_set, node, hashed) for node in missing),
        tuple(sorted({pod["metadata"]["name"] for pod in doomed})),
        _status(daemon_set, counts),
        min((wait for wait in counts.waits if wait), default=None),
    )


def _counts(daemon_set: Manifest, pods: Sequence[Manifest], nodes: Sequence[Manifest], hashed: str, now: datetime) -> _Counts:
    selector = daemon_set["spec"]["template"]["spec"].get("nodeSelector") or {}
    active = tuple(pod for pod in pods if is_active(pod))
    return _Counts(
        tuple(node["metadata"]["name"] for node in nodes if _fits(selector, node)),
        active,
        tuple(pod for pod in active if (pod["metadata"].get("labels") or {}).get(REVISION_HASH_LABEL) == hashed),
        tuple(available_in(pod, daemon_set["spec"].get("minReadySeconds", 0), now) for pod in active),
    )


def _fits(selector: Mapping[str, str], node: Manifest) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _outdated(daemon_set: Manifest, counts: _Counts) -> list[Manifest]:
    """Pods of an older template that may go now: unavailable ones at once, available ones within `maxUnavailable`."""
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return []
    old = [(pod, wait) for pod, wait in zip(counts.active, counts.waits, strict=True) if pod not in counts.current]
    unavailable = [pod for pod, wait in old if wait != 0]
    allowed = max(1, _max_unavailable(strategy, len(counts.wanted))) - (len(counts.wanted) - counts.available)
    return unavailable + [pod for pod, wait in old if wait == 0][: max(0, allowed)]


def _max_unavailable(strategy: Mapping[str, Any], wanted: int) -> int:
    value = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * wanted // 100)


def _pod(daemon_set: Manifest, node: str, hashed: str) -> Manifest:
    template = daemon_set["spec"]["template"]
    pod = pod_from(daemon_set, DAEMON_SET, template, {REVISION_HASH_LABEL: hashed})
    return {**pod, "spec": {**pod["spec"], "nodeName": node}}


def _status(daemon_set: Manifest, counts: _Counts) -> dict[str, Any]:
    desired = len(counts.wanted)
    on_wanted = [pod for pod in counts.active if pod["spec"].get("nodeName") in counts.wanted]
    return {
        "observedGeneration": daemon_set["metadata"].get("generation", 1),
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": len(on_wanted),
        "numberMisscheduled": len(counts.active) - len(on_wanted),
        "updatedNumberScheduled": sum(1 for pod in counts.current if pod in on_wanted),
        "numberReady": sum(1 for pod in on_wanted if is_ready(pod)),
        "numberAvailable": min(desired, counts.available),
        "numberUnavailable": max(0, desired - counts.available),
    }
