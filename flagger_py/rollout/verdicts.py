"""What a finished question says: the results of an analysis and of a hook."""

from dataclasses import dataclass

from flagger_py.api.rollout_record import CheckOutcome


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
