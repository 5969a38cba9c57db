"""What a Canary's spec asks for, as effective values (engine:DEF-*). Made once per generation of the Canary."""

from dataclasses import dataclass
from datetime import timedelta

from flagger_py.rollout.questions import QuestionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The numbers that decisions use; weights in percent."""

    interval: timedelta
    threshold: int
    max_weight: int
    step_weight: int = 0
    step_weights: tuple[int, ...] = ()
    step_weight_promotion: int = 0
    """0: one jump back to the primary."""
    progress_deadline: timedelta
    skip_analysis: bool = False
    suspended: bool = False
    hooks: frozenset[QuestionKind] = frozenset()
    """The stages that have at least one webhook."""
    has_analysis: bool = True
    """Rollout hooks or metrics exist; without any, an analysis always passes (engine:ANL-09)."""
    has_metrics: bool = True
    routes_weights: bool = True
    """The router moves traffic; False for provider `kubernetes`, whose apex always selects the primary."""
    canary_name: str = ""
    """`<name>.<namespace>` of the Canary: the subject of most events (engine:EVT-05)."""
    target_name: str = ""
    """`<targetRef.name>.<namespace>`."""
    target_kind: str = "Deployment"

    def next_weight(self, current: int) -> int:
        """The canary weight after `current` (engine:WGT-01, WGT-04): never less than `current`, at most 100.

        A weight that is not in the list goes to the next larger entry, never to 100 (engine:HAZ-22).
        """
        if self.step_weight > 0 or not self.step_weights:
            return min(100, current + self.step_weight)
        return min(100, next((weight for weight in self.step_weights if weight > current), current))
