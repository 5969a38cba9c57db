"""What a finished question says: the results of an analysis and of a hook."""

from dataclasses import dataclass
from enum import StrEnum


class CheckOutcome(StrEnum):
    """How a check ended. All but `PASS` count as failed (metrics:EVAL-02); only the message and the reading of the status differ."""

    PASS = "pass"  # noqa: S105 - a result, not a password
    FAIL = "fail"
    """The value is over a bound, or a rollout hook said no."""
    NO_DATA = "no_data"
    """The query was answered with nothing, or with no number (NaN)."""
    ERROR = "error"
    """The query could not be asked or answered: a missing template or secret, a refused query, a provider that is away."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of one analysis. `bound` is what the value was held against, as text; `message` is the event's text, empty on `PASS`."""

    name: str
    value: float | None
    bound: str
    result: CheckOutcome
    message: str = ""

    @property
    def passed(self) -> bool:
        return self.result is CheckOutcome.PASS


@dataclass(frozen=True, slots=True)
class HookResult:
    """The answer to a webhook. `message` is why it failed, at most 1 KiB; empty where it passed."""

    name: str
    passed: bool
    message: str = ""


PASS = CheckOutcome.PASS
FAIL = CheckOutcome.FAIL
NO_DATA = CheckOutcome.NO_DATA
ERROR = CheckOutcome.ERROR
