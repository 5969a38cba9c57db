"""Whether users are served at every moment: by the apex Service, and by a route that leads to it or to the two versions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.local.apiserver.store import Change
from flagger_py.objects.resource import Manifest
from tests.memory.cluster import NAMESPACE, MemoryCluster, wanted_pods

ROUTES: Final = {"httproutes", "virtualservices", "httpproxies"}
_KINDS: Final = ROUTES | {"services", "deployments", "daemonsets"}
_NAMES: Final = ("web", "web-primary", "web-canary")


@dataclass
class Serving:
    """Attached to a cluster whose app serves already. Routes and Services are looked at with each change of anything."""

    cluster: MemoryCluster
    problems: list[str] = field(default_factory=list)
    _objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster.server.state.store.listeners.append(self._on_change)

    def _on_change(self, _: str, plural: str, change: Change) -> None:
        if plural not in _KINDS or change.key[0] != NAMESPACE:
            return
        self._objects.pop((plural, change.key[1]), None)
        if change.type != "DELETED":
            self._objects[plural, change.key[1]] = change.record.manifest
        what = f"{change.type.lower()} {plural} {change.key[1]}"
        self.problems += [f"{problem} after {what}" for problem in self._look()]

    def _look(self) -> Iterator[str]:
        if not self._is_served("web"):
            yield "the apex Service leads to no pod"
        for plural in ROUTES:
            route = self._objects.get((plural, "web"))
            for backend in sorted(_backends(route["spec"])) if route else ():
                if not self._is_served(backend):
                    yield f"the route sends to {backend}, which leads to no pod"

    def _is_served(self, service: str) -> bool:
        found = self._objects.get(("services", service))
        selected = ((found or {}).get("spec") or {}).get("selector", {}).get("app", "")
        workload = self._objects.get(("deployments", selected)) or self._objects.get(("daemonsets", selected)) or {}
        status = workload.get("status") or {}
        return bool(workload) and wanted_pods(workload) > 0 and (status.get("readyReplicas") or status.get("numberReady") or 0) > 0


def _backends(node: Any) -> set[str]:
    """The Services to which some requests go."""
    found: set[str] = set()
    if isinstance(node, list):
        for entry in node:
            found |= _backends(entry)
    elif isinstance(node, dict):
        name = node.get("name") or (node.get("destination") or {}).get("host")
        if name in _NAMES and node.get("weight", 1) > 0:
            found.add(str(name))
        for key, value in node.items():
            if key != "parentRefs":
                found |= _backends(value)
    return found
