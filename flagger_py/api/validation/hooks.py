"""Rules about webhooks and alerts."""

from collections.abc import Iterator
from datetime import timedelta

from flagger_py.api import effective
from flagger_py.api.analysis import HookType, Webhook
from flagger_py.api.canary import Canary
from flagger_py.api.durations import parse_duration
from flagger_py.api.problems import Problem, warning
from flagger_py.api.validation.checks import duplicate_problems
from flagger_py.api.validation.context import Context

_MOST_RETRIES = 10


def hook_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Everything that is wrong with webhooks and alerts."""
    analysis = effective.analysis_of(canary)
    for index, hook in enumerate(analysis.webhooks):
        yield from _hook_problems(hook, f"spec.analysis.webhooks[{index}]")
    yield from duplicate_problems((hook.name for hook in analysis.webhooks), "spec.analysis.webhooks")
    yield from duplicate_problems((alert.name for alert in analysis.alerts), "spec.analysis.alerts")
    yield from _length_problems(canary, context)


def _hook_problems(hook: Webhook, path: str) -> Iterator[Problem]:
    if hook.timeout:
        try:
            parse_duration(hook.timeout)
        except ValueError:
            yield warning(f"{path}.timeout", hook.timeout, "is no duration such as 30s or 1m30s: 10 s are used", "GAP-15")
    if not 0 <= hook.retries <= _MOST_RETRIES:
        yield warning(f"{path}.retries", hook.retries, f"should be from 0 to {_MOST_RETRIES}", "GAP-30")


def _length_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Rollout hooks that may take longer than a step, which then ends later (api:GAP-31)."""
    hooks = effective.webhooks(canary, HookType.ROLLOUT)
    longest = sum((effective.hook_timeout(hook) * effective.hook_attempts(hook) for hook in hooks), timedelta())
    interval = effective.interval(canary, context.minimum_interval)
    if longest > interval:
        message = f"rollout hooks may take {longest.total_seconds():g} s, a step {interval.total_seconds():g} s: steps may end later"
        yield warning("spec.analysis.webhooks", None, message, "GAP-31")
