"""Knative Service targets: Knative makes the Revisions, an annotation says which of them serves users (workloads:§1.4).

Nothing is generated. The newest Revision is the canary; the primary is the one that the annotation names.
"""

from collections.abc import Iterator, Mapping

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.knative import (
    KNATIVE_REVISION,
    KNATIVE_SERVICE,
    OF_SERVICE,
    PRIMARY_REVISION,
    condition,
    latest_created,
    named_revisions,
    obstacle,
    primary_revision,
    project_service,
    unobserved,
)
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.readiness import NotReady, Readiness, Ready
from flagger_py.rollout.views import PrimaryView, TargetView
from flagger_py.workloads.base import TargetMissing, Watched, WorkloadError
from flagger_py.workloads.podless import PodlessWorkload, podless_primary, podless_target
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import digest_of
from flagger_py.workloads.writing import amend

log = structlog.get_logger()


class KnativeWorkload(PodlessWorkload):
    """A Knative Service and two of its Revisions."""

    @classmethod
    def resources(cls, settings: WorkloadSettings) -> tuple[Watched, ...]:
        return (
            Watched(KNATIVE_SERVICE, ("get", "list", "watch", "patch")),
            Watched(KNATIVE_REVISION, ("get", "list", "watch")),
        )

    @classmethod
    def project(cls, manifest: Manifest) -> Manifest:
        return project_service(manifest)

    def target_ref(self, canary: Canary) -> Ref:
        return Ref(KNATIVE_SERVICE, canary.namespace, canary.spec.target_ref.name)

    def revision_of(self, canary: Canary, target: Manifest) -> str:
        return revision_of(latest_created(target))

    async def target(self, canary: Canary) -> TargetView | None:
        service = await self.objects.read(self.target_ref(canary))
        if service is None:
            return None
        return podless_target(service, revision_of(latest_created(service)), await self._readiness_of_latest(canary, service))

    async def primary(self, canary: Canary) -> PrimaryView | None:
        service = await self.objects.read(self.target_ref(canary))
        name = primary_revision(service) if service is not None else ""
        revision = await self.objects.read(_revision_ref(canary, name)) if name else None
        if revision is None:
            return None
        return podless_primary(canary, revision_of(name), _readiness(name, revision))

    async def create_primary(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        """The newest Revision is made the primary, once it is ready (workloads:KN-03)."""
        service = await self.verified_target(canary, revision)
        chosen, latest = primary_revision(service), latest_created(service)
        if chosen and await self.objects.get(_revision_ref(canary, chosen)) is not None:
            return
        if not latest:
            raise WorkloadError(f"{self.target_ref(canary)} has no Revision yet")
        readiness = await self._live_readiness(canary, latest)
        if not isinstance(readiness, Ready):
            raise WorkloadError(f"{self.target_ref(canary)}: Revision {latest} cannot become the primary: {readiness.reason}")
        await self._choose(canary, latest, expected=revision)

    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        service = await self.live_target(canary)
        if revision_of(primary_revision(service)) != revision:
            await self._choose(canary, latest_created(service), expected=revision)

    async def restore_primary(self, canary: Canary) -> bool:
        """Name the promoted Revision again, where somebody has removed the annotation, and only that one (workloads:DEP-05)."""
        service = await self.live_target(canary)
        record = canary.status.rollout
        promoted = record.promoted_revision if record is not None else ""
        for name in await self._candidates(canary, service):
            if revision_of(name) == promoted and await self.objects.get(_revision_ref(canary, name)) is not None:
                await self._choose(canary, name)
                return True
        raise WorkloadError(
            f"{self.target_ref(canary)}: metadata.annotations[{PRIMARY_REVISION}]: the promoted Revision is not known or does not exist; "
            "set the name of one that is known to be good"
        )

    async def primary_matches_target(self, canary: Canary) -> bool:
        service = await self.live_target(canary)
        return primary_revision(service) == latest_created(service)

    async def adopt(self, canary: Canary) -> None:
        """Knative keeps Revisions to which traffic is led."""

    async def _choose(self, canary: Canary, name: str, *, expected: str = "") -> None:
        """Make a Revision the primary; with `expected`, only if it is still the newest. Raises `TargetMoved`."""
        ref = self.target_ref(canary)

        def chosen(service: Manifest) -> dict[str, object]:
            if expected:
                self.require_at(canary, service, expected)
            return {} if primary_revision(service) == name else {"metadata": {"annotations": {PRIMARY_REVISION: name}}}

        if await amend(self.objects, ref, chosen) is None:
            raise TargetMissing(f"{ref} does not exist")
        log.info("primary_chosen", service=ref.name, revision=name)

    async def _candidates(self, canary: Canary, service: Manifest) -> Iterator[str]:
        selector = f"{OF_SERVICE}={canary.spec.target_ref.name}"
        revisions = await self.objects.find(KNATIVE_REVISION, canary.namespace, selector)
        return iter([*named_revisions(service), *(revision["metadata"]["name"] for revision in revisions)])

    async def _readiness_of_latest(self, canary: Canary, service: Manifest) -> Readiness:
        """Of the canary; Knative itself sets no deadline, so it is never dead by what it reports (workloads:KN-05)."""
        if reason := unobserved(service):
            return NotReady(reason)
        name = latest_created(service)
        if not name:
            return NotReady("it has no Revision yet")
        return _readiness(name, await self.objects.read(_revision_ref(canary, name)))

    async def _live_readiness(self, canary: Canary, name: str) -> Readiness:
        return _readiness(name, await self.objects.get(_revision_ref(canary, name)))


def revision_of(name: str) -> str:
    """The revision that a Revision of this name is (workloads:KN-06)."""
    return digest_of({"revisionName": name})


def _readiness(name: str, revision: Manifest | None) -> Readiness:
    """Ready is what Knative says of the Revision as it is now (workloads:KN-05)."""
    if revision is None:
        return NotReady(f"Revision {name} does not exist")
    reason = unobserved(revision) or obstacle(condition(revision, "Ready"))
    return NotReady(f"Revision {name}: {reason}") if reason else Ready()


def _revision_ref(canary: Canary, name: str) -> Ref:
    return Ref(KNATIVE_REVISION, canary.namespace, name)
