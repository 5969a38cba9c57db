"""Watches the API server's history while controllers come and go, and notes whatever breaks a property of design §3."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.api.canary import Canary
from flagger_py.kube.cluster import Cluster
from flagger_py.local.apiserver.store import DELETED, Change
from flagger_py.objects.resource import DEPLOYMENT, Manifest, Ref, Resource
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes, asked
from flagger_py.routers import registry as routers
from flagger_py.routers.base import RouterSettings
from flagger_py.routers.manifest import ManifestRouter
from tests.memory.cluster import NAMESPACE, MemoryCluster, wanted_pods

INTERVAL: Final = 10.0
RANKS: Final = ("", "Initializing", "Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising", "Succeeded")
"""The phases of one run, in their order; Failed may follow on any of them, and be left when a primary recovers."""
BACK: Final = {("WaitingPromotion", "Progressing"), ("Finalising", "Promoting"), ("Succeeded", "Waiting")}
"""When a gate opens, when a primary has failed and recovered while the canary drained, and before the run of a newer revision begins."""
THRESHOLD: Final = 2
TOLERANCE: Final = 2.0
"""Seconds in which a version may have become unready after it was looked at: a write may be slow."""


@dataclass(frozen=True, slots=True)
class Split:
    """What the route carries from a moment on."""

    at: float
    routes: Routes


@dataclass
class Guard:
    """Attached to a cluster once; `problems` is empty as long as all is well."""

    cluster: MemoryCluster
    provider: str
    target: Resource = DEPLOYMENT
    problems: list[str] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    primary_images: list[str] = field(default_factory=list)
    """Of each pod template that the primary was given."""
    statuses: list[Manifest] = field(default_factory=list)
    last_change: float = 0.0
    """When anything but an Event changed."""
    changes: int = 0
    is_strict: bool = True
    """Nobody but the controller changes anything; else only what holds whatever people do is looked at."""
    by_user: bool = False
    """Set while somebody else writes."""
    _unready_since: dict[str, float] = field(default_factory=dict)
    _canary: Manifest = field(default_factory=dict)
    _routing: dict[Ref, Manifest] = field(default_factory=dict)
    _reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with each status."""

    def __post_init__(self) -> None:
        router = routers.load(self.provider)
        settings = RouterSettings(self.provider)
        self._router = router(Cluster(self.cluster.client).objects(), settings) if issubclass(router, ManifestRouter) else None
        watched = [one.resource for one in router.resources(self.provider)]
        self._routing_kinds = {(resource.group, resource.plural): resource for resource in watched}
        self.cluster.server.state.store.listeners.append(self._on_change)

    async def until(self, condition: Callable[[Manifest], bool], seconds: float = 600) -> None:
        """Wait until the status meets a condition."""
        try:
            async with asyncio.timeout(seconds):
                while not condition(self.status):
                    self._reached.clear()
                    await self._reached.wait()
        except TimeoutError as error:
            raise AssertionError(f"not reached within {seconds} s: {self.status}") from error

    async def until_phase(self, phase: str) -> None:
        """Wait until the Canary is in this phase."""
        await self.until(lambda status: status.get("phase") == phase)

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
    def traffic(self) -> tuple[Routes, ...]:
        """What the routes have carried, in turn."""
        return tuple(split.routes for split in self.splits)

    def _on_change(self, group: str, plural: str, change: Change) -> None:
        if plural == "events" or change.key[0] != NAMESPACE:
            return
        self.changes, self.last_change = self.changes + 1, _time()
        before = change.previous.manifest if change.previous else None
        after = None if change.type == DELETED else change.record.manifest
        name = change.key[1]
        if plural == self.target.plural and after is not None:
            self._note_readiness(name, after)
        if after is None:
            self._expect(self.by_user or plural not in {self.target.plural, "services", "canaries"}, f"{plural} {name} is not deleted")
            return
        match plural, name:
            case self.target.plural, "web":
                self._on_target(before, after)
            case self.target.plural, "web-primary":
                self._on_primary(before, after)
            case "services", "web" if not self.by_user:
                self._expect(after["spec"]["selector"]["app"] == "web-primary", "the apex Service selects the primary")
                self._expect(self._is_ready("web-primary"), "the apex Service selects the primary only when that is ready")
            case "canaries", _:
                self._on_canary(after)
            case _ if resource := self._routing_kinds.get((group, plural)):
                self._routing[Ref(resource, NAMESPACE, name)] = after
                self._on_routes()
            case _:
                pass

    def _on_routes(self) -> None:
        if self._router is None:
            return
        routes = asked(self._router.read(Canary.model_validate(self._canary), self._routing))
        last = self.splits[-1] if self.splits else Split(0.0, Routes(0, 100))
        if routes is None or (self.splits and routes == last.routes):
            return
        split = Split(_time(), routes)
        self.splits.append(split)
        self._expect(self.by_user or routes == self.stored, f"{routes} was stored before it was routed, not {self.stored}")
        if not self.splits[:-1] or self.by_user:
            return
        if routes.canary > last.routes.canary or routes.mirrored > last.routes.mirrored:
            self._expect(self._is_ready("web"), f"the canary is ready when it gets {routes}")
            is_over = last.routes == ALL_PRIMARY or split.at - last.at >= INTERVAL
            self._expect(not self.is_strict or is_over, f"{last} was live for a whole interval")
        if routes.primary > last.routes.primary:
            self._expect(self._is_ready("web-primary"), f"the primary is ready when it gets {routes}")

    @property
    def stored(self) -> Routes:
        desired = self.record.get("desired") or {}
        canary, has_match = desired.get("canary", 0), bool(self._canary["spec"]["analysis"].get("match"))
        is_for_everyone = has_match and bool(self.record.get("servingCanary")) and canary > 0
        return Routes(desired.get("primary", 100), canary, bool(desired.get("mirrored")), everyone=is_for_everyone)

    def _on_target(self, before: Manifest | None, after: Manifest) -> None:
        if before and wanted_pods(before) > 0 == wanted_pods(after) and not self.by_user:
            has_traffic = self._router is not None and (not self.splits or self.splits[-1].routes not in (ALL_PRIMARY,))
            self._expect(not has_traffic, "the target loses its pods only when it has no traffic")

    def _on_primary(self, before: Manifest | None, after: Manifest) -> None:
        if self.by_user or (before and before["spec"]["template"] == after["spec"]["template"]):
            return
        self.primary_images.append(image_of(after))
        if before:
            self._expect(bool(self.record.get("promoting")), "the promotion was stored before the primary was touched")
        is_of_target = image_of(after) == image_of(self._workload("web"))
        self._expect(is_of_target or not self.is_strict, "the primary is given what the target has")

    def _on_canary(self, canary: Manifest) -> None:
        self._canary = canary
        status, before = canary.get("status") or {}, self.status
        if status == before:
            return
        self.statuses.append(status)
        self._reached.set()
        record, old = status.get("rollout") or {}, before.get("rollout") or {}
        if record.get("run") == old.get("run"):
            phase, was = status["phase"], before.get("phase", "")
            is_next = "Failed" in (phase, was) or RANKS.index(phase) >= RANKS.index(was) or (was, phase) in BACK
            self._expect(is_next, f"{was} is not followed by {phase} in a run")
            self._expect(self._keeps_cookie(before, status), "the cookie of the canary lasts for the run")
            self._expect(record.get("step", 0) - old.get("step", 0) in (0, 1), "steps are taken one by one")
        self._expect(status.get("failedChecks", 0) <= THRESHOLD, "a check counts once")

    @staticmethod
    def _keeps_cookie(before: Manifest, after: Manifest) -> bool:
        cookies = {before.get("sessionAffinityCookie") or "", after.get("sessionAffinityCookie") or ""} - {""}
        return len(cookies) <= 1

    def _is_ready(self, name: str) -> bool:
        since = self._unready_since.get(name)
        return since is None or (not self.is_strict and _time() - since < TOLERANCE)

    def _note_readiness(self, name: str, manifest: Manifest) -> None:
        is_stopped = not self.is_strict and name == "web-primary" and wanted_pods(manifest) == 0  # by a user, who means it
        if is_stopped or _is_ready(manifest):
            self._unready_since.pop(name, None)
        else:
            self._unready_since.setdefault(name, _time())

    def _workload(self, name: str) -> Manifest:
        return self.cluster.server.state.store.collection(self.target.group, self.target.plural).records[NAMESPACE, name].manifest

    def _expect(self, holds: bool, claim: str) -> None:
        if not holds:
            self.problems.append(f"at {_time():.1f} s does not hold: {claim}")


def _is_ready(manifest: Manifest) -> bool:
    status = manifest.get("status") or {}
    is_observed: bool = status.get("observedGeneration") == manifest["metadata"]["generation"]
    return is_observed and (status.get("availableReplicas") or status.get("numberAvailable") or 0) > 0


def image_of(workload: Manifest) -> str:
    """The image of the first container."""
    containers: list[dict[str, Any]] = workload["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"])


def _time() -> float:
    return asyncio.get_running_loop().time()
