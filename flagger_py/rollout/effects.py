"""Effects: what the shell brings about after the status is stored. Each is idempotent and safe to repeat after a crash.

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
    """Start the canary's pods (workloads:DEP-08)."""


@dataclass(frozen=True, slots=True)
class ScaleTargetToZero:
    """Stop the canary's pods."""


@dataclass(frozen=True, slots=True)
class PruneConfigs:
    """Delete config copies of this Canary that the primary no longer refers to (workloads:CFG-09)."""


Effect = (
    Adopt
    | EnsureServices
    | EnsureApex
    | CreatePrimary
    | RestorePrimary
    | Promote
    | SetTraffic
    | NudgeRoutes
    | ScaleTargetUp
    | ScaleTargetToZero
    | PruneConfigs
)
