"""What a pass tells people: Kubernetes Events, event webhooks and log lines are all made from it (engine:EVT-01)."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a notice is shown. Kubernetes knows only Normal and Warning; the log tells warnings and errors apart (operations:OPS-14)."""

    NORMAL = "normal"
    WARNING = "warning"
    ERROR = "error"

    @property
    def event_type(self) -> str:
        """`type` of the Kubernetes Event and `eventType` of the event webhook."""
        return "Normal" if self is Severity.NORMAL else "Warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened to a Canary."""

    severity: Severity
    message: str
    key: str
    """What makes it this happening and no other (run, step, check number, name): a pass that is replayed gives the same key, so the
    Event gets the same name and is no second one. Equal messages under different keys are counted up on one Event."""
