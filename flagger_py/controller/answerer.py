"""Answers the questions of a pass by calling hooks, metric providers and the receivers of alerts (engine:§7, §10)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from flagger_py.api import effective
from flagger_py.api.analysis import HookType, Webhook
from flagger_py.api.canary import Canary
from flagger_py.controller.alerts import AlertSender
from flagger_py.controller.analysis import Analyst
from flagger_py.controller.hooks import HookClient, HookPayload
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.verdicts import HookResult


@dataclass(frozen=True, slots=True)
class WebhookAnswerer:
    """Hooks in list order up to the one that decides: the first refusal, or for rollback hooks the first yes."""

    hooks: HookClient
    analyst: Analyst
    analysed: Callable[[Canary, float], None]
    """Takes the seconds that an analysis took."""
    alerts: AlertSender

    async def answer(self, question: Question, canary: Canary, objects: Objects) -> Answer:
        match question.key.kind:
            case QuestionKind.ANALYSIS:
                started = asyncio.get_running_loop().time()
                answer = await self._analyse(question, canary, objects)
                self.analysed(canary, asyncio.get_running_loop().time() - started)
                return answer
            case QuestionKind.AVAILABILITY:
                return Answer(checks=await self.analyst.availability(canary, objects))
            case QuestionKind.ALERT:
                return Answer(hooks=await self.alerts.send(question.key.run, canary, objects))
            case QuestionKind.ROLLBACK:
                return Answer(hooks=await self._call(question, canary, HookType.ROLLBACK, until=True))
            case kind:
                return Answer(hooks=await self._call(question, canary, HookType(kind.value), until=False))

    async def _analyse(self, question: Question, canary: Canary, objects: Objects) -> Answer:
        hooks = await self._call(question, canary, HookType.ROLLOUT, until=False)
        if not all(hook.passed for hook in hooks):
            return Answer(hooks=hooks)
        return Answer(hooks=hooks, checks=await self.analyst.analyse(canary, objects))

    async def _call(self, question: Question, canary: Canary, kind: HookType, *, until: bool) -> tuple[HookResult, ...]:
        """Call hook after hook until one answers `until`."""
        results: list[HookResult] = []
        for hook in effective.webhooks(canary, kind):
            results.append(await self._call_one(question, canary, hook))
            if results[-1].passed is until:
                break
        return tuple(results)

    async def _call_one(self, question: Question, canary: Canary, hook: Webhook) -> HookResult:
        key = question.key
        payload = HookPayload(
            name=canary.name,
            namespace=canary.namespace,
            phase=question.phase,
            checksum=question.checksum,
            run=key.run,
            revision=question.revision,
            step=key.step,
            check_number=key.check,
        )
        return await self.hooks.call(hook, payload)
