"""CustomResourceDefinitions at work: what is created, changed or deleted there is served, served anew, or no longer served."""

from datetime import datetime, timedelta
from typing import Any, Final

from flagger_py.local.apiserver.custom import CustomStrategy, custom_kinds
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import too_many_requests
from flagger_py.local.apiserver.store import ADDED, DELETED, Change
from flagger_py.objects.resource import Manifest

GROUP: Final = "apiextensions.k8s.io"
PLURAL: Final = "customresourcedefinitions"
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"


class Definitions:
    """Keeps the registry in step with the CRDs of the store. `initializing` is how long a new resource answers 429, as real ones may."""

    def __init__(self, state: State, initializing: timedelta = timedelta(0)) -> None:
        self._state = state
        self._initializing = initializing
        self._ready_at: dict[tuple[str, str], datetime] = {}
        state.store.listeners.append(self._changed)

    def check_ready(self, kind: Kind) -> None:
        """Raises 429 for a resource whose definition is too young."""
        ready_at = self._ready_at.get((kind.resource.group, kind.resource.plural))
        if ready_at is not None and self._state.now() < ready_at:
            raise too_many_requests("storage is (re)initializing", 1)

    def _changed(self, group: str, plural: str, change: Change) -> None:
        if (group, plural) != (GROUP, PLURAL):
            return
        crd = change.record.manifest
        served = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        if change.type == DELETED:
            self._state.registry.set_custom(*served, [])
            self._state.store.drop(*served)
        elif change.previous is None or change.previous.manifest["spec"] != crd["spec"]:
            self._serve(served, crd)
        if change.type == ADDED:
            self._establish(change)

    def _serve(self, served: tuple[str, str], crd: Manifest) -> None:
        self._state.registry.set_custom(*served, custom_kinds(crd))
        self._state.store.collection(*served).close_watches()
        if self._initializing:
            self._ready_at[served] = self._state.now() + self._initializing

    def _establish(self, change: Change) -> None:
        """Accept the names, as the API server does by itself a moment after the creation."""
        kind = self._state.registry.find(GROUP, "v1", PLURAL)
        if kind is not None:
            crd = change.record.fresh()
            crd["status"] = established_status(crd, self._state.timestamp())
            self._state.put(kind, change.key, crd)


def unsupported_rules(crd: Manifest) -> list[str]:
    """Validation rules of a CRD that this server does not check, as warnings."""
    strategies = (kind.strategy for kind in custom_kinds(crd))
    return [rule for one in strategies if isinstance(one, CustomStrategy) for rule in one.unsupported_rules]


def pending_status(crd: Manifest) -> dict[str, Any]:
    """The status of a CRD in the moment of its creation."""
    return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": _stored_versions(crd)}


def established_status(crd: Manifest, now: str) -> dict[str, Any]:
    """The status of a CRD whose names nobody else has."""
    names, established = "the initial names have been accepted", {"type": "Established", "status": "True", "lastTransitionTime": now}
    accepted = {
        "type": "NamesAccepted",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "NoConflicts",
        "message": "no conflicts found",
    }
    return {
        "conditions": [accepted, {**established, "reason": "InitialNamesAccepted", "message": names}],
        "acceptedNames": crd["spec"]["names"],
        "storedVersions": _stored_versions(crd),
    }


def _stored_versions(crd: Manifest) -> list[str]:
    return [version["name"] for version in crd["spec"].get("versions", []) if version.get("storage")]
