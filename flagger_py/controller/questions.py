"""Questions of one Canary: each runs in a task of its own, and its answer wakes the Canary (design §3, Core).

Answers are kept in memory under their key, and dropped with it: after a crash a question is asked again.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind
from flagger_py.rollout.verdicts import CheckResult, HookResult

log = structlog.get_logger(__name__)


class Answerer(Protocol):
    """Asks hooks and metric providers."""

    async def answer(self, question: Question, canary: Canary, objects: Objects) -> Answer:
        """The answer; a hook or provider that fails is an answer too."""


class Questions:
    """The open questions and the answers of one Canary. Its tasks live in the group that is given."""

    def __init__(self, group: asyncio.TaskGroup, answerer: Answerer, wake: Callable[[], None]) -> None:
        self.answers: dict[QuestionKey, Answer] = {}
        self._group = group
        self._answerer = answerer
        self._wake = wake
        self._open: dict[QuestionKey, asyncio.Task[None]] = {}

    @property
    def asking(self) -> frozenset[QuestionKey]:
        """The questions that are under way."""
        return frozenset(self._open)

    def follow(self, decision: Decision, canary: Canary, objects: Objects) -> None:
        """Drop what the decision no longer looks at, and ask what it asks and nobody is asking yet."""
        for key in [key for key in self.answers if key not in decision.consulted]:
            del self.answers[key]
        for key in [key for key in self._open if key not in decision.consulted]:
            self._open.pop(key).cancel()
        for question in decision.questions:
            if question.key not in self._open:
                task = self._ask(question, canary, objects)
                self._open[question.key] = self._group.create_task(task, name=f"{canary.namespace}/{canary.metadata.name} {question.key}")

    def cancel(self) -> None:
        """Give up every open question."""
        for task in self._open.values():
            task.cancel()
        self._open.clear()

    async def _ask(self, question: Question, canary: Canary, objects: Objects) -> None:
        try:
            answer = await self._answerer.answer(question, canary, objects)
        except Exception as error:  # the task's edge: a stranger's provider may raise anything
            log.exception("question_failed", question=str(question.key))
            answer = _failed(question, f"{type(error).__name__}: {error}")
        self._open.pop(question.key, None)
        self.answers[question.key] = answer
        self._wake()


def _failed(question: Question, reason: str) -> Answer:
    kind = question.key.kind
    if kind in (QuestionKind.ANALYSIS, QuestionKind.AVAILABILITY):
        return Answer(checks=(CheckResult(kind.value, None, "", CheckOutcome.ERROR, reason),))
    return Answer(hooks=(HookResult(kind.value, passed=False, message=reason),))
