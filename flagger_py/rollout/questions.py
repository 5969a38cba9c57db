"""Questions: what a pass needs to know from hooks and metric providers. A child task answers; passes go on meanwhile.

A key names the step that asks. An answer counts for that key only, so that no answer is used for another step than it was asked for.
"""

from dataclasses import dataclass
from enum import StrEnum

from flagger_py.rollout.verdicts import CheckResult, HookResult


class QuestionKind(StrEnum):
    """What is asked: a stage of hooks by its webhook type, one of the two that ask metric providers, or an alert."""

    CONFIRM_ROLLOUT = "confirm-rollout"
    PRE_ROLLOUT = "pre-rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    CONFIRM_PROMOTION = "confirm-promotion"
    ROLLBACK = "rollback"
    POST_ROLLOUT = "post-rollout"
    ANALYSIS = "analysis"
    """Rollout hooks, then metrics (engine:ANL-01)."""
    AVAILABILITY = "availability"
    """Are the metric providers reachable (metrics:AVAIL-01)."""
    ALERT = "alert"
    """Not asked but told: an alert of the outbox. The answer says for each receiver whether it took it."""


@dataclass(frozen=True, slots=True)
class QuestionKey:
    """(run, step, check number, kind), and for what is asked again and again (gates, rollback hooks) the number of the poll."""

    run: str
    step: int
    check: int
    kind: QuestionKind
    poll: int = 0

    def is_poll_of(self, other: "QuestionKey") -> bool:
        """Whether both are polls of the same thing."""
        return (self.run, self.step, self.check, self.kind) == (other.run, other.step, other.check, other.kind)

    def __str__(self) -> str:
        return f"{self.run}/{self.step}/{self.check}/{self.kind}/{self.poll}"


@dataclass(frozen=True, slots=True)
class Question:
    """`phase` and `checksum` go into the payload of hooks (engine:HOOK-01)."""

    key: QuestionKey
    phase: str
    checksum: str
    revision: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Hook results in list order up to the one that decided, then check results likewise."""

    hooks: tuple[HookResult, ...] = ()
    checks: tuple[CheckResult, ...] = ()

    @property
    def passed(self) -> bool:
        return all(hook.passed for hook in self.hooks) and all(check.passed for check in self.checks)

    def is_yes(self, kind: QuestionKind) -> bool:
        """Whether it lets the run go on its way; of rollback hooks, whether it asks for the rollback."""
        return self.any_passed if kind is QuestionKind.ROLLBACK else self.passed

    @property
    def any_passed(self) -> bool:
        """What a rollback hook means by yes (engine:HOOK-11)."""
        return any(hook.passed for hook in self.hooks)
