"""The finalizer on a Canary: a patch of `metadata.finalizers` alone, rendered from the object as it is now (workloads:FIN-13)."""

from collections.abc import Callable

import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.metadata import FINALIZER
from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch, pinned
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CANARY, Manifest, Ref
from flagger_py.workloads.writing import retry_conflicts

log = structlog.get_logger(__name__)

Finalizers = list[str]


async def add_finalizer(objects: Objects, canary: Canary) -> None:
    """Put it on; nothing happens where it is on, or where the Canary is being deleted, which the server would refuse."""
    await _change(objects, canary, _with_finalizer)


async def remove_finalizer(objects: Objects, canary: Canary) -> None:
    """Take it off, however often it is on (workloads:FIN-13), and leave others' on. A Canary that is gone is no error."""
    await _change(objects, canary, lambda manifest: [name for name in _finalizers(manifest) if name != FINALIZER])


def _with_finalizer(manifest: Manifest) -> Finalizers:
    names = _finalizers(manifest)
    return names if FINALIZER in names or "deletionTimestamp" in manifest["metadata"] else [*names, FINALIZER]


def _finalizers(manifest: Manifest) -> Finalizers:
    return list(manifest["metadata"].get("finalizers") or [])


async def _change(objects: Objects, canary: Canary, render: Callable[[Manifest], Finalizers]) -> None:
    ref = Ref(CANARY, canary.namespace, canary.name)

    async def attempt() -> None:
        live = await objects.get(ref)
        if live is None or live["metadata"]["uid"] != canary.metadata.uid or (wanted := render(live)) == _finalizers(live):
            return
        try:
            await objects.patch(ref, pinned(MergePatch({"metadata": {"finalizers": wanted or None}}), live))
        except NotFound:
            return
        log.info("finalizers_written", finalizers=wanted)

    await retry_conflicts(attempt)
