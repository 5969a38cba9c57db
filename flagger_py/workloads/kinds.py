"""What differs between the kinds of target that own pods: Deployments and DaemonSets. Pure; the shell around them is `templated`."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest, Resource
from flagger_py.rollout.readiness import Readiness


class PodKind(ABC):
    """One kind. Manifests are from the store, with a summary in place of their pod template, or whole."""

    resource: ClassVar[Resource]
    copied_fields: ClassVar[tuple[str, ...]]
    """Fields of the spec that a primary gets from its target, at creation and at each promotion (workloads:DEP-01, DS-03)."""
    kept_spec: ClassVar[frozenset[str]]
    """Fields of the spec that the store keeps besides the template's summary."""
    controller_annotations: ClassVar[str]
    """Prefix of the annotations that Kubernetes itself writes for each object of the kind; they are never copied."""

    def require_usable(self, target: Manifest) -> None:
        """Refuse a target of which no primary can be made. Raises `WorkloadError`."""
        del target

    @abstractmethod
    def created_fields(self, target: Manifest) -> dict[str, Any]:
        """Fields of the spec that only a new primary gets from its target."""

    @abstractmethod
    def promoted_fields(self, canary: Canary, target: Manifest) -> dict[str, Any]:
        """Fields of the spec that a promotion adds to the copied ones. Raises `PromotionRefused`."""

    @abstractmethod
    def replicas(self, manifest: Manifest) -> int:
        """Wanted pods; 0 when scaled to zero."""

    @abstractmethod
    def available(self, manifest: Manifest) -> int:
        """How many pods can take traffic now."""

    @abstractmethod
    def readiness(self, manifest: Manifest, threshold: int) -> Readiness:
        """`threshold` is the percentage of the pods that must be available."""

    @abstractmethod
    def has_old_pods(self, manifest: Manifest) -> bool:
        """Whether pods of an older template may still run."""

    @abstractmethod
    def zero_patch(self, target: Manifest) -> dict[str, Any]:
        """The part of a merge patch of the spec that takes all pods away; empty where that is so."""

    @abstractmethod
    def raised_patch(self, workload: Manifest, replicas: int) -> dict[str, Any]:
        """The part that gives it at least this many pods, where the kind can tell how many; empty where it has them."""
