"""Validation of Canaries: every rule by an example, and what has to be accepted."""

from datetime import timedelta
from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.decoding import Undecodable, parse_canary
from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.validation import Context, validate
from tests.unit.api.cases import CASES, Case
from tests.unit.api.manifests import ABSENT, changed, valid_canary


def problems_of(manifest: dict[str, Any], **context: Any) -> tuple[Problem, ...]:
    canary = parse_canary(manifest)
    assert isinstance(canary, Canary), canary
    return validate(canary, Context(**context))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_problem_is_found_where_it_is(case: Case) -> None:
    """api:§12, engine:VAL-20..26"""
    found = problems_of(case.manifest())
    matching = [problem for problem in found if (problem.path, problem.severity) == (case.path, case.severity)]
    assert matching, [f"{problem.severity} {problem}" for problem in found]
    assert case.says in matching[0].message
    assert matching[0].message


@pytest.mark.parametrize("provider", ["istio", "contour", "gatewayapi:v1", "gatewayapi:v1beta1"])
def test_a_weighted_canary_has_no_problem(provider: str) -> None:
    assert problems_of(valid_canary(provider)) == ()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec.analysis.interval": "1h"}, id="GAP-16 hours"),
        pytest.param({"spec.analysis.interval": "1.5m"}, id="GAP-16 fractions"),
        pytest.param({"spec.analysis.stepWeight": 10.0}, id="a whole number with a fraction of zero"),
        pytest.param({"spec.service.targetPort": 0}, id="targetPort 0 means port"),
        pytest.param({"spec.service.targetPort": "0"}, id="targetPort '0' means port"),
        pytest.param({"spec.service.targetPort": "http-web"}, id="a named targetPort"),
        pytest.param({"spec.service.hosts": ["*", "*.example.com", "shop"]}, id="hosts"),
        pytest.param({"spec.analysis.metrics": [{"name": "a", "threshold": 0, "query": "q"}]}, id="GAP-22 errors must be 0"),
        pytest.param({"spec.analysis.webhooks": [{"name": "gate", "url": "HTTP://gate.test/", "timeout": "5s"}]}, id="a hook"),
        pytest.param({"spec.service.match": [{"uri": {"regex": r"^/(?i)a[[:alpha:]]\pL+\z(?P<n>x)(?<m>y)\Q(\E"}}]}, id="RE2 syntax"),
        pytest.param({"spec.service.timeout": "1.5s"}, id="a fraction of a second"),
        pytest.param({"spec.service.name": "web", "spec.targetRef.name": "shop.v1"}, id="a target with a dot and a Service name"),
    ],
)
def test_what_works_is_accepted(changes: dict[str, Any]) -> None:
    assert problems_of(changed(valid_canary(), changes)) == ()


def test_a_skipped_analysis_needs_no_strategy() -> None:
    """issue 3 §2.6: `kubernetes` promotes with skipAnalysis; nothing else is said of a strategy that is not used."""
    iterations = {"spec.analysis.stepWeight": ABSENT, "spec.analysis.maxWeight": ABSENT, "spec.analysis.iterations": 5}
    assert problems_of(changed(valid_canary("kubernetes"), {**iterations, "spec.skipAnalysis": True})) == ()


def test_nginx_compares_a_header_and_a_cookie() -> None:
    """api:API-35: an example of Flagger's docs."""
    match = [{"headers": {"x-canary": {"exact": "always"}}}, {"headers": {"cookie": {"exact": "canary"}}}]
    steps = {"spec.analysis.stepWeight": ABSENT, "spec.analysis.maxWeight": ABSENT, "spec.analysis.iterations": 5}
    found = problems_of(changed(valid_canary("nginx"), {**steps, "spec.analysis.match": match}))
    assert ProblemSeverity.INVALID not in {problem.severity for problem in found}


def test_contour_knows_endless_timeouts() -> None:
    assert problems_of(changed(valid_canary("contour"), {"spec.service.timeout": "infinity"})) == ()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.analysis.stepWeight", 10.5, "whole number"),
        ("spec.analysis.stepWeight", "10", "integer"),
        ("spec.analysis.threshold", 3e9, "less than or equal to 2147483647"),
        ("spec.analysis.mirror", "yes", "true or false"),
        ("spec.analysis.metrics", {"a": 1}, "list"),
        ("spec.service", [], "object"),
        ("spec.service.targetPort", 80.5, "whole number"),
        ("spec.targetRef.name", 3, "string"),
        ("spec.service.match", [{"port": -1}], "greater than or equal to 0"),
    ],
)
def test_a_poison_object_gives_its_problems(path: str, value: object, message: str) -> None:
    """api:API-15, api:API-16, api:GAP-01"""
    parsed = parse_canary(changed(valid_canary(), {path: value}))
    assert isinstance(parsed, Undecodable)
    (problem,) = parsed.problems
    assert problem.path.startswith(path)
    assert message in problem.message


def test_null_is_the_same_as_absent() -> None:
    assert problems_of(changed(valid_canary(), {"spec.analysis.webhooks": None, "spec.suspend": None})) == ()


def test_references_to_other_namespaces_can_be_forbidden() -> None:
    """engine:VAL-20, api:API-22"""
    metrics = [{"name": "a", "threshold": 1, "templateRef": {"name": "t", "namespace": "other"}}]
    manifest = changed(valid_canary(), {"spec.analysis.metrics": metrics})
    assert problems_of(manifest) == ()
    (problem,) = problems_of(manifest, no_cross_namespace_refs=True)
    assert problem.path == "spec.analysis.metrics[0].templateRef.namespace"
    assert "(test)" in problem.message


def test_the_provider_of_the_command_line_is_named_as_such() -> None:
    manifest = changed(valid_canary(), {"spec.provider": ABSENT})
    (problem,) = problems_of(manifest, provider="nope")
    assert problem.path == "spec.provider"
    assert '"nope"' in str(problem)
    assert "(from the command line)" in problem.message


def test_without_any_provider_its_rules_are_left_out() -> None:
    assert problems_of(changed(valid_canary(), {"spec.provider": ABSENT, "spec.service.timeout": "1h"})) == ()


def test_an_installed_plugin_is_known_and_judged_by_what_it_can_do() -> None:
    installed: dict[str, Any] = {"routers": frozenset({"example.com/lb"}), "capabilities": lambda _: Capabilities(weights=True)}
    assert problems_of(changed(valid_canary(), {"spec.provider": "lb"}), routers=frozenset({"lb"})) == ()
    found = problems_of(changed(valid_canary(), {"spec.provider": "lb", "spec.analysis.mirror": True}), **installed)
    assert ("spec.analysis.mirror", ProblemSeverity.INVALID) in {(problem.path, problem.severity) for problem in found}


def test_a_plugin_without_weights_takes_no_steps() -> None:
    found = problems_of(changed(valid_canary(), {"spec.provider": "lb"}), routers=frozenset({"lb"}), capabilities=lambda _: Capabilities())
    assert [problem.message for problem in found] == ["provider lb cannot split traffic by weight: use iterations"]


def test_a_lower_minimum_interval_allows_shorter_steps() -> None:
    manifest = changed(valid_canary(), {"spec.analysis.interval": "3s"})
    assert problems_of(manifest, minimum_interval=timedelta(seconds=2)) == ()


def test_the_worst_comes_first() -> None:
    found = problems_of(
        changed(valid_canary(), {"spec.analysis.interval": "5s", "spec.provider": "appmesh", "spec.analysis.threshold": -1})
    )
    severities = dict.fromkeys(problem.severity for problem in found)
    assert list(severities) == [ProblemSeverity.INVALID, ProblemSeverity.NOT_SUPPORTED, ProblemSeverity.WARNING]
    assert [problem.severity for problem in found] == sorted((problem.severity for problem in found), key=list(severities).index)
