"""Answers questions: calls the webhooks of one stage, or asks the metric providers (design §3)."""

from dataclasses import dataclass

from flagger_py.api import effective
from flagger_py.api.analysis import HookType
from flagger_py.api.canary import Canary
from flagger_py.controller.analysis import Analyst
from flagger_py.controller.hooks import HookClient, HookPayload
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.verdicts import HookResult


@dataclass(frozen=True, slots=True)
class HooksAndMetrics:
    """The `Answerer` of the controller; one for all Canaries."""

    hooks: HookClient
    analyst: Analyst

    async def answer(self, question: Question, canary: Canary, objects: Objects) -> Answer:
        """The answer; a hook or provider that fails is an answer too."""
        match question.key.kind:
            case QuestionKind.AVAILABILITY:
                return Answer(checks=await self.analyst.availability(canary, objects))
            case QuestionKind.ANALYSIS:
                hooks = await self._call(HookType.ROLLOUT, question, canary)
                passed = all(hook.passed for hook in hooks)
                return Answer(hooks, await self.analyst.analyse(canary, objects) if passed else ())
            case kind:
                return Answer(await self._call(HookType(kind.value), question, canary))

    async def _call(self, stage: HookType, question: Question, canary: Canary) -> tuple[HookResult, ...]:
        """The results in list order up to the one that decides: the first failure, of rollback hooks the first success."""
        payload = _payload(question, canary)
        results: list[HookResult] = []
        for hook in effective.webhooks(canary, stage):
            results.append(await self.hooks.call(hook, payload))
            if results[-1].passed is (stage is HookType.ROLLBACK):
                break
        return tuple(results)


def _payload(question: Question, canary: Canary) -> HookPayload:
    return HookPayload(
        name=canary.metadata.name,
        namespace=canary.namespace,
        phase=question.phase,
        checksum=question.checksum,
        run=question.key.run,
        revision=question.revision,
        step=question.key.step,
        check_number=question.key.check,
    )
