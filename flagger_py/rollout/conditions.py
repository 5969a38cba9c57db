"""The conditions in a Canary's status (workloads:ST-05, design §5): `Promoted` first, others only while they say something."""

from datetime import datetime
from typing import Final

from flagger_py.api.status import CanaryStatus, Condition, ConditionType, Phase

_PROMOTED: Final[dict[Phase, tuple[str, str]]] = {
    Phase.INITIALIZING: ("Unknown", "New {kind} detected, starting initialization."),
    Phase.INITIALIZED: ("True", "{kind} initialization completed."),
    Phase.WAITING: ("Unknown", "Waiting for approval."),
    Phase.WAITING_PROMOTION: ("Unknown", "Waiting for approval."),
    Phase.PROGRESSING: ("Unknown", "New revision detected, progressing canary analysis."),
    Phase.PROMOTING: ("Unknown", "Canary analysis completed, starting primary rolling update."),
    Phase.FINALISING: ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    Phase.SUCCEEDED: ("True", "Canary analysis completed successfully, promotion finished."),
    Phase.FAILED: ("False", "Canary analysis failed, {kind} scaled to zero."),
    Phase.TERMINATING: ("Unknown", "Canary is being deleted, the {kind} is being put back."),
}


def promoted(status: CanaryStatus, kind: str, now: datetime, message: str = "") -> CanaryStatus:
    """The status with the `Promoted` condition that belongs to its phase; `message` replaces the phase's own text."""
    state, text = _PROMOTED.get(status.phase, ("Unknown", "New {kind} detected, starting initialization."))
    return with_condition(status, ConditionType.PROMOTED, state, status.phase or Phase.INITIALIZING, message or text.format(kind=kind), now)


def with_condition(status: CanaryStatus, type_: ConditionType, state: str, reason: str, message: str, now: datetime) -> CanaryStatus:
    """The status with this condition; unchanged where it says the same already. `lastTransitionTime` moves with `state` only (ST-06)."""
    old = find(status, type_)
    if old and (old.status, old.reason, old.message) == (state, reason, message):
        return status
    since = old.last_transition_time if old and old.status == state else now
    new = Condition(type=type_, status=state, reason=reason, message=message, last_update_time=now, last_transition_time=since)
    others = tuple(condition for condition in status.conditions if condition.type != type_)
    conditions = (new, *others) if type_ is ConditionType.PROMOTED else (*others, new)
    return status.model_copy(update={"conditions": conditions})


def without_conditions(status: CanaryStatus, *types: ConditionType) -> CanaryStatus:
    """The status without these conditions."""
    kept = tuple(condition for condition in status.conditions if condition.type not in types)
    return status if len(kept) == len(status.conditions) else status.model_copy(update={"conditions": kept})


def find(status: CanaryStatus, type_: ConditionType) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == type_), None)
