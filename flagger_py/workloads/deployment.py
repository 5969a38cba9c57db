"""Deployment targets: what is observed of them and their primaries, and what is done to them (workloads:§1.1)."""

from collections.abc import Mapping

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, SECRET, SERVICE, Manifest, Ref
from flagger_py.rollout.identity import configs_digest, promotion_id
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from flagger_py.workloads.base import PRIMARY_SUFFIX, Selector, TargetMissing, TargetMoved, TrackedConfigs, Watched, Workload, WorkloadError
from flagger_py.workloads.configs import Configs, require_same
from flagger_py.workloads.metadata import owner_reference
from flagger_py.workloads.primary import (
    new_primary,
    primary_name,
    promoted,
    promoted_replicas,
    require_matching_pods,
    require_own_primary,
    select_by,
)
from flagger_py.workloads.readiness import available_replicas, deployment_readiness, wanted_replicas
from flagger_py.workloads.services import Role, Services
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.snapshots import Snapshots
from flagger_py.workloads.template import PrimaryCopy, TemplateSummary, as_primary, is_primary_of, reduced, references, summary_of
from flagger_py.workloads.writing import change, replace, retry_conflicts

DEFAULT_READY_THRESHOLD = 100
KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "generation",
    "resourceVersion",
    "labels",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
)
KEPT_SPEC = ("replicas", "selector")
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
        """Metadata, replicas, selector, status, and of the pod template only its summary."""
        metadata, spec = manifest["metadata"], manifest.get("spec") or {}
        return {
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.kind,
            "metadata": {key: metadata[key] for key in KEPT_METADATA if key in metadata},
            "spec": {**{key: spec[key] for key in KEPT_SPEC if key in spec}, "template": reduced(spec.get("template") or {})},
            "status": manifest.get("status") or {},
        }

    async def selector(self, canary: Canary) -> Selector:
        return select_by(await self._read_target(canary), self.settings.selector_labels)

    async def target(self, canary: Canary) -> TargetView | None:
        manifest = await self.objects.read(_target_ref(canary))
        if manifest is None:
            return None
        return TargetView(
            uid=manifest["metadata"]["uid"],
            generation=manifest["metadata"].get("generation", 0),
            revision=_summary(manifest).revision,
            replicas=wanted_replicas(manifest),
            available=available_replicas(manifest),
            readiness=deployment_readiness(manifest, _threshold(canary, Role.CANARY)),
        )

    async def primary(self, canary: Canary) -> PrimaryView | None:
        manifest = await self.objects.read(_primary_ref(canary))
        if manifest is None:
            return None
        return PrimaryView(
            replicas=wanted_replicas(manifest),
            available=available_replicas(manifest),
            readiness=deployment_readiness(manifest, _threshold(canary, Role.PRIMARY)),
            promotion_id=_summary(manifest).promotion_id,
        )

    async def configs(self, canary: Canary, checksums: Mapping[str, str], versions: Mapping[str, str]) -> TrackedConfigs:
        target = await self._read_target(canary)
        return await self._configs.tracked(canary, _summary(target).references, checksums, versions)

    async def services(self, canary: Canary) -> ServicesView:
        target = await self._read_target(canary)
        selector = select_by(target, self.settings.selector_labels)
        return await self._services.view(canary, selector, _summary(target).ports)

    async def ensure_services(self, canary: Canary) -> None:
        await self._ensure(canary, Role.CANARY)
        await self._ensure(canary, Role.PRIMARY)

    async def ensure_apex(self, canary: Canary) -> None:
        await self._ensure(canary, Role.APEX)

    async def restore_apex(self, canary: Canary) -> None:
        target = await self.objects.read(_target_ref(canary))
        selector = None if target is None else select_by(target, self.settings.selector_labels)
        await self._services.restore_apex(canary, selector, () if target is None else _summary(target).ports)

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
            if _summary(primary).promotion_id == _promotion_id(canary, revision, configs):
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
        if (existing := await self.objects.get(ref)) is not None:
            require_own_primary(canary, existing)
            return True
        data = await self._snapshots.restorable(canary)
        if data is None:
            log.warning("primary_not_restorable", primary=ref.name)
            return False
        metadata = {**data["metadata"], "name": ref.name, "namespace": ref.namespace, "ownerReferences": [owner_reference(canary)]}
        manifest = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "metadata": metadata, "spec": data["spec"]}
        await self.objects.create(DEPLOYMENT, manifest)
        log.info("primary_restored", primary=ref.name)
        return True

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

    async def scale_to_zero(self, canary: Canary) -> None:
        await change(self.objects, _target_ref(canary), lambda target: _with_replicas(target, 0))

    async def raise_primary(self, canary: Canary, replicas: int) -> None:
        await change(self.objects, _primary_ref(canary), lambda primary: _with_replicas(primary, max(wanted_replicas(primary), replicas)))

    async def prune(self, canary: Canary) -> None:
        if not self.settings.config_tracking:
            return
        primary = await self.objects.get(_primary_ref(canary))
        target = await self.objects.get(_target_ref(canary))
        if primary is None or _has_old_pods(primary):
            return  # pods of an older template may still need their configs
        keep = {reference.key for reference in references(primary["spec"]["template"]["spec"])}
        if target is not None:
            keep |= {reference.key + PRIMARY_SUFFIX for reference in references(target["spec"]["template"]["spec"])}
        await self._configs.prune(canary, keep)

    async def _ensure(self, canary: Canary, role: Role) -> None:
        target = await self._read_target(canary)
        await self._services.ensure(role, canary, select_by(target, self.settings.selector_labels), _summary(target).ports)

    async def _read_target(self, canary: Canary) -> Manifest:
        return _present(_target_ref(canary), await self.objects.read(_target_ref(canary)))

    async def _get_target(self, canary: Canary) -> Manifest:
        return _present(_target_ref(canary), await self.objects.get(_target_ref(canary)))

    async def _verified_target(self, canary: Canary, revision: str) -> Manifest:
        target = await self._get_target(canary)
        live = _summary(target).revision
        if live != revision:
            raise TargetMoved(f"{_target_ref(canary)} is at revision {live}, not at {revision} any more")
        return target

    async def _verified_configs(self, canary: Canary, target: Manifest, configs: Mapping[str, str]) -> dict[str, Manifest]:
        sources = await self._configs.sources(canary, _summary(target).references)
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


def _summary(manifest: Manifest) -> TemplateSummary:
    return summary_of(manifest["spec"]["template"])


def _promotion_id(canary: Canary, revision: str, configs: Mapping[str, str]) -> str:
    return promotion_id(canary.metadata.uid, revision, configs_digest(configs))


def _threshold(canary: Canary, role: Role) -> int:
    """The percentage of pods that must be available (workloads:RDY-02)."""
    analysis = canary.spec.analysis
    if analysis is None:
        return DEFAULT_READY_THRESHOLD
    given = analysis.primary_ready_threshold if role is Role.PRIMARY else analysis.canary_ready_threshold
    return DEFAULT_READY_THRESHOLD if given is None else given


def _with_replicas(manifest: Manifest, replicas: int) -> Manifest:
    return {**manifest, "spec": {**manifest["spec"], "replicas": replicas}}


def _has_old_pods(primary: Manifest) -> bool:
    status = primary.get("status") or {}
    is_observed = status.get("observedGeneration", 0) >= primary["metadata"].get("generation", 0)
    return not is_observed or (status.get("replicas") or 0) > (status.get("updatedReplicas") or 0)
