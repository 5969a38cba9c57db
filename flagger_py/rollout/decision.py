"""What a pass decides: the status to store, the effects to bring about, the questions to ask, and what to tell people."""

from dataclasses import dataclass
from datetime import datetime

from flagger_py.api.status import CanaryStatus
from flagger_py.rollout.effects import Effect
from flagger_py.rollout.notices import Notice
from flagger_py.rollout.questions import Question, QuestionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Stored first, then brought about (design §4)."""

    status: CanaryStatus
    effects: tuple[Effect, ...] = ()
    questions: tuple[Question, ...] = ()
    consulted: frozenset[QuestionKey] = frozenset()
    """Every key that this pass asked or used; answers to all others are dropped."""
    notices: tuple[Notice, ...] = ()
    wake_at: datetime | None = None
    """`None`: only a change of what was observed can move this Canary."""
    retry: bool = False
    """Look again with back-off: what keeps the Canary back gives no sign when it is over."""
    reason: str = ""
    """Why the Canary stays where it is, for the log."""
