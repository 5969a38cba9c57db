"""Which series a selector means, and which elements of two vectors belong together."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import promql_parser as syntax

from flagger_py.local.promql.errors import BadQuery, ExecutionError
from flagger_py.local.promql.store import METRIC_NAME, LabelKey, Labels, Matches

Test = Callable[[str], bool]


def selector(expression: syntax.VectorSelector) -> tuple[str, Matches]:
    """The metric's name, where it is given, and the test of all labels. A missing label counts as empty."""
    if expression.matchers.or_matchers:
        raise ExecutionError("`or` between matchers is not supported by this evaluator")
    tests = [(matcher.name, _test(matcher)) for matcher in expression.matchers.matchers]
    return expression.name or "", lambda labels: all(test(labels.get(name, "")) for name, test in tests)


def _test(matcher: syntax.Matcher) -> Test:
    expected = matcher.value
    match matcher.op:
        case syntax.MatchOp.Equal:
            return lambda value: value == expected
        case syntax.MatchOp.NotEqual:
            return lambda value: value != expected
    try:
        pattern = re.compile(expected, re.DOTALL)
    except re.error as error:
        raise BadQuery(f"the regular expression {expected!r} of label {matcher.name} cannot be read: {error}") from error
    if matcher.op == syntax.MatchOp.Re:
        return lambda value: pattern.fullmatch(value) is not None
    return lambda value: pattern.fullmatch(value) is None


def without_name(labels: Labels) -> Labels:
    """What is computed from a metric is no longer that metric."""
    return {name: value for name, value in labels.items() if name != METRIC_NAME}


@dataclass(frozen=True, slots=True)
class Grouping:
    """Labels that are kept (`by`, `on`) or left out (`without`, `ignoring`); the metric's name is kept only where it is named."""

    names: frozenset[str] = frozenset()
    keeps: bool = True

    @classmethod
    def of_aggregation(cls, modifier: "syntax.AggModifier | None") -> "Grouping":
        """No modifier: all elements are one group."""
        if modifier is None:
            return cls()
        return cls(frozenset(modifier.labels), modifier.type == syntax.AggModifierType.By)

    @classmethod
    def of_matching(cls, modifier: "syntax.LabelModifier | None") -> "Grouping":
        """No modifier: all labels have to be equal."""
        if modifier is None:
            return cls(keeps=False)
        return cls(frozenset(modifier.labels), modifier.type == syntax.LabelModifierType.Include)

    def apply(self, labels: Labels) -> Labels:
        if self.keeps:
            return {name: value for name, value in labels.items() if name in self.names}
        return {name: value for name, value in labels.items() if name not in self.names and name != METRIC_NAME}

    def key(self, labels: Labels) -> LabelKey:
        """Empty labels are the same as missing ones."""
        return tuple(sorted((name, value) for name, value in self.apply(labels).items() if value))


def included(labels: Labels, one_side: Labels, names: Sequence[str]) -> Labels:
    """The labels of the "many" side with those that `group_left(…)` takes from the "one" side."""
    taken = dict(labels)
    for name in names:
        if value := one_side.get(name, ""):
            taken[name] = value
        else:
            taken.pop(name, None)
    return taken
