"""Status writes: a merge patch of what differs, as a compare-and-swap on the Canary that was decided on (design §4)."""

from typing import Any, Protocol

from flagger_py.api.status import CanaryStatus
from flagger_py.objects.patch import MergePatch, merge_patch, pinned
from flagger_py.objects.resource import CANARY, Manifest, Ref


class StatusObjects(Protocol):
    """The one write that status needs."""

    async def patch(self, ref: Ref, patch: MergePatch, *, subresource: str = "", field_validation: str = "") -> Manifest: ...


async def write_status(objects: StatusObjects, manifest: Manifest, status: CanaryStatus) -> Manifest:
    """Store the status and return the Canary as it is then. Fields that we do not model stay.

    Raises `Conflict` where the Canary is no longer the one that was decided on, and `Invalid` where the installed CRD would prune
    `status.rollout` (design §5: our CRD comes first).
    """
    stored: dict[str, Any] = manifest.get("status") or {}
    wanted = status.to_manifest()
    difference = merge_patch(stored, wanted)
    patch = pinned(MergePatch({"status": difference.body}), manifest)
    strict = "Strict" if status.rollout is not None else ""
    return await objects.patch(Ref.of(CANARY, manifest), patch, subresource="status", field_validation=strict)
