"""The autoscalers of one Canary: what is observed of them, and what is done to them (workloads:§4)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.errors import Forbidden, NotServed
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.views import NO_SCALER, ReplicaLimits, ScalerView
from flagger_py.workloads import writing
from flagger_py.workloads.autoscaling.copies import Copying
from flagger_py.workloads.autoscaling.horizontal import HorizontalPodAutoscalerKind
from flagger_py.workloads.autoscaling.keda import ScaledObjectKind
from flagger_py.workloads.autoscaling.kind import ScalerKind
from flagger_py.workloads.base import PRIMARY_SUFFIX, Watched, WorkloadError
from flagger_py.workloads.metadata import controlling_canary
from flagger_py.workloads.primary import require_own_primary
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.writing import amend, retry_conflicts

KINDS: Final[Mapping[str, ScalerKind]] = {kind.resource.kind: kind for kind in (HorizontalPodAutoscalerKind(), ScaledObjectKind())}
VERBS: Final = ("get", "list", "watch", "create", "patch", "delete")

log = structlog.get_logger(__name__)


class Scalers:
    """The target's autoscaler and the primary's copy of it. All methods may raise `ApiError` and `WorkloadError`, but for `view`.

    Nothing is written where nothing differs in meaning; of the target's own, only the annotation that pauses it.
    """

    def __init__(self, objects: Objects, settings: WorkloadSettings) -> None:
        self.objects = objects
        self.settings = settings

    @classmethod
    def resources(cls) -> tuple[Watched, ...]:
        """What is watched and what RBAC needs; a kind is watched only where a Canary names it."""
        return tuple(Watched(kind.resource, VERBS) for kind in KINDS.values())

    async def view(self, canary: Canary) -> ScalerView:
        """What there is, by the cache; whatever is wrong with an autoscaler is told in it."""
        has_former = await self._has_former(canary)
        return replace(await self._view(canary), has_former=has_former)

    async def _view(self, canary: Canary) -> ScalerView:
        name = reference(canary)
        if not name:
            return NO_SCALER
        kind, source_ref, copy_ref = _refs(canary, name)
        try:
            source, live = await self.objects.read(source_ref), await self.objects.read(copy_ref)
        except (NotServed, Forbidden) as error:
            text = f"spec.autoscalerRef: {source_ref} cannot be read: {error.message}"
            return ScalerView(ref=name, problem=text, is_hidden=isinstance(error, Forbidden))
        if source is None:
            return ScalerView(ref=name, problem=f"spec.autoscalerRef: {source_ref} does not exist")
        if not (source.get("spec") or {}).get("scaleTargetRef"):
            return ScalerView(ref=name, problem=f"spec.autoscalerRef: {source_ref} has no spec.scaleTargetRef")
        seen = ScalerView(ref=name, is_paused=kind.is_paused(source), start_replicas=max(kind.limits(source).least, 1))
        try:
            return _compared(seen, Copying(kind, canary, source, self.settings.include_label_prefixes), live)
        except WorkloadError as error:
            return replace(seen, problem=str(error))

    async def _has_former(self, canary: Canary) -> bool:
        record = canary.status.rollout
        if record is None or not record.autoscaler or record.autoscaler == reference(canary):
            return False
        try:
            former = await self.objects.read(_refs(canary, record.autoscaler)[2])
        except (NotServed, Forbidden):
            return False
        return former is not None and _is_ours(canary, former)

    async def keep_copy(self, canary: Canary, least: int, *, whole: bool) -> None:
        """Create the primary's, or bring it in step, with at least so many least replicas.

        Without `whole` no limit sinks, and all but the limits waits.
        """
        kind, source_ref, copy_ref = _refs(canary, reference(canary))

        async def attempt() -> None:
            source, live = await self.objects.read(source_ref), await self.objects.get(copy_ref)
            if source is None:
                raise WorkloadError(f"spec.autoscalerRef: {source_ref} does not exist")
            copying = Copying(kind, canary, source, self.settings.include_label_prefixes)
            if live is None:
                await self.objects.create(kind.resource, copying.new(least))
                log.info("primary_autoscaler_created", autoscaler=str(copy_ref))
                return
            require_own_primary(canary, live)
            wanted = copying.renewed(live, least) if whole else copying.raised(live, least)
            await writing.replace(self.objects, copy_ref, live, wanted)

        await retry_conflicts(attempt)

    async def pause(self, canary: Canary) -> None:
        """Let the target's leave a target at zero alone (workloads:KEDA-06)."""
        await self._set_paused(canary, paused=True)

    async def resume(self, canary: Canary) -> None:
        """Let the target's scale again; nothing happens where it or its kind is gone (workloads:FIN-10)."""
        try:
            await self._set_paused(canary, paused=False)
        except NotServed:
            return

    async def _set_paused(self, canary: Canary, *, paused: bool) -> None:
        name = reference(canary)
        if not name:
            return
        kind, source_ref, _ = _refs(canary, name)

        def changed(source: Manifest) -> dict[str, Any]:
            return {} if kind.is_paused(source) in (None, paused) else kind.pause_patch(paused=paused)

        await amend(self.objects, source_ref, changed)

    async def remove_former(self, canary: Canary, former: str) -> None:
        """Delete the copy of an autoscaler that the Canary no longer names, if it is the Canary's own (workloads:AS-08)."""
        ref = _refs(canary, former)[2]
        live = await self.objects.get(ref)
        if live is not None and _is_ours(canary, live):
            await self.objects.delete(ref, uid=live["metadata"]["uid"])
            log.info("former_autoscaler_removed", autoscaler=str(ref))


def reference(canary: Canary) -> str:
    """`Kind/name` of the Canary's autoscaler; empty where it has none, or a target that none can scale (workloads:DS-07)."""
    ref = canary.spec.autoscaler_ref
    return f"{ref.kind}/{ref.name}" if ref and canary.spec.target_ref.kind == "Deployment" and ref.kind in KINDS else ""


def _refs(canary: Canary, name: str) -> tuple[ScalerKind, Ref, Ref]:
    kind_name, _, object_name = name.partition("/")
    kind = KINDS[kind_name]
    return kind, Ref(kind.resource, canary.namespace, object_name), Ref(kind.resource, canary.namespace, object_name + PRIMARY_SUFFIX)


def _compared(seen: ScalerView, copying: Copying, live: Manifest | None) -> ScalerView:
    if live is not None:
        require_own_primary(copying.canary, live)
    remark = copying.kind.remark(copying.canary, copying.source)
    source = copying.source["metadata"]
    return replace(
        seen,
        copy=copying.state(live),
        digest=copying.digest,
        live=copying.kind.limits(live) if live else ReplicaLimits(),
        wanted=copying.limits,
        remark=remark and f"{copying.kind.resource.kind} {source.get('namespace', '')}/{source['name']}: {remark}",
    )


def _is_ours(canary: Canary, manifest: Manifest) -> bool:
    return controlling_canary(manifest) == canary.name and "deletionTimestamp" not in manifest["metadata"]
