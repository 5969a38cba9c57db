"""What is repaired in every turn: Services, the primary, the canary's pods."""

from flagger_py.rollout.effects import EnsureApex, EnsureServices, RestorePrimary, ScaleTargetUp
from flagger_py.rollout.turn import Turn


def keep_services(turn: Turn) -> None:
    """Repair the three Services where they differ."""
    services = turn.world.services
    if not (services.canary and services.primary):
        turn.do(EnsureServices())
    if not services.apex:
        turn.do(EnsureApex())


def keep_primary(turn: Turn) -> None:
    """Restore a primary that was deleted. The last effect of a turn: where it cannot be done, the others have been."""
    if turn.primary is None:
        turn.do(RestorePrimary())


def run_canary(turn: Turn) -> None:
    """See that the canary has pods."""
    if turn.world.target is not None and turn.target.is_at_zero:
        turn.do(ScaleTargetUp())
