"""The contract of a target kind: what is observed of a workload and its primary copy, and what can be done to them.

WorkloadError           the Canary or its objects cannot be handled as they are: a condition; stop until something changes
├── TargetMissing       the target does not exist (yet)
├── TargetMoved         the target or its configs are no longer what was decided on: observe again
└── PromotionRefused    promoting now would take the service down: hold until the target is scaled up again
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from flagger_py.api.canary import Canary
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest, Resource
from flagger_py.rollout.views import Back, Owed, PrimaryView, ServicesView, TargetView
from flagger_py.workloads.settings import WorkloadSettings

PRIMARY_SUFFIX = "-primary"
CANARY_SUFFIX = "-canary"


class WorkloadError(Exception):
    """The message names object, field and value, and what is allowed."""


class TargetMissing(WorkloadError):
    """The target does not exist."""


class TargetMoved(WorkloadError):
    """The target, or a config that it uses, differs from the revision that was to be copied; nothing was written to the primary."""


class PromotionRefused(WorkloadError):
    """The target has no pods, and so would the primary (workloads:DEP-09)."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A resource that the workload uses, and the verbs it needs on it: the source of watches and of RBAC rules."""

    resource: Resource
    verbs: tuple[str, ...]
    optional: bool = False
    """Without the right to it one feature is missing, and is reported as missing; nothing else fails."""


@dataclass(frozen=True, slots=True)
class Selector:
    """The label that tells canary pods from primary pods (workloads:SEL-01, SEL-02)."""

    label: str
    value: str
    """Its value on the target's pods."""

    @property
    def primary(self) -> str:
        """Its value on the primary's pods."""
        return self.value + PRIMARY_SUFFIX


@dataclass(frozen=True, slots=True)
class TrackedConfigs:
    """The configs that a target uses. Keys are `configmap/<name>` and `secret/<name>`."""

    checksums: Mapping[str, str] = field(default_factory=dict)
    """Of the tracked ones, as in `status.trackedConfigs` (workloads:CFG-07)."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """`uid/resourceVersion` of every one that was looked at, those that opted out included: equal versions are not read again."""


class Workload(ABC):
    """The workload of one Canary. Every method may be called again at any time; nothing is written where nothing differs in meaning.

    All methods may raise `ApiError` and `WorkloadError`. Nothing ever writes to the target but `scale_up`, `restore_target`,
    `scale_to_zero` and `restart_pods`.
    """

    def __init__(self, objects: Objects, settings: WorkloadSettings) -> None:
        self.objects = objects
        self.settings = settings

    @property
    def tracks_configs(self) -> bool:
        """Whether ConfigMaps and Secrets of the target belong to its revision."""
        return self.settings.config_tracking

    @classmethod
    @abstractmethod
    def resources(cls, settings: WorkloadSettings) -> tuple[Watched, ...]:
        """What is watched and what RBAC needs."""

    @classmethod
    @abstractmethod
    def project(cls, manifest: Manifest) -> Manifest:
        """What the store keeps of an object of the target's kind."""

    async def require_usable(self, canary: Canary) -> None:
        """Refuse, by the cache, a target that nothing can be rolled out of as it is. Raises `WorkloadError`."""
        del canary

    @abstractmethod
    async def target(self, canary: Canary) -> TargetView | None:
        """The user's workload, from the cache; `None` if it does not exist."""

    @abstractmethod
    async def primary(self, canary: Canary) -> PrimaryView | None:
        """The generated copy, from the cache; `None` if it does not exist."""

    @abstractmethod
    async def configs(self, canary: Canary, checksums: Mapping[str, str], versions: Mapping[str, str]) -> TrackedConfigs:
        """The configs that the target uses now; those whose version is known are not read again. Raises `TargetMissing`."""

    @abstractmethod
    async def services(self, canary: Canary) -> ServicesView:
        """Which of the three Services are as they should be, from the cache. Raises `TargetMissing`."""

    @abstractmethod
    async def ensure_services(self, canary: Canary) -> None:
        """Create or repair the `-canary` and `-primary` Services."""

    @abstractmethod
    async def ensure_apex(self, canary: Canary) -> None:
        """Create or repair the apex Service, so that it selects the primary's pods."""

    @abstractmethod
    async def restore_apex(self, canary: Canary) -> None:
        """Give an adopted apex Service its selector back; nothing happens where there is none or a Canary owns it (routers:K8S-17)."""

    async def apex_restoration(self, canary: Canary) -> Back | Owed:
        """Whether `restore_apex` has something to do, from the cache. Where it cannot be said, as by default, that has the last word."""
        return Back()

    async def restore_target(self, canary: Canary) -> None:
        """Give the target what it needs to serve in the place of the primary; nothing happens where it does not exist."""
        try:
            await self.scale_up(canary)
        except TargetMissing:
            return

    @abstractmethod
    async def create_primary(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        """Create the primary from exactly this revision and these config checksums. Raises `TargetMissing`, `TargetMoved`."""

    @abstractmethod
    async def promote(self, canary: Canary, revision: str, configs: Mapping[str, str]) -> None:
        """Give the primary exactly this revision and these config checksums; nothing happens where it carries them.

        Raises `TargetMissing`, `TargetMoved`, `PromotionRefused`.
        """

    @abstractmethod
    async def restore_primary(self, canary: Canary) -> bool:
        """Create a deleted primary again as it was promoted; false where that is not known (workloads:DEP-05)."""

    @abstractmethod
    async def primary_matches_target(self, canary: Canary) -> bool:
        """Whether the target, rendered as primary, equals the live primary's template (workloads:GEN-20). Raises `TargetMissing`."""

    @abstractmethod
    async def adopt(self, canary: Canary) -> None:
        """Remember what a primary that is already there carries, so that it can be restored."""

    @abstractmethod
    async def scale_up(self, canary: Canary, replicas: int | None = None) -> None:
        """Give a target without pods this many, by default as many as the primary has and at least one (workloads:DEP-08).

        Raises `TargetMissing`.
        """

    @abstractmethod
    async def scale_to_zero(self, canary: Canary) -> None:
        """Take away the target's pods; nothing happens where it does not exist."""

    @abstractmethod
    async def restart_pods(self, canary: Canary, occasion: str) -> None:
        """Start the target's pods anew; nothing happens where that was done on this occasion (workloads:CHG-06)."""

    @abstractmethod
    async def raise_primary(self, canary: Canary, replicas: int) -> None:
        """Give the primary at least this many pods (workloads:AS-05)."""

    @abstractmethod
    async def prune(self, canary: Canary) -> None:
        """Delete config copies of this Canary that nothing refers to any more (workloads:CFG-09)."""
