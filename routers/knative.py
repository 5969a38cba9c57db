"""Provider `knative`: the traffic of the user's Knative Service, split between two of its Revisions (routers:KNA)."""

from collections.abc import Callable, Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.objects.knative import (
    KNATIVE_REVISION,
    KNATIVE_SERVICE,
    PRIMARY_REVISION,
    condition,
    obstacle,
    primary_revision,
    unobserved,
)
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.routers.backends import percentages
from flagger_py.routers.base import RouterError, Watched
from flagger_py.routers.manifest import Live, ManifestRouter

Entry = Mapping[str, Any]


class KnativeRouter(ManifestRouter):
    """Weights only. The object is the user's; of its spec nothing but `traffic` is written."""

    @classmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        """With what the target needs: the one is no use without the other."""
        return (
            Watched(KNATIVE_SERVICE, ("get", "list", "watch", "patch")),
            Watched(KNATIVE_REVISION, ("get", "list", "watch")),
        )

    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities(weights=True)

    def routing_objects(self, canary: Canary) -> tuple[Ref, ...]:
        return (_ref(canary),)

    def read(self, canary: Canary, live: Live) -> Routes | Pending:
        """What Knative has taken over; what is asked of it where that is not so yet (routers:KNA-03)."""
        ref = _ref(canary)
        if ref not in live:
            return Pending(f"{ref} does not exist yet")
        service = live[ref]
        asks = _asked(ref, service)
        if asks is None:
            return Pending(f"{ref} does not split its traffic yet")
        if reason := _not_taken_over(service):
            return Pending(f"{ref}: {reason}", asks)
        found = _split(service, (service.get("status") or {}).get("traffic") or [])
        return asks if found == (asks.primary, asks.canary) else Pending(f"{ref}: Knative has not taken over the traffic yet", asks)

    def render(self, canary: Canary, traffic: Traffic, live: Live) -> dict[Ref, Manifest]:
        ref = _ref(canary)
        if ref not in live:
            return {}  # there is nothing to split, and what there would be is the user's to make
        service = live[ref]
        if not primary_revision(service):
            raise RouterError(f"{ref}: metadata.annotations[{PRIMARY_REVISION}]: must name the Revision that serves users")
        return {ref: _with_traffic(service, _entries(service, traffic.routes))}

    def revert(self, canary: Canary, live: Live) -> dict[Ref, Manifest]:
        """All traffic follows the latest Revision again, as without a Canary (workloads:KN-08). One that was never split stays as it is."""
        ref = _ref(canary)
        if ref not in live or not primary_revision(live[ref]):
            return {}
        service = live[ref]
        annotations = {key: value for key, value in service["metadata"]["annotations"].items() if key != PRIMARY_REVISION}
        metadata = {key: value for key, value in service["metadata"].items() if key != "annotations"}
        latest = _first(service, _is_latest)
        entries = [_tagged({"latestRevision": True, "percent": 100}, latest), *_tags_besides(service, latest)]
        reverted = _with_traffic(service, entries)
        return {ref: {**reverted, "metadata": metadata | ({"annotations": annotations} if annotations else {})}}

    def objection(self, ref: Ref, manifest: Manifest) -> str:
        return _not_taken_over(manifest)

    async def prepare_finalize(self, canary: Canary) -> None:
        """Knative knows all its Revisions."""

    def normalise(self, ref: Ref, spec: Any) -> Any:
        """Only the traffic is compared: the rest is not ours. Knative's webhook says of each entry whether it is the latest Revision."""
        entries = spec.get("traffic") or []
        return {"traffic": [{**entry, "percent": entry.get("percent") or 0, "latestRevision": _is_latest(entry)} for entry in entries]}


def _ref(canary: Canary) -> Ref:
    return Ref(KNATIVE_SERVICE, canary.namespace, canary.spec.target_ref.name)


def _entries(service: Manifest, routes: Routes) -> list[dict[str, Any]]:
    """Canary and primary, and what the user has given a tag, so that its address stays (routers:KNA-02)."""
    primary = primary_revision(service)
    latest, stable = _first(service, _is_latest), _first(service, lambda entry: _is_stable(entry, primary))
    return [
        _tagged({"latestRevision": True, "percent": routes.canary}, latest),
        _tagged({"revisionName": primary, "percent": routes.primary}, stable),
        *_tags_besides(service, latest, stable),
    ]


def _tags_besides(service: Manifest, *ours: Entry | None) -> list[dict[str, Any]]:
    """The entries with a tag that are none of ours, without traffic."""
    entries = service["spec"].get("traffic") or ()
    return [{**entry, "percent": 0} for entry in entries if entry.get("tag") and not any(entry is own for own in ours)]


def _tagged(entry: dict[str, Any], before: Entry | None) -> dict[str, Any]:
    return entry | ({"tag": before["tag"]} if before and before.get("tag") else {})


def _first(service: Manifest, claim: Callable[[Entry], bool]) -> Entry | None:
    return next(filter(claim, service["spec"].get("traffic") or ()), None)


def _is_stable(entry: Entry, primary: str) -> bool:
    return not _is_latest(entry) and entry.get("revisionName") == primary


def _is_latest(entry: Entry) -> bool:
    """What is said of it; where nothing is, a Revision that is named is not the latest one (routers:KNA-03)."""
    said = entry.get("latestRevision")
    return not entry.get("revisionName") if said is None else bool(said)


def _with_traffic(service: Manifest, entries: list[dict[str, Any]]) -> Manifest:
    return {**service, "spec": {**service["spec"], "traffic": entries}}


def _asked(ref: Ref, service: Manifest) -> Routes | None:
    """The weights that the spec asks for; `None` where it names no primary. Raises `UnreadableRoutes`."""
    entries = service["spec"].get("traffic") or []
    primary = primary_revision(service)
    if not primary or not any(_is_stable(entry, primary) for entry in entries):
        return None
    return Routes(*percentages(ref, "spec.traffic", *_split(service, entries)))


def _split(service: Manifest, entries: list[Entry]) -> tuple[int, int]:
    """The shares of the primary and of the latest Revision, which are the same one after a promotion (workloads:KN-07)."""
    primary = primary_revision(service)
    of_latest = sum(entry.get("percent") or 0 for entry in entries if _is_latest(entry))
    of_primary = sum(entry.get("percent") or 0 for entry in entries if _is_stable(entry, primary))
    return of_primary, of_latest


def _not_taken_over(service: Manifest) -> str:
    """Why requests do not go where the spec says; empty where they do, as far as Knative says it."""
    if reason := unobserved(service):
        return reason
    ready = condition(service, "RoutesReady")
    return obstacle(ready) if ready is not None else ""
