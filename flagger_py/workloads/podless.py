"""Targets that have no pods of their own: core Services and Knative Services (workloads:SVC-01, KN-06)."""

from abc import abstractmethod
from collections.abc import Mapping

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.identity import promotion_id
from flagger_py.rollout.readiness import Readiness
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from flagger_py.workloads.base import TargetMissing, TargetMoved, TrackedConfigs, Workload

NOT_NEEDED = ServicesView(canary=True, primary=True, apex=True)
"""For a target that has no use for Services of ours."""


class PodlessWorkload(Workload):
    """What such targets have in common: there is nothing to scale, to restart or to raise, and no config belongs to them."""

    @property
    def tracks_configs(self) -> bool:
        return False

    @abstractmethod
    def target_ref(self, canary: Canary) -> Ref:
        """The object that the Canary names."""

    @abstractmethod
    def revision_of(self, canary: Canary, target: Manifest) -> str:
        """The revision that the target is at."""

    async def configs(self, canary: Canary, checksums: Mapping[str, str], versions: Mapping[str, str]) -> TrackedConfigs:
        return TrackedConfigs()

    async def services(self, canary: Canary) -> ServicesView:
        return NOT_NEEDED

    async def ensure_services(self, canary: Canary) -> None:
        """There are none."""

    async def ensure_apex(self, canary: Canary) -> None:
        """The apex is the user's own."""

    async def restore_apex(self, canary: Canary) -> None:
        """It was not changed."""

    async def restore_target(self, canary: Canary) -> None:
        """It serves as it is."""

    async def scale_up(self, canary: Canary, replicas: int | None = None) -> None:
        """Nothing to scale."""

    async def scale_to_zero(self, canary: Canary) -> None:
        """Nothing to scale."""

    async def restart_pods(self, canary: Canary, occasion: str) -> None:
        """Nothing to restart."""

    async def raise_primary(self, canary: Canary, replicas: int) -> None:
        """Nothing to raise."""

    async def prune(self, canary: Canary) -> None:
        """Nothing is copied."""

    async def verified_target(self, canary: Canary, revision: str) -> Manifest:
        """The target as it is on the server, if it is at this revision. Raises `TargetMissing` and `TargetMoved`."""
        target = await self.live_target(canary)
        self.require_at(canary, target, revision)
        return target

    def require_at(self, canary: Canary, target: Manifest, revision: str) -> None:
        """Refuse a target that is not at this revision. Raises `TargetMoved`."""
        if (live := self.revision_of(canary, target)) != revision:
            raise TargetMoved(f"{self.target_ref(canary)} is at revision {live}, not at {revision} any more")

    async def live_target(self, canary: Canary) -> Manifest:
        """The target as it is on the server. Raises `TargetMissing`."""
        ref = self.target_ref(canary)
        target = await self.objects.get(ref)
        if target is None:
            raise TargetMissing(f"{ref} does not exist")
        return target


def podless_target(target: Manifest, revision: str, readiness: Readiness) -> TargetView:
    """The view of a target; its generation, where it has one, says nothing of its revision."""
    return TargetView(target["metadata"].get("uid", ""), 0, revision, 0, 0, readiness, has_pods=False)


def podless_primary(canary: Canary, revision: str, readiness: Readiness) -> PrimaryView:
    """The view of a primary that carries this revision: what it is tells it, so that no annotation has to."""
    return PrimaryView(0, 0, readiness, promotion_id(canary.metadata.uid, revision, ""), has_pods=False)
