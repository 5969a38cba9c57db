"""The World: everything observed for one Canary at one moment. `decide` looks at nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flagger_py.api.canary import Canary
from flagger_py.api.status import ConditionType
from flagger_py.rollout.identity import configs_digest
from flagger_py.rollout.plan import Plan
from flagger_py.rollout.questions import Answer, QuestionKey
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.rollout.views import NO_SCALER, PrimaryView, RestorationView, ScalerView, ServicesView, TargetView


@dataclass(frozen=True, slots=True)
class ConfigsView:
    """The tracked ConfigMaps and Secrets of the target (workloads:CFG-11); `None` checksums: tracking is off."""

    checksums: Mapping[str, str] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return configs_digest(self.checksums)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that keeps this Canary from being handled: told as a condition and one event; phase, objects and traffic stay as they are.

    `retry`: True where it may pass by itself, so that the pass is repeated with back-off; else the Canary waits for a change.
    """

    condition: ConditionType
    reason: str
    message: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class FirstContact:
    """What the live primary tells about a Canary without `status.rollout` (design §6): asked only then, because it needs live reads."""

    matches_target: bool
    """The target rendered as primary equals the live primary's template (workloads:GEN-20)."""


NOTHING_YET: Final = ServicesView(canary=False, primary=False, apex=False)
NOT_LOOKED_AT: Final = Pending("not looked at")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One moment of one Canary. With `faults`, the rest may be missing and is not looked at."""

    canary: Canary
    plan: Plan
    faults: tuple[Fault, ...] = ()
    target: TargetView | None = None
    primary: PrimaryView | None = None
    canary_ready_since: datetime | None = None
    """When the target was first seen ready, without a break since; `None`: not known, or it is not."""
    configs: ConfigsView = ConfigsView()
    services: ServicesView = NOTHING_YET
    scaler: ScalerView = NO_SCALER
    routes: Routes | Pending = NOT_LOOKED_AT
    routes_changed_at: datetime | None = None
    """When this process has changed the weights last; `None`: not since it was started."""
    first_contact: FirstContact | None = None
    restoration: RestorationView | None = None
    """Only of a Canary that is being deleted; `None` there: none of the objects is its own."""
    answers: Mapping[QuestionKey, Answer] = field(default_factory=dict)
    asking: frozenset[QuestionKey] = frozenset()
    """Questions under way: none of them is asked again under another number while it lasts."""
    failures: tuple[Fault, ...] = ()
    """Effects that failed in the last pass: told as conditions, and tried again; they hold nothing by themselves."""
    may_start: bool = True
    """False while too many runs have started at once."""
    frozen: bool = False
    """All rollouts are held where they are (`-freeze`)."""

    @property
    def is_deleting(self) -> bool:
        """Somebody has deleted the Canary, and a finalizer keeps it."""
        return self.canary.metadata.deletion_timestamp is not None
