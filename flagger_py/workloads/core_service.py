"""Core Service targets: the user's Service is copied to `-primary` and `-canary`, and a changed `spec` is a revision (workloads:§1.3).

The user's Service itself is never written. `-canary` follows it at once, before any gate: only the weight keeps users away (SVC-07).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CONTROLLER_REVISION, SERVICE, Manifest, Ref
from flagger_py.rollout.identity import promotion_id
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from flagger_py.workloads.base import CANARY_SUFFIX, Watched, WorkloadError
from flagger_py.workloads.podless import PodlessWorkload, podless_primary, podless_target
from flagger_py.workloads.primary import primary_name, require_room, restored
from flagger_py.workloads.service_copies import (
    copied_spec,
    mirrored,
    new_copy,
    promoted,
    require_own_copy,
    require_port,
    require_usable,
    revision_of,
)
from flagger_py.workloads.services import NAME_LIMIT
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.snapshots import SnapshotForm, Snapshots
from flagger_py.workloads.writing import replace, retry_conflicts

log = structlog.get_logger()


class CoreServiceWorkload(PodlessWorkload):
    """A core Service and its two copies."""

    def __init__(self, objects: Objects, settings: WorkloadSettings) -> None:
        super().__init__(objects, settings)
        self._snapshots = Snapshots(objects, ServiceForm())

    @classmethod
    def resources(cls, settings: WorkloadSettings) -> tuple[Watched, ...]:
        return (
            Watched(SERVICE, ("get", "list", "watch", "create", "patch")),
            Watched(CONTROLLER_REVISION, ("get", "list", "create", "patch", "delete"), optional=True),
        )

    @classmethod
    def project(cls, manifest: Manifest) -> Manifest:
        return manifest

    def target_ref(self, canary: Canary) -> Ref:
        return Ref(SERVICE, canary.namespace, canary.spec.target_ref.name)

    def revision_of(self, canary: Canary, target: Manifest) -> str:
        return revision_of(canary, target)

    async def target(self, canary: Canary) -> TargetView | None:
        source = await self.objects.read(self.target_ref(canary))
        if source is None:
            return None
        _require_usable(canary, source)
        return podless_target(source, revision_of(canary, source), Ready())

    async def primary(self, canary: Canary) -> PrimaryView | None:
        primary = await self.objects.read(_primary_ref(canary))
        return None if primary is None else podless_primary(canary, revision_of(canary, primary), Ready())

    async def services(self, canary: Canary) -> ServicesView:
        """Of the three only `-canary` may differ: it mirrors the user's Service."""
        ref, source = _canary_ref(canary), await self.objects.read(self.target_ref(canary))
        live = await self.objects.read(ref)
        is_settled = source is not None and live is not None and _mirrored(canary, source, live) == live
        return ServicesView(canary=is_settled, primary=True, apex=True)

    async def ensure_services(self, canary: Canary) -> None:
        ref = _canary_ref(canary)
        sources = iter((self.objects.read,))

        async def attempt() -> None:
            source = await self.live_target(canary)
            live = await next(sources, self.objects.get)(ref)
            if live is None:
                await self.objects.create(SERVICE, new_copy(canary, source, ref.name))
                log.info("service_created", service=ref.name)
                return
            wanted = _mirrored(canary, source, live)
            if wanted != live:
                await replace(self.objects, ref, live, wanted)
                log.info("service_mirrored", service=ref.name)

        await retry_conflicts(attempt)

    async def create_primary(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        async def attempt() -> None:
            source = await self.verified_target(canary, revision)
            existing = await self.objects.get(_primary_ref(canary))
            if existing is not None:
                require_own_copy(canary, source, existing)
                return
            require_port(canary, source)
            primary = new_copy(canary, source, primary_name(canary))
            await self._snapshots.keep(canary, primary)
            await self.objects.create(SERVICE, primary)
            log.info("primary_created", primary=primary_name(canary), revision=revision)

        await retry_conflicts(attempt)

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        ref = _primary_ref(canary)

        async def attempt() -> None:
            primary = await self.objects.get(ref)
            if primary is None:
                raise WorkloadError(f"{ref} does not exist; it must be restored before it can be promoted")
            if revision_of(canary, primary) == revision:
                return
            source = await self.verified_target(canary, revision)
            require_own_copy(canary, source, primary)
            wanted = promoted(canary, source, primary, self.settings.include_label_prefixes)
            await self._snapshots.keep(canary, _to_keep(canary, wanted))
            await replace(self.objects, ref, primary, wanted)
            log.info("primary_promoted", primary=ref.name, revision=revision)

        await retry_conflicts(attempt)

    async def restore_primary(self, canary: Canary) -> bool:
        ref = _primary_ref(canary)

        async def attempt() -> bool:
            if await self.objects.get(ref) is not None:
                return True
            kept = await self._snapshots.restorable(canary)
            if kept is None:
                log.warning("primary_not_restorable", primary=ref.name)
                return False
            head = {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind}
            await self.objects.create(SERVICE, {**head, **restored(canary, kept)})
            log.info("primary_restored", primary=ref.name)
            return True

        return await retry_conflicts(attempt)

    async def primary_matches_target(self, canary: Canary) -> bool:
        source, primary = await self.live_target(canary), await self.objects.get(_primary_ref(canary))
        return primary is not None and revision_of(canary, source) == revision_of(canary, primary)

    async def adopt(self, canary: Canary) -> None:
        primary = await self.objects.get(_primary_ref(canary))
        if primary is not None:
            await self._snapshots.keep(canary, _to_keep(canary, primary))


@dataclass(frozen=True, slots=True)
class ServiceForm(SnapshotForm):
    """For Services: what is copied."""

    def content(self, primary: Manifest) -> Manifest:
        spec: Manifest = primary["spec"]
        return spec

    def promotion_id(self, canary: Canary, primary: Manifest) -> str:
        return promotion_id(canary.metadata.uid, revision_of(canary, primary), "")


def _mirrored(canary: Canary, source: Manifest, live: Manifest) -> Manifest:
    require_own_copy(canary, source, live)
    return mirrored(canary, source, live)


def _require_usable(canary: Canary, source: Manifest) -> None:
    require_usable(canary, source)
    require_room(f"{canary}: spec.targetRef.name", canary.spec.target_ref.name, NAME_LIMIT)


def _to_keep(canary: Canary, primary: Manifest) -> Manifest:
    """Without what the server gave to it: it would be refused to another one."""
    return {**primary, "spec": copied_spec(canary, primary)}


def _primary_ref(canary: Canary) -> Ref:
    return Ref(SERVICE, canary.namespace, primary_name(canary))


def _canary_ref(canary: Canary) -> Ref:
    return Ref(SERVICE, canary.namespace, canary.spec.target_ref.name + CANARY_SUFFIX)
