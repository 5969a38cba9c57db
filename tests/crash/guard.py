"""Watches the API server's history while controllers come and go, and notes whatever breaks a property of design §3."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.local.apiserver.store import DELETED, Change
from flagger_py.objects.resource import Manifest
from tests.memory.cluster import NAMESPACE, MemoryCluster

INTERVAL: Final = 10.0
RANKS: Final = ("", "Initializing", "Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising", "Succeeded")
"""The phases of one run, in their order; Failed may follow on any of them."""


@dataclass(frozen=True, slots=True)
class Split:
    """What the route carries from a moment on."""

    at: float
    primary: int
    canary: int


@dataclass
class Guard:
    """Attached to a cluster once; `problems` is empty as long as all is well."""

    cluster: MemoryCluster
    problems: list[str] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    primary_images: list[str] = field(default_factory=list)
    """Of each pod template that the primary was given."""
    statuses: list[Manifest] = field(default_factory=list)
    last_change: float = 0.0
    """When anything but an Event changed."""
    changes: int = 0

    def __post_init__(self) -> None:
        self.cluster.server.state.store.listeners.append(self._on_change)

    @property
    def status(self) -> Manifest:
        """The Canary's, as stored."""
        return self.statuses[-1] if self.statuses else {}

    @property
    def record(self) -> Manifest:
        found: Manifest = self.status.get("rollout") or {}
        return found

    @property
    def runs(self) -> list[str]:
        """The ids of all runs that were begun."""
        return list(dict.fromkeys(run for status in self.statuses if (run := (status.get("rollout") or {}).get("run"))))

    @property
    def weights(self) -> list[tuple[int, int]]:
        return [(split.primary, split.canary) for split in self.splits]

    def _on_change(self, _: str, plural: str, change: Change) -> None:
        if plural == "events" or change.key[0] != NAMESPACE:
            return
        self.changes, self.last_change = self.changes + 1, _time()
        before = change.previous.manifest if change.previous else None
        after = None if change.type == DELETED else change.record.manifest
        match plural, change.key[1], after:
            case "httproutes", _, dict():
                self._on_route(after)
            case "deployments", "web", dict():
                self._on_target(before, after)
            case "deployments", "web-primary", dict():
                self._on_primary(before, after)
            case "services", "web", dict():
                self._expect(after["spec"]["selector"]["app"] == "web-primary", "the apex Service selects the primary")
                self._expect(self._is_ready("web-primary"), "the apex Service selects the primary only when that is ready")
            case "canaries", _, dict():
                self._on_canary(after)
            case "deployments" | "httproutes" | "services" | "canaries", name, None:
                self.problems.append(f"{plural} {name} was deleted")
            case _:
                pass

    def _on_route(self, route: Manifest) -> None:
        weights = {backend["name"]: backend["weight"] for backend in route["spec"]["rules"][-1]["backendRefs"]}
        split = Split(_time(), weights.get("web-primary", 0), weights.get("web-canary", 0))
        last = self.splits[-1] if self.splits else Split(0.0, 0, 0)
        if (split.primary, split.canary) == (last.primary, last.canary):
            return
        self.splits.append(split)
        self._expect(split.primary + split.canary == 100, "weights sum to 100")
        wanted = self.record.get("desired") or {"primary": 100, "canary": 0}
        is_stored = (wanted["primary"], wanted.get("canary", 0)) == (split.primary, split.canary)
        self._expect(is_stored, f"{split} was stored before it was routed, not {wanted}")
        if split.canary > last.canary:
            self._expect(self._is_ready("web"), f"the canary is ready when it gets {split.canary} %")
            self._expect(last.canary == 0 or split.at - last.at >= INTERVAL, f"{last} was live for a whole interval")
        if split.primary > last.primary:
            self._expect(self._is_ready("web-primary"), f"the primary is ready when it gets {split.primary} %")

    def _on_target(self, before: Manifest | None, after: Manifest) -> None:
        if before and before["spec"]["replicas"] > 0 == after["spec"]["replicas"]:
            has_traffic = not self.splits or self.splits[-1].canary > 0
            self._expect(not has_traffic, "the target loses its pods only when it has no traffic")

    def _on_primary(self, before: Manifest | None, after: Manifest) -> None:
        if before and before["spec"]["template"] == after["spec"]["template"]:
            return
        self.primary_images.append(image_of(after))
        if before:
            self._expect(bool(self.record.get("promoting")), "the promotion was stored before the primary was touched")
        self._expect(image_of(after) == image_of(self._deployment("web")), "the primary is given what the target has")

    def _on_canary(self, canary: Manifest) -> None:
        status, before = canary.get("status") or {}, self.status
        if status == before:
            return
        self.statuses.append(status)
        record, old = status.get("rollout") or {}, before.get("rollout") or {}
        if record.get("run") == old.get("run"):
            phase, was = status["phase"], before.get("phase", "")
            self._expect(phase == "Failed" or RANKS.index(phase) >= RANKS.index(was), f"{was} is not followed by {phase} in a run")
            self._expect(record.get("step", 0) - old.get("step", 0) in (0, 1), "steps are taken one by one")
        self._expect(status.get("failedChecks", 0) <= 2, "a check counts once")

    def _is_ready(self, name: str) -> bool:
        manifest = self._deployment(name)
        status = manifest.get("status") or {}
        is_observed: bool = status.get("observedGeneration") == manifest["metadata"]["generation"]
        return is_observed and status.get("availableReplicas", 0) > 0

    def _deployment(self, name: str) -> Manifest:
        return self.cluster.server.state.store.collection("apps", "deployments").records[NAMESPACE, name].manifest

    def _expect(self, holds: bool, claim: str) -> None:
        if not holds:
            self.problems.append(f"at {_time():.1f} s does not hold: {claim}")


def image_of(deployment: Manifest) -> str:
    """The image of the first container."""
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"])


def _time() -> float:
    return asyncio.get_running_loop().time()
