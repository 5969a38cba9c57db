"""Targets that own pods: what is observed of them and their primaries, and what is done to them (workloads:§1.1, §1.2)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CONFIG_MAP, CONTROLLER_REVISION, SECRET, SERVICE, Manifest, Ref
from flagger_py.rollout.identity import configs_digest, promotion_id
from flagger_py.rollout.views import Back, Owed, PrimaryView, ServicesView, TargetView
from flagger_py.workloads.base import PRIMARY_SUFFIX, Selector, TargetMissing, TargetMoved, TrackedConfigs, Watched, Workload, WorkloadError
from flagger_py.workloads.configs import Configs, require_same
from flagger_py.workloads.kinds import PodKind
from flagger_py.workloads.marks import restarted_for_patch
from flagger_py.workloads.observation import primary_view, project, target_view, template_summary
from flagger_py.workloads.primary import (
    Original,
    new_primary,
    primary_name,
    promoted,
    require_matching_pods,
    require_own_primary,
    restored,
    select_by,
)
from flagger_py.workloads.services import Role, Services
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.snapshots import Snapshots, TemplateForm
from flagger_py.workloads.template import ContainerPort, PrimaryCopy, as_primary, is_primary_of, references
from flagger_py.workloads.writing import amend, replace, retry_conflicts

READ_AND_WRITE = ("get", "list", "watch", "create", "patch")

log = structlog.get_logger()


class TemplatedWorkload(Workload):
    """A workload with a pod template, and its primary; `kind` says what is special about it."""

    kind: ClassVar[PodKind]

    def __init__(self, objects: Objects, settings: WorkloadSettings) -> None:
        super().__init__(objects, settings)
        self._configs = Configs(objects, settings)
        self._services = Services(objects)
        self._snapshots = Snapshots(objects, TemplateForm())

    @classmethod
    def resources(cls, settings: WorkloadSettings) -> tuple[Watched, ...]:
        tracked = (CONFIG_MAP, SECRET) if settings.config_tracking else ()
        return (
            Watched(cls.kind.resource, READ_AND_WRITE),
            Watched(SERVICE, READ_AND_WRITE),
            *(Watched(resource, (*READ_AND_WRITE, "delete")) for resource in tracked),
            Watched(CONTROLLER_REVISION, ("get", "list", "create", "patch", "delete"), optional=True),
        )

    @classmethod
    def project(cls, manifest: Manifest) -> Manifest:
        return project(cls.kind, manifest)

    def target_ref(self, canary: Canary) -> Ref:
        """The user's workload."""
        return Ref(self.kind.resource, canary.namespace, canary.spec.target_ref.name)

    async def require_usable(self, canary: Canary) -> None:
        if (target := await self.objects.read(self.target_ref(canary))) is not None:
            self.kind.require_usable(target)

    async def selector(self, canary: Canary) -> Selector:
        return select_by(await self._read_target(canary), self.settings.selector_labels)

    async def target(self, canary: Canary) -> TargetView | None:
        manifest = await self.objects.read(self.target_ref(canary))
        return None if manifest is None else target_view(self.kind, canary, manifest)

    async def primary(self, canary: Canary) -> PrimaryView | None:
        manifest = await self.objects.read(self._primary_ref(canary))
        return None if manifest is None else primary_view(self.kind, canary, manifest)

    async def configs(self, canary: Canary, checksums: Mapping[str, str], versions: Mapping[str, str]) -> TrackedConfigs:
        target = await self._read_target(canary)
        return await self._configs.tracked(canary, template_summary(target).references, checksums, versions)

    async def services(self, canary: Canary) -> ServicesView:
        target = await self._read_target(canary)
        selector = select_by(target, self.settings.selector_labels)
        return await self._services.view(canary, selector, template_summary(target).ports)

    async def ensure_services(self, canary: Canary) -> None:
        await self._ensure(canary, Role.CANARY)
        await self._ensure(canary, Role.PRIMARY)

    async def ensure_apex(self, canary: Canary) -> None:
        await self._ensure(canary, Role.APEX)

    async def restore_apex(self, canary: Canary) -> None:
        await self._services.restore_apex(canary, *await self._apex_of_target(canary))

    async def apex_restoration(self, canary: Canary) -> Back | Owed:
        return await self._services.apex_restoration(canary, *await self._apex_of_target(canary))

    async def create_primary(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        async def attempt() -> None:
            existing = await self.objects.get(self._primary_ref(canary))
            if existing is not None:
                require_own_primary(canary, existing)
                return
            original, template, sources = await self._original(canary, revision, configs)
            primary = new_primary(original, template)
            await self._configs.copy(canary, sources)
            await self._snapshots.keep(canary, primary)
            await self.objects.create(self.kind.resource, primary)
            log.info("primary_created", primary=primary_name(canary), revision=revision)

        await retry_conflicts(attempt)

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        async def attempt() -> None:
            primary = await self._own_primary(canary)
            if template_summary(primary).promotion_id == _promotion_id(canary, revision, configs):
                return
            original, template, sources = await self._original(canary, revision, configs)
            require_matching_pods(primary, template)
            wanted = promoted(original, primary, template)
            await self._snapshots.keep(canary, wanted)
            await self._configs.copy(canary, sources)
            await replace(self.objects, self._primary_ref(canary), primary, wanted)
            log.info("primary_promoted", primary=primary_name(canary), revision=revision)

        await retry_conflicts(attempt)

    async def restore_primary(self, canary: Canary) -> bool:
        ref = self._primary_ref(canary)

        async def attempt() -> bool:
            if (existing := await self.objects.get(ref)) is not None:
                require_own_primary(canary, existing)
                return True
            data = await self._snapshots.restorable(canary)
            if data is None:
                log.warning("primary_not_restorable", primary=ref.name)
                return False
            head = {"apiVersion": ref.resource.api_version, "kind": ref.resource.kind}
            await self.objects.create(ref.resource, {**head, **restored(canary, data)})
            log.info("primary_restored", primary=ref.name)
            return True

        return await retry_conflicts(attempt)

    async def primary_matches_target(self, canary: Canary) -> bool:
        target = await self._get_target(canary)
        primary = await self.objects.get(self._primary_ref(canary))
        if primary is None:
            return False
        selector = select_by(target, self.settings.selector_labels)
        copy = PrimaryCopy(target["metadata"]["name"], selector, self.settings.selector_labels, (), "")
        return is_primary_of(primary["spec"]["template"], target["spec"]["template"], copy)

    async def adopt(self, canary: Canary) -> None:
        primary = await self.objects.get(self._primary_ref(canary))
        if primary is not None:
            await self._snapshots.keep(canary, primary)

    async def scale_up(self, canary: Canary, replicas: int | None = None) -> None:
        wanted = await self._least_of_primary(canary) if replicas is None else replicas

        def running(target: Manifest) -> dict[str, Any]:
            return {} if self.kind.replicas(target) else _spec(self.kind.raised_patch(target, wanted))

        ref = self.target_ref(canary)
        _present(ref, await amend(self.objects, ref, running))

    async def restore_target(self, canary: Canary) -> None:
        """As many pods as the primary has, at least one (workloads:FIN-07, DS-06); more are left alone."""
        wanted = await self._least_of_primary(canary)
        await amend(self.objects, self.target_ref(canary), lambda target: _spec(self.kind.raised_patch(target, wanted)))

    async def scale_to_zero(self, canary: Canary) -> None:
        def stopped(target: Manifest) -> dict[str, Any]:
            patch = self.kind.zero_patch(target)
            return _spec(_with_template(patch, restarted_for_patch(None)) if patch and template_summary(target).restarted_for else patch)

        await amend(self.objects, self.target_ref(canary), stopped)

    async def restart_pods(self, canary: Canary, occasion: str) -> None:
        def restarted(target: Manifest) -> dict[str, Any]:
            return {} if template_summary(target).restarted_for == occasion else _spec(restarted_for_patch(occasion))

        await amend(self.objects, self.target_ref(canary), restarted)

    async def raise_primary(self, canary: Canary, replicas: int) -> None:
        await amend(self.objects, self._primary_ref(canary), lambda primary: _spec(self.kind.raised_patch(primary, replicas)))

    async def prune(self, canary: Canary) -> None:
        if not self.settings.config_tracking:
            return
        primary = await self.objects.get(self._primary_ref(canary))
        target = await self.objects.get(self.target_ref(canary))
        if primary is None or self.kind.has_old_pods(primary):
            return  # pods of an older template may still need their configs
        keep = {reference.key for reference in references(primary["spec"]["template"]["spec"])}
        if target is not None:
            keep |= {reference.key + PRIMARY_SUFFIX for reference in references(target["spec"]["template"]["spec"])}
        await self._configs.prune(canary, keep)

    async def _ensure(self, canary: Canary, role: Role) -> None:
        target = await self._read_target(canary)
        await self._services.ensure(role, canary, select_by(target, self.settings.selector_labels), template_summary(target).ports)

    async def _least_of_primary(self, canary: Canary) -> int:
        primary = await self.objects.read(self._primary_ref(canary))
        return max(self.kind.replicas(primary) if primary is not None else 0, 1)

    async def _apex_of_target(self, canary: Canary) -> tuple[Selector | None, tuple[ContainerPort, ...]]:
        """What the apex Service selects when it leads to the target; the target may be gone."""
        target = await self.objects.read(self.target_ref(canary))
        if target is None:
            return None, ()
        return select_by(target, self.settings.selector_labels), template_summary(target).ports

    async def _read_target(self, canary: Canary) -> Manifest:
        return _present(self.target_ref(canary), await self.objects.read(self.target_ref(canary)))

    async def _get_target(self, canary: Canary) -> Manifest:
        return _present(self.target_ref(canary), await self.objects.get(self.target_ref(canary)))

    async def _original(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> tuple[Original, Manifest, dict[str, Manifest]]:
        """What the primary is made of, its pod template, and the configs to copy, if they are what was decided on."""
        target = await self._verified_target(canary, revision)
        sources = await self._verified_configs(canary, target, configs)
        selector = select_by(target, self.settings.selector_labels)
        promotion = _promotion_id(canary, revision, configs)
        copy = PrimaryCopy(canary.spec.target_ref.name, selector, self.settings.selector_labels, configs.keys(), promotion)
        return Original(self.kind, canary, target, selector, self.settings), as_primary(target["spec"]["template"], copy), sources

    async def _verified_target(self, canary: Canary, revision: str) -> Manifest:
        target = await self._get_target(canary)
        self.kind.require_usable(target)
        live = template_summary(target).revision
        if live != revision:
            raise TargetMoved(f"{self.target_ref(canary)} is at revision {live}, not at {revision} any more")
        return target

    async def _verified_configs(self, canary: Canary, target: Manifest, configs: Mapping[str, str]) -> dict[str, Manifest]:
        sources = await self._configs.sources(canary, template_summary(target).references)
        require_same(canary, sources, configs)
        return sources

    async def _own_primary(self, canary: Canary) -> Manifest:
        ref = self._primary_ref(canary)
        primary = await self.objects.get(ref)
        if primary is None:
            raise WorkloadError(f"{ref} does not exist; it must be restored before it can be promoted")
        require_own_primary(canary, primary)
        return primary

    def _primary_ref(self, canary: Canary) -> Ref:
        return Ref(self.kind.resource, canary.namespace, primary_name(canary))


def _present(ref: Ref, manifest: Manifest | None) -> Manifest:
    if manifest is None:
        raise TargetMissing(f"{ref} does not exist")
    return manifest


def _promotion_id(canary: Canary, revision: str, configs: Mapping[str, str]) -> str:
    return promotion_id(canary.metadata.uid, revision, configs_digest(configs))


def _spec(patch: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": dict(patch)} if patch else {}


def _with_template(patch: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both patches of a spec in one; they change different parts of its template."""
    return {**patch, "template": {**patch.get("template", {}), **other["template"]}}
