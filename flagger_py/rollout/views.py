"""What is observed of the two versions of a workload, reduced to what decisions need."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flagger_py.rollout.readiness import Readiness


@dataclass(frozen=True, slots=True)
class TargetView:
    """The user's workload: the canary."""

    uid: str
    generation: int
    """0 where the kind has none."""
    revision: str
    """`v1:` and 16 hex digits over the canonical pod template (workloads:CHG-02): equal templates, equal revisions."""
    replicas: int
    """Wanted pods; 0 when scaled to zero."""
    available: int
    readiness: Readiness
    """Against `canaryReadyThreshold`; `Dead` only for what the workload itself reports (RDY-03 b), never by our clock."""
    has_pods: bool = True
    """False for Services, core and Knative: there is nothing to scale, `replicas` and `available` say nothing (workloads:SVC-01, KN-06)."""
    restarted_for: str = ""
    """The occasion that its pods were started anew for (workloads:CHG-06)."""

    @property
    def is_at_zero(self) -> bool:
        """No pod is wanted, where pods can be wanted."""
        return self.has_pods and self.replicas < 1

    @property
    def is_available(self) -> bool:
        """Some pod can take traffic now, where pods are counted."""
        return self.available > 0 or not self.has_pods


@dataclass(frozen=True, slots=True)
class PrimaryView:
    """The generated copy that serves users."""

    replicas: int
    available: int
    readiness: Readiness
    promotion_id: str
    """Equal to `identity.promotion_id(...)` when it carries that revision and configs; of a pod template the `flagger-id` annotation."""
    has_pods: bool = True
    """As in `TargetView`."""

    @property
    def is_available(self) -> bool:
        """As in `TargetView`."""
        return self.available > 0 or not self.has_pods


class CopyState(StrEnum):
    """How the primary's autoscaler compares with what it is to be, its least replicas left aside."""

    MISSING = "missing"
    PAUSED = "paused"
    """It holds the primary at a fixed number of pods, which only the target's may do (workloads:KEDA-03)."""
    DIFFERS = "differs"
    DATED = "dated"
    """It does what it is to do, and looks otherwise: other metadata, or Flagger's form. It gets ours with the next promotion."""
    IN_STEP = "in step"


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """Between which numbers an autoscaler moves."""

    least: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerView:
    """The target's autoscaler, and the primary's copy of it (workloads:§4)."""

    ref: str = ""
    """`Kind/name` of the target's; empty where there is none, or where the kind of target has no use for one (DS-07)."""
    problem: str = ""
    """Why the primary can have no copy: the target's is missing, its kind is not served, or it makes none that is valid."""
    is_hidden: bool = False
    """The problem is a missing right: the autoscaler may well be there."""
    remark: str = ""
    """What is odd about it, and in the way of nothing."""
    copy: CopyState = CopyState.IN_STEP
    digest: str = ""
    """Stands for all that the copy is to be."""
    live: ReplicaLimits = ReplicaLimits()
    """Those of the copy as it is."""
    wanted: ReplicaLimits = ReplicaLimits()
    """Those that it is to have."""
    start_replicas: int | None = None
    """How many pods a canary starts with; `None` where the autoscaler does not say (DEP-08)."""
    is_paused: bool | None = None
    """Whether the target's holds it at zero; `None` for a kind that needs no pause, or one that cannot be looked at (AS-04)."""
    has_former: bool = False
    """The copy of the autoscaler that the record names, and the Canary no longer, still exists (AS-08)."""


NO_SCALER: Final = ScalerView()


@dataclass(frozen=True, slots=True)
class ServicesView:
    """Which of the Kubernetes Services are as they should be; `apex` means that it selects the primary's pods."""

    canary: bool
    primary: bool
    apex: bool


@dataclass(frozen=True, slots=True)
class Back:
    """As it was before, or there is nothing to put back."""


@dataclass(frozen=True, slots=True)
class Owed:
    """It has still to be put back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """It has been put back, and those who act on it have not taken it over yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """It cannot be looked at: a right is missing, its kind or the plug-in is gone."""

    reason: str


Part = Back | Owed | Awaited | Lost


@dataclass(frozen=True, slots=True)
class RestorationView:
    """How far what was there before the Canary is back. Looked at only while the Canary is being deleted."""

    workloads: Back | Lost = Back()
    """Whether target and primary could be looked at."""
    apex: Part = Back()
    routes: Part = Back()
