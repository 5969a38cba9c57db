"""What the primary was given, kept as ControllerRevisions, so that a deleted primary can be created again (design §5)."""

import hashlib
from abc import ABC, abstractmethod

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.errors import Forbidden
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CONTROLLER_REVISION, Manifest, Ref
from flagger_py.rollout.identity import promotion_id
from flagger_py.workloads.metadata import annotations_of, labels_of, owner_reference
from flagger_py.workloads.template import canonical, summary_of
from flagger_py.workloads.writing import replace, retry_conflicts

KEPT = 3
CANARY_UID_LABEL = "flagger.app/canary-uid"
NAME_STEM_LIMIT = 200

log = structlog.get_logger()


class SnapshotForm(ABC):
    """What of a primary makes it the one that it is."""

    @abstractmethod
    def content(self, primary: Manifest) -> Manifest:
        """Two primaries with the same content have one snapshot."""

    @abstractmethod
    def promotion_id(self, canary: Canary, primary: Manifest) -> str:
        """The `identity.promotion_id` of what it carries."""


class TemplateForm(SnapshotForm):
    """For workloads: the pod template."""

    def content(self, primary: Manifest) -> Manifest:
        template: Manifest = primary["spec"]["template"]
        return template

    def promotion_id(self, canary: Canary, primary: Manifest) -> str:
        del canary
        return summary_of(primary["spec"]["template"]).promotion_id


class Snapshots:
    """Writes and finds them. The right to ControllerRevisions is optional: without it nothing is kept, and that is logged once."""

    def __init__(self, objects: Objects, form: SnapshotForm) -> None:
        self._objects = objects
        self._form = form
        self._is_forbidden = False

    async def keep(self, canary: Canary, primary: Manifest) -> None:
        """Make this primary's template the newest snapshot; nothing is written where it is already."""
        try:
            await retry_conflicts(lambda: self._keep(canary, primary))
        except Forbidden as error:
            self._report(error)

    async def restorable(self, canary: Canary) -> Manifest | None:
        """The metadata and spec that the primary was given last, to create it from; `None` where that is not known."""
        try:
            snapshots = await self._all(canary)
        except Forbidden as error:
            self._report(error)
            return None
        return choose(canary, [snapshot["data"] for snapshot in snapshots], self._form)

    async def _keep(self, canary: Canary, primary: Manifest) -> None:
        snapshots = await self._all(canary)
        snapshot = new_snapshot(canary, primary, self._form, revision=_next_revision(snapshots))
        name = snapshot["metadata"]["name"]
        same = next((existing for existing in snapshots if existing["metadata"]["name"] == name), None)
        if same is None:
            await self._objects.create(CONTROLLER_REVISION, snapshot)
        elif same is not snapshots[0]:
            await replace(self._objects, Ref.of(CONTROLLER_REVISION, same), same, {**same, "revision": snapshot["revision"]})
        others = [existing for existing in snapshots if existing is not same]
        for outdated in others[KEPT - 1 :]:
            await self._objects.delete(Ref.of(CONTROLLER_REVISION, outdated), uid=outdated["metadata"]["uid"])

    async def _all(self, canary: Canary) -> list[Manifest]:
        """Newest first."""
        selector = f"{CANARY_UID_LABEL}={canary.metadata.uid}"
        snapshots = await self._objects.find(CONTROLLER_REVISION, canary.namespace, selector)
        return sorted(snapshots, key=lambda snapshot: int(snapshot["revision"]), reverse=True)

    def _report(self, error: Forbidden) -> None:
        if not self._is_forbidden:
            log.warning("primary_snapshots_forbidden", error=error.message, effect="a deleted primary cannot be restored")
        self._is_forbidden = True


def new_snapshot(canary: Canary, primary: Manifest, form: SnapshotForm, *, revision: int) -> Manifest:
    """The ControllerRevision that holds what this primary is created or patched to. Its name follows from the content."""
    digest = hashlib.sha256(canary.metadata.uid.encode() + canonical(form.content(primary))).hexdigest()[:16]
    metadata = {
        "name": f"{canary.name[:NAME_STEM_LIMIT].rstrip('-.')}-{digest}",
        "namespace": canary.namespace,
        "labels": {CANARY_UID_LABEL: canary.metadata.uid},
        "ownerReferences": [owner_reference(canary)],
    }
    data = {"metadata": {"labels": labels_of(primary), "annotations": annotations_of(primary)}, "spec": primary["spec"]}
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": metadata,
        "revision": revision,
        "data": data,
    }


def choose(canary: Canary, newest_first: list[Manifest], form: SnapshotForm) -> Manifest | None:
    """The snapshot to restore: the one that the status says the primary carries, else the newest.

    They differ where a snapshot was written for a promotion that was given up before it reached the primary.
    """
    record = canary.status.rollout
    if record is not None and record.promoted_revision and not record.promoting:
        carried = promotion_id(canary.metadata.uid, record.promoted_revision, record.promoted_configs)
        for data in newest_first:
            if form.promotion_id(canary, data) == carried:
                return data
    return next(iter(newest_first), None)


def _next_revision(newest_first: list[Manifest]) -> int:
    return int(newest_first[0]["revision"]) + 1 if newest_first else 1
