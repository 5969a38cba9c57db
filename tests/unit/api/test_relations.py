"""Canaries in each other's way, and references between files."""

from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.problems import ProblemSeverity, invalid, not_supported
from flagger_py.api.validation import Neighbours, relation_problems, rivals
from tests.unit.api.manifests import changed, valid_canary


def canary(name: str, **changes: Any) -> Canary:
    named = changed(valid_canary(), {"metadata.name": name})
    return Canary.model_validate(changed(named, changes))


def test_the_older_of_two_canaries_on_one_target_goes_on() -> None:
    """api:API-27, api:GAP-60, design:§6"""
    young = canary("a", **{"metadata.creationTimestamp": "2026-01-02T00:00:00Z"})
    old = canary("b", **{"metadata.creationTimestamp": "2026-01-01T00:00:00Z"})
    assert rivals([young, old]) == {("test", "Deployment", "shop"): [old, young]}
    ((refused, problem),) = relation_problems(Neighbours((young, old)))
    assert refused is young
    assert "Canary test/b" in problem.message
    assert problem.severity == ProblemSeverity.INVALID


def test_among_canaries_of_one_age_the_name_decides() -> None:
    assert [found.name for found in rivals([canary("b"), canary("a")])["test", "Deployment", "shop"]] == ["a", "b"]


def test_targets_in_other_namespaces_or_of_other_kinds_are_others() -> None:
    others = [canary("b", **{"metadata.namespace": "prod"}), canary("c", **{"spec.targetRef.kind": "DaemonSet"})]
    assert rivals([canary("a"), *others]) == {}


def test_one_canary_given_twice_is_no_rival() -> None:
    assert rivals([canary("a"), canary("a")]) == {}


def template_user() -> Canary:
    return canary("a", **{"spec.analysis.metrics": [{"name": "m", "threshold": 1, "templateRef": {"name": "t"}}]})


def test_a_missing_template_is_only_noted() -> None:
    """api:GAP-66"""
    ((_, problem),) = relation_problems(Neighbours((template_user(),)))
    assert problem.severity == ProblemSeverity.NOTE
    assert problem.path == "spec.analysis.metrics[0].templateRef"


def test_a_template_that_cannot_be_used_is_a_problem_of_the_canary() -> None:
    wrong = (not_supported("spec.provider.type", "datadog", "is not supported"), invalid("spec.query", "", "must not be empty", "GAP-64"))
    ((_, problem),) = relation_problems(Neighbours((template_user(),), metric_templates={("test", "t"): wrong}))
    assert problem.severity == ProblemSeverity.INVALID
    assert "spec.query" in problem.message


def test_a_good_template_is_no_problem() -> None:
    assert list(relation_problems(Neighbours((template_user(),), metric_templates={("test", "t"): ()}))) == []
