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
class _Pod:
    """An active pod: neither ended nor being deleted."""

    manifest: Manifest
    is_new: bool
    """Of the current template."""
    wait: float | None
    """Seconds until it is available; `None` while it is not ready."""

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def node(self) -> str:
        return str(self.manifest["spec"].get("nodeName") or "")

    @property
    def is_available(self) -> bool:
        return self.wait == 0


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that is to run a pod, and those that it runs: two while the new one surges, the old one first."""

    node: str
    pods: tuple[_Pod, ...]

    @property
    def old(self) -> _Pod | None:
        return next((pod for pod in self.pods if not pod.is_new), None)

    @property
    def new(self) -> _Pod | None:
        return next((pod for pod in self.pods if pod.is_new), None)


def plan_daemon_set(daemon_set: Manifest, pods: Sequence[Manifest], nodes: Sequence[Manifest], now: datetime) -> DaemonSetPlan:
    """`pods` are those that it owns. A node that its `nodeSelector` does not fit runs none: so it is scaled to zero."""
    hashed = template_hash(daemon_set["spec"]["template"])
    active = _active(daemon_set, pods, hashed, now)
    places = _places(daemon_set, active, nodes)
    wanted = {place.node for place in places}
    occupied = {pod["spec"].get("nodeName") for pod in pods}  # one that ends keeps its place
    create = [place.node for place in places if place.node not in occupied]
    delete = [pod for pod in active if pod.node not in wanted]
    surging, outdated = _rolled(daemon_set["spec"].get("updateStrategy") or {}, places)
    if "deletionTimestamp" in daemon_set["metadata"]:
        create, surging, delete, outdated = [], [], [], []
    return DaemonSetPlan(
        tuple(_pod(daemon_set, node, hashed) for node in (*create, *surging)),
        tuple(sorted({pod.name for pod in (*delete, *outdated)})),
        _status(daemon_set, active, places),
        min((pod.wait for pod in active if pod.wait), default=None),
    )


def _active(daemon_set: Manifest, pods: Sequence[Manifest], hashed: str, now: datetime) -> list[_Pod]:
    seconds = daemon_set["spec"].get("minReadySeconds", 0)
    return [
        _Pod(pod, (pod["metadata"].get("labels") or {}).get(REVISION_HASH_LABEL) == hashed, available_in(pod, seconds, now))
        for pod in pods
        if is_active(pod)
    ]


def _places(daemon_set: Manifest, active: Sequence[_Pod], nodes: Sequence[Manifest]) -> list[_Place]:
    selector = daemon_set["spec"]["template"]["spec"].get("nodeSelector") or {}
    names = [node["metadata"]["name"] for node in nodes if _fits(selector, node)]
    return [_Place(name, tuple(sorted((pod for pod in active if pod.node == name), key=lambda pod: pod.is_new))) for name in names]


def _fits(selector: Mapping[str, str], node: Manifest) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _rolled(strategy: Mapping[str, Any], places: Sequence[_Place]) -> tuple[list[str], list[_Pod]]:
    """Nodes that get a new pod beside their old one, and old pods that may go now."""
    if strategy.get("type") == "OnDelete":
        return [], []
    surge = _limit(strategy, "maxSurge", 0, len(places))
    return _surged(places, surge) if surge else ([], _replaced(places, _limit(strategy, "maxUnavailable", 1, len(places))))


def _surged(places: Sequence[_Place], surge: int) -> tuple[list[str], list[_Pod]]:
    """An old pod goes when the new one on its node is available; where it is not available itself, its successor comes at once."""
    replaced = [place.old for place in places if place.old and place.new and place.new.is_available]
    waiting = sum(1 for place in places if place.old and place.new and not place.new.is_available)
    alone = [(place.node, place.old.is_available) for place in places if place.old and not place.new]
    broken = [node for node, is_available in alone if not is_available]
    return broken + [node for node, is_available in alone if is_available][: max(0, surge - waiting - len(broken))], replaced


def _replaced(places: Sequence[_Place], max_unavailable: int) -> list[_Pod]:
    """Unavailable ones at once, available ones within `maxUnavailable`."""
    old = [place.old for place in places if place.old]
    available = sum(1 for place in places if any(pod.is_available for pod in place.pods))
    allowed = max(1, max_unavailable) - (len(places) - available)
    return [pod for pod in old if not pod.is_available] + [pod for pod in old if pod.is_available][: max(0, allowed)]


def _limit(strategy: Mapping[str, Any], field: str, default: int, wanted: int) -> int:
    """A number of pods, or a percentage of those that are wanted, rounded up."""
    value = (strategy.get("rollingUpdate") or {}).get(field, default)
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * wanted // 100)


def _pod(daemon_set: Manifest, node: str, hashed: str) -> Manifest:
    template = daemon_set["spec"]["template"]
    pod = pod_from(daemon_set, DAEMON_SET, template, {REVISION_HASH_LABEL: hashed})
    return {**pod, "spec": {**pod["spec"], "nodeName": node}}


def _status(daemon_set: Manifest, active: Sequence[_Pod], places: Sequence[_Place]) -> dict[str, Any]:
    """Of two pods on a node the older one counts."""
    first = [place.pods[0] for place in places if place.pods]
    available = sum(1 for pod in first if pod.is_available)
    wanted = {place.node for place in places}
    return {
        "observedGeneration": daemon_set["metadata"].get("generation", 1),
        "desiredNumberScheduled": len(places),
        "currentNumberScheduled": len(first),
        "numberMisscheduled": len({pod.node for pod in active} - wanted),
        "updatedNumberScheduled": sum(1 for pod in first if pod.is_new),
        "numberReady": sum(1 for pod in first if is_ready(pod.manifest)),
        "numberAvailable": available,
        "numberUnavailable": len(places) - available,
    }
