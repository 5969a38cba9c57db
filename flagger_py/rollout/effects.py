"""Effects: what the shell brings about, all but `Adopt` after the status is stored. Each is idempotent and safe to repeat after a crash.

They are functions of the stored status and the observed world, never of what an earlier pass did.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flagger_py.rollout.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Adopt:
    """Keep the live primary's template as a snapshot: the first contact with a Canary that Flagger ran (design §6)."""


@dataclass(frozen=True, slots=True)
class EnsureServices:
    """Create or repair `<apex>-canary` and `<apex>-primary`."""


@dataclass(frozen=True, slots=True)
class EnsureApex:
    """Create or repair the apex Service so that it selects the primary's pods."""


@dataclass(frozen=True, slots=True)
class CreatePrimary:
    """Make the primary from exactly this revision of the target and these config checksums."""

    revision: str
    checksums: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RestorePrimary:
    """Make a deleted primary again from the promoted snapshot, never from the target (workloads:DEP-05)."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Give the primary exactly this revision and these config checksums; nothing where it carries them (engine:HAZ-09, HAZ-17)."""

    revision: str
    checksums: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SetTraffic:
    """Create or repair the routes so that they carry this traffic. `urgent`: users meet a bad version until it is done (engine:HAZ-37)."""

    traffic: Traffic
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class NudgeRoutes:
    """Make a gateway look at the routes again: it may have taken them, and lost the write that says so. Once for each change of them."""


@dataclass(frozen=True, slots=True)
class ScaleTargetUp:
    """Start the canary's pods: this many, by default as many as the primary has (workloads:DEP-08)."""

    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class RestartPods:
    """Start the canary's pods anew, so that they read the configs of this run; nothing where that was done (workloads:CHG-06)."""

    occasion: str


@dataclass(frozen=True, slots=True)
class ScaleTargetToZero:
    """Stop the canary's pods."""


@dataclass(frozen=True, slots=True)
class ResumeScaler:
    """Let the target's autoscaler have a say (workloads:AS-04)."""


@dataclass(frozen=True, slots=True)
class PauseScaler:
    """Let the target's autoscaler leave a target at zero alone (workloads:AS-04)."""


@dataclass(frozen=True, slots=True)
class KeepPrimaryScaler:
    """Create the primary's autoscaler, or bring it in step with the target's.

    Without `whole` no limit sinks, and all else waits for the promotion (workloads:AS-03).
    """

    digest: str
    """Which form of it: another one is a new decision."""
    least: int = 0
    """Least replicas, where more than it would have."""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class RaisePrimary:
    """Give the primary at least so many pods (workloads:AS-05)."""

    replicas: int


@dataclass(frozen=True, slots=True)
class RemoveFormerScaler:
    """Delete the primary's copy of an autoscaler that the Canary no longer names (workloads:AS-08)."""

    ref: str
    """`Kind/name` of the one that was copied."""


@dataclass(frozen=True, slots=True)
class PruneConfigs:
    """Delete config copies of this Canary that the primary no longer refers to (workloads:CFG-09)."""


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Keep the Canary from going before what was there is back (engine:FIN-01)."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the Canary go, and with it the primary and all else that it owns.

    `unconditional`: even if what was to be brought about before it has failed; else nothing happens then.
    """

    unconditional: bool = False


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """Give the target as many pods as the primary has, at least one, and its autoscaler the say (workloads:FIN-04, FIN-07)."""


@dataclass(frozen=True, slots=True)
class RestoreApex:
    """Give an adopted apex Service its selector back (workloads:FIN-09)."""


@dataclass(frozen=True, slots=True)
class RevertRoutes:
    """Put adopted routes back as they were, and lead all others to the apex Service (routers:IST-24, GW-29, CTR-17).

    `only_prepare`: tell the gateway what is coming, and move no traffic yet.
    """

    only_prepare: bool = False


PrimaryScalerEffect = KeepPrimaryScaler | RaisePrimary | RemoveFormerScaler
ScalerEffect = ResumeScaler | PauseScaler | PrimaryScalerEffect
RolloutEffect = (
    Adopt
    | EnsureServices
    | EnsureApex
    | CreatePrimary
    | RestorePrimary
    | Promote
    | SetTraffic
    | NudgeRoutes
    | ScaleTargetUp
    | RestartPods
    | ScaleTargetToZero
    | PruneConfigs
)
RestorationEffect = RestoreTarget | RestoreApex | RevertRoutes
FinalizerEffect = AddFinalizer | RemoveFinalizer
Effect = RolloutEffect | ScalerEffect | RestorationEffect | FinalizerEffect


def relies_on_earlier(effect: Effect) -> bool:
    """Whether it has to wait where one before it, in the same pass, has failed. What is put back does not: each part serves somebody.

    Nor do the primary's pods: users need them whatever else fails.
    """
    if isinstance(effect, RemoveFinalizer):
        return not effect.unconditional
    return not isinstance(effect, RestorationEffect | PrimaryScalerEffect)


def is_relied_on(effect: Effect) -> bool:
    """Whether those after it may wait for it. A finalizer or an autoscaler that cannot be had holds no rollout."""
    return not isinstance(effect, AddFinalizer | PrimaryScalerEffect)


def comes_before_status(effect: Effect) -> bool:
    """Whether the status may be stored only when it has been brought about.

    A record says that the Canary was taken over, and nobody looks for the snapshot again; a crash between the two would lose it.
    """
    return isinstance(effect, Adopt)
