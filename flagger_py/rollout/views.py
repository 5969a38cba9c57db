"""What is observed of the two versions of a workload, reduced to what decisions need."""

from dataclasses import dataclass

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
    pod_configs: str = ""
    """The digest of the configs that its pods were started anew for (workloads:CHG-06)."""

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
