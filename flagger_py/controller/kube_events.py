"""Kubernetes Events on a Canary, shaped as Flagger's are (engine:EVT-01), written so that repeats count up instead of piling up."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flagger_py.api.canary import Canary
from flagger_py.objects.errors import AlreadyExists, NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CANARY, EVENT, Manifest, Ref
from flagger_py.rollout.notices import Notice

COMPONENT: Final = "flagger"
REASON: Final = "Synced"
KEY_ANNOTATION: Final = "flagger.app/event-key"
"""The notice that counted last: one that comes again after a crash is not counted again."""
_MESSAGE_LIMIT: Final = 1024
"""As events.k8s.io has it, in characters."""
_NAME_LIMIT: Final = 253 - len(".0123456789abcdef")
_ATTEMPTS: Final = 3
"""An Event can run out between our calls; one that does so each time is given up."""
_REMEMBERED: Final = 2048
"""Events whose count is known without asking, for all Canaries together."""


def manifest(canary: Canary, notice: Notice, now: datetime) -> Manifest:
    """The Event for the first time that a notice is given.

    Its name comes from Canary, type and message, so that equal ones meet in one Event whoever wrote the first (EVT-02).
    """
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha256("\0".join((canary.metadata.uid, notice.severity.event_type, notice.message)).encode()).hexdigest()[:16]
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {
            "name": f"{canary.name[:_NAME_LIMIT].rstrip('.-')}.{digest}",
            "namespace": canary.namespace,
            "annotations": {KEY_ANNOTATION: notice.key},
        },
        "involvedObject": {
            "apiVersion": CANARY.api_version,
            "kind": CANARY.kind,
            "name": canary.name,
            "namespace": canary.namespace,
            "uid": canary.metadata.uid,
            "resourceVersion": canary.metadata.resource_version,
        },
        "type": notice.severity.event_type,
        "reason": REASON,
        "message": notice.message[:_MESSAGE_LIMIT],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


@dataclass(frozen=True, slots=True)
class _Counted:
    count: int
    key: str


class KubernetesEvents:
    """Writes Events: one create for a new one, one patch for a repeat."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._counted: OrderedDict[Ref, _Counted] = OrderedDict()

    async def write(self, event: Manifest) -> None:
        """Create the Event, or count it up where an equal one exists; nothing where this very notice was counted last.

        Raises `ApiError`.
        """
        ref, key = Ref.of(EVENT, event), event["metadata"]["annotations"][KEY_ANNOTATION]
        for _ in range(_ATTEMPTS):
            known = self._counted.get(ref) or await self._first(ref, event)
            if known.key != key:
                known = _Counted(known.count + 1, key)
                if not await self._count_up(ref, event, known):
                    self._counted.pop(ref, None)  # its time to live (1 h by default) has run out: begin again
                    continue
            self._remember(ref, known)
            return

    async def _first(self, ref: Ref, event: Manifest) -> _Counted:
        """Create the Event, or read how often the one that exists was counted."""
        try:
            created = await self._objects.create(EVENT, event)
        except AlreadyExists:
            created = await self._objects.get(ref) or {"metadata": {}, "count": 0}
        return _Counted(created.get("count") or 1, (created["metadata"].get("annotations") or {}).get(KEY_ANNOTATION, ""))

    async def _count_up(self, ref: Ref, event: Manifest, counted: _Counted) -> bool:
        """Store the count after this repeat; false where the Event is gone."""
        annotations = {KEY_ANNOTATION: counted.key}
        body = {"metadata": {"annotations": annotations}, "count": counted.count, "lastTimestamp": event["lastTimestamp"]}
        try:
            await self._objects.patch(ref, MergePatch(body))
        except NotFound:
            return False
        return True

    def _remember(self, ref: Ref, counted: _Counted) -> None:
        self._counted[ref] = counted
        self._counted.move_to_end(ref)
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
