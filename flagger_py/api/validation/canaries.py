"""Validation of a whole Canary."""

from collections.abc import Iterator

from flagger_py.api.canary import Canary
from flagger_py.api.problems import Problem, ProblemSeverity, invalid
from flagger_py.api.validation.checks import check_problems
from flagger_py.api.validation.context import Context
from flagger_py.api.validation.hooks import hook_problems
from flagger_py.api.validation.matches import match_problems
from flagger_py.api.validation.schema_rules import schema_problems
from flagger_py.api.validation.service import service_problems
from flagger_py.api.validation.strategy import strategy_problems
from flagger_py.api.validation.target import target_problems

_TOPICS = (target_problems, service_problems, strategy_problems, match_problems, check_problems, hook_problems)
_ORDER = tuple(ProblemSeverity)


def validate(canary: Canary, context: Context) -> tuple[Problem, ...]:
    """Everything that is wrong with the Canary's spec: invalid first, then what is not supported, then warnings.

    One finding for each field and severity. Never raises, whatever a stored object holds (api:API-36).
    """
    if not canary.has("spec"):
        return (invalid("spec", None, "is required", "GAP-67"),)
    found = [*schema_problems(canary.spec, "spec"), *_topic_problems(canary, context)]
    return tuple(sorted(_first_of_each(found), key=lambda problem: _ORDER.index(problem.severity)))


def _topic_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    for topic in _TOPICS:
        yield from topic(canary, context)


def _first_of_each(problems: list[Problem]) -> list[Problem]:
    return list({(problem.path, problem.severity): problem for problem in reversed(problems)}.values())[::-1]
