"""Questions run beside the passes; answers count for their key only (design §3)."""

import asyncio

from flagger_py.api.canary import Canary
from flagger_py.api.status import CanaryStatus
from flagger_py.controller.questions import Questions
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind
from flagger_py.rollout.verdicts import HookResult
from tests.unit.workloads.memory import MemoryObjects

CANARY = Canary.model_validate({"metadata": {"name": "web", "namespace": "test"}})


def question(kind: QuestionKind = QuestionKind.CONFIRM_ROLLOUT, check: int = 0) -> Question:
    return Question(QuestionKey("run", 0, check, kind), "Progressing", "5", "v1:one")


def asking(*questions: Question, consulted: tuple[Question, ...] = ()) -> Decision:
    keys = frozenset(each.key for each in (*questions, *consulted))
    return Decision(status=CanaryStatus(), questions=questions, consulted=keys)


class Gate:
    """An answerer that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None

    async def answer(self, question: Question, canary: Canary, objects: Objects) -> Answer:
        self.asked.append(question)
        await self.open.wait()
        if self.error:
            raise self.error
        return Answer(hooks=(HookResult("gate", passed=True),))


async def test_a_question_is_asked_once_and_its_answer_wakes_the_canary() -> None:
    gate, woken = Gate(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        questions = Questions(group, gate, woken.set)
        for _ in range(2):
            questions.follow(asking(question()), CANARY, MemoryObjects())
            await asyncio.sleep(0)
        gate.open.set()
        await woken.wait()
        assert questions.answers[question().key].passed
    assert gate.asked == [question()]


async def test_an_answer_that_no_decision_looks_at_is_dropped_with_its_key() -> None:
    gate = Gate()
    gate.open.set()
    async with asyncio.TaskGroup() as group:
        questions = Questions(group, gate, lambda: None)
        questions.follow(asking(question()), CANARY, MemoryObjects())
    questions.follow(asking(consulted=(question(),)), CANARY, MemoryObjects())
    assert question().key in questions.answers
    questions.follow(asking(consulted=(question(check=1),)), CANARY, MemoryObjects())
    assert not questions.answers


async def test_a_question_of_a_step_that_is_over_is_given_up() -> None:
    """A slow hook never answers for a later step."""
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        questions = Questions(group, gate, lambda: None)
        questions.follow(asking(question()), CANARY, MemoryObjects())
        await asyncio.sleep(0)
        questions.follow(asking(), CANARY, MemoryObjects())
        await asyncio.sleep(0)
    assert not questions.answers


async def test_what_an_answerer_raises_is_a_failed_answer() -> None:
    gate = Gate()
    gate.open.set()
    gate.error = ZeroDivisionError("division by zero")
    async with asyncio.TaskGroup() as group:
        questions = Questions(group, gate, lambda: None)
        questions.follow(asking(question(), question(QuestionKind.ANALYSIS)), CANARY, MemoryObjects())
    hook, analysis = questions.answers[question().key], questions.answers[question(QuestionKind.ANALYSIS).key]
    assert not hook.passed
    assert hook.hooks[0].message == analysis.checks[0].message == "ZeroDivisionError: division by zero"
