"""Deployment targets: what is observed of them and their primaries, and what is done to them (workloads:§1.1)."""

from collections.abc import Mapping

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, SECRET, SERVICE, Manifest, Ref
from flagger_py.rollout.identity import configs_digest, promotion_id
from flagger_py.rollout.views import Back, Owed, PrimaryView, ServicesView, TargetView
from flagger_py.workloads.base import PRIMARY_SUFFIX, Selector, TargetMissing, TargetMoved, TrackedConfigs, Watched, Workload, WorkloadError
from flagger_py.workloads.configs import Configs, require_same
from flagger_py.workloads.observation import has_old_pods, primary_view, project_deployment, target_view, template_summary
from flagger_py.workloads.primary import (
    new_primary,
    primary_name,
    promoted,
    promoted_replicas,
    require_matching_pods,
    require_own_primary,
    restored,
    select_by,
)
from flagger_py.workloads.readiness import wanted_replicas
from flagger_py.workloads.services import Role, Services
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.snapshots import Snapshots
from flagger_py.workloads.template import ContainerPort, PrimaryCopy, as_primary, is_primary_of, references
from flagger_py.workloads.writing import change, replace, retry_conflicts

READ_AND_WRITE = ("get", "list", "watch", "create", "patch")

log = structlog.get_logger()


class DeploymentWorkload(Workload):
    """A Deployment and its primary."""

    def __init__(self, objects: Objects, settings: WorkloadSettings) -> None:
        super().__init__(objects, settings)
        self._configs = Configs(objects, settings)
        self._services = Services(objects)
        self._snapshots = Snapshots(objects)

    @classmethod
    def resources(cls, settings: WorkloadSettings) -> tuple[Watched, ...]:
        tracked = (CONFIG_MAP, SECRET) if settings.config_tracking else ()
        return (
            Watched(DEPLOYMENT, READ_AND_WRITE),
            Watched(SERVICE, READ_AND_WRITE),
            *(Watched(resource, (*READ_AND_WRITE, "delete")) for resource in tracked),
            Watched(CONTROLLER_REVISION, ("get", "list", "create", "patch", "delete"), optional=True),
        )

    @staticmethod
    def project(manifest: Manifest) -> Manifest:
        return project_deployment(manifest)

    async def selector(self, canary: Canary) -> Selector:
        return select_by(await self._read_target(canary), self.settings.selector_labels)

    async def target(self, canary: Canary) -> TargetView | None:
        manifest = await self.objects.read(_target_ref(canary))
        return None if manifest is None else target_view(canary, manifest)

    async def primary(self, canary: Canary) -> PrimaryView | None:
        manifest = await self.objects.read(_primary_ref(canary))
        return None if manifest is None else primary_view(canary, manifest)

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

    async def _apex_of_target(self, canary: Canary) -> tuple[Selector | None, tuple[ContainerPort, ...]]:
        """What the apex Service selects when it leads to the target; the target may be gone."""
        target = await self.objects.read(_target_ref(canary))
        if target is None:
            return None, ()
        return select_by(target, self.settings.selector_labels), tuple(template_summary(target).ports)

    async def create_primary(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        async def attempt() -> None:
            existing = await self.objects.get(_primary_ref(canary))
            if existing is not None:
                require_own_primary(canary, existing)
                return
            target = await self._verified_target(canary, revision)
            sources = await self._verified_configs(canary, target, configs)
            selector = select_by(target, self.settings.selector_labels)
            template = as_primary(target["spec"]["template"], self._copy_of(canary, selector, revision, configs))
            primary = new_primary(canary, target, template, selector, self.settings)
            await self._configs.copy(canary, sources)
            await self._snapshots.keep(canary, primary)
            await self.objects.create(DEPLOYMENT, primary)
            log.info("primary_created", primary=primary_name(canary), revision=revision)

        await retry_conflicts(attempt)

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        async def attempt() -> None:
            primary = await self._own_primary(canary)
            if template_summary(primary).promotion_id == _promotion_id(canary, revision, configs):
                return
            target = await self._verified_target(canary, revision)
            replicas = promoted_replicas(canary, target)
            sources = await self._verified_configs(canary, target, configs)
            selector = select_by(target, self.settings.selector_labels)
            template = as_primary(target["spec"]["template"], self._copy_of(canary, selector, revision, configs))
            require_matching_pods(primary, template)
            wanted = promoted(primary, target, template, selector=selector, settings=self.settings, replicas=replicas)
            await self._snapshots.keep(canary, wanted)
            await self._configs.copy(canary, sources)
            await replace(self.objects, _primary_ref(canary), primary, wanted)
            log.info("primary_promoted", primary=primary_name(canary), revision=revision)

        await retry_conflicts(attempt)

    async def restore_primary(self, canary: Canary) -> bool:
        ref = _primary_ref(canary)

        async def attempt() -> bool:
            if (existing := await self.objects.get(ref)) is not None:
                require_own_primary(canary, existing)
                return True
            data = await self._snapshots.restorable(canary)
            if data is None:
                log.warning("primary_not_restorable", primary=ref.name)
                return False
            await self.objects.create(DEPLOYMENT, restored(canary, data))
            log.info("primary_restored", primary=ref.name)
            return True

        return await retry_conflicts(attempt)

    async def primary_matches_target(self, canary: Canary) -> bool:
        target = await self._get_target(canary)
        primary = await self.objects.get(_primary_ref(canary))
        if primary is None:
            return False
        selector = select_by(target, self.settings.selector_labels)
        copy = PrimaryCopy(target["metadata"]["name"], selector, self.settings.selector_labels, (), "")
        return is_primary_of(primary["spec"]["template"], target["spec"]["template"], copy)

    async def adopt(self, canary: Canary) -> None:
        primary = await self.objects.get(_primary_ref(canary))
        if primary is not None:
            await self._snapshots.keep(canary, primary)

    async def scale_up(self, canary: Canary) -> None:
        primary = await self.objects.read(_primary_ref(canary))
        replicas = (wanted_replicas(primary) if primary is not None else 0) or 1
        ref = _target_ref(canary)
        if await change(self.objects, ref, lambda target: _with_replicas(target, wanted_replicas(target) or replicas)) is None:
            raise TargetMissing(f"{ref} does not exist")

    async def restore_target(self, canary: Canary) -> None:
        """As many pods as the primary has, at least one (workloads:FIN-07); more are left alone."""
        primary = await self.objects.read(_primary_ref(canary))
        replicas = max(wanted_replicas(primary) if primary is not None else 0, 1)
        await change(self.objects, _target_ref(canary), lambda target: _with_replicas(target, max(wanted_replicas(target), replicas)))

    async def scale_to_zero(self, canary: Canary) -> None:
        await change(self.objects, _target_ref(canary), lambda target: _with_replicas(target, 0))

    async def raise_primary(self, canary: Canary, replicas: int) -> None:
        await change(self.objects, _primary_ref(canary), lambda primary: _with_replicas(primary, max(wanted_replicas(primary), replicas)))

    async def prune(self, canary: Canary) -> None:
        if not self.settings.config_tracking:
            return
        primary = await self.objects.get(_primary_ref(canary))
        target = await self.objects.get(_target_ref(canary))
        if primary is None or has_old_pods(primary):
            return  # pods of an older template may still need their configs
        keep = {reference.key for reference in references(primary["spec"]["template"]["spec"])}
        if target is not None:
            keep |= {reference.key + PRIMARY_SUFFIX for reference in references(target["spec"]["template"]["spec"])}
        await self._configs.prune(canary, keep)

    async def _ensure(self, canary: Canary, role: Role) -> None:
        target = await self._read_target(canary)
        await self._services.ensure(role, canary, select_by(target, self.settings.selector_labels), template_summary(target).ports)

    async def _read_target(self, canary: Canary) -> Manifest:
        return _present(_target_ref(canary), await self.objects.read(_target_ref(canary)))

    async def _get_target(self, canary: Canary) -> Manifest:
        return _present(_target_ref(canary), await self.objects.get(_target_ref(canary)))

    async def _verified_target(self, canary: Canary, revision: str) -> Manifest:
        target = await self._get_target(canary)
        live = template_summary(target).revision
        if live != revision:
            raise TargetMoved(f"{_target_ref(canary)} is at revision {live}, not at {revision} any more")
        return target

    async def _verified_configs(self, canary: Canary, target: Manifest, configs: Mapping[str, str]) -> dict[str, Manifest]:
        sources = await self._configs.sources(canary, template_summary(target).references)
        require_same(canary, sources, configs)
        return sources

    async def _own_primary(self, canary: Canary) -> Manifest:
        primary = await self.objects.get(_primary_ref(canary))
        if primary is None:
            raise WorkloadError(f"{_primary_ref(canary)} does not exist; it must be restored before it can be promoted")
        require_own_primary(canary, primary)
        return primary

    def _copy_of(self, canary: Canary, selector: Selector, revision: str, configs: Mapping[str, str]) -> PrimaryCopy:
        promotion = _promotion_id(canary, revision, configs)
        return PrimaryCopy(canary.spec.target_ref.name, selector, self.settings.selector_labels, configs.keys(), promotion)


def _target_ref(canary: Canary) -> Ref:
    return Ref(DEPLOYMENT, canary.namespace, canary.spec.target_ref.name)


def _primary_ref(canary: Canary) -> Ref:
    return Ref(DEPLOYMENT, canary.namespace, primary_name(canary))


def _present(ref: Ref, manifest: Manifest | None) -> Manifest:
    if manifest is None:
        raise TargetMissing(f"{ref} does not exist")
    return manifest


def _promotion_id(canary: Canary, revision: str, configs: Mapping[str, str]) -> str:
    return promotion_id(canary.metadata.uid, revision, configs_digest(configs))


def _with_replicas(manifest: Manifest, replicas: int) -> Manifest:
    return {**manifest, "spec": {**manifest["spec"], "replicas": replicas}}
