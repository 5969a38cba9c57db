"""What holds a Canary before its objects are looked at."""

from datetime import timedelta
from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.api.metadata import FINALIZER
from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.status import ConditionType
from flagger_py.controller.admission import Admission

SPEC = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "service": {"port": 80}}


def manifest(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    base = {"name": "web", "namespace": "test", "uid": "u", "generation": 1, **metadata}
    return {"metadata": base, "spec": spec or SPEC, "status": status or {}}


def admission(*problems: Problem, crd: str = "") -> Admission:
    return Admission(validate=lambda _: problems, minimum_interval=timedelta(seconds=10), crd_problem=lambda: crd)


def canary(**kwargs: Any) -> Canary:
    return Canary.model_validate(manifest(**kwargs))


def test_a_valid_canary_is_held_by_nothing_and_warnings_hold_nothing() -> None:
    warning = Problem("spec.analysis.maxWeight", "50", "is ignored with stepWeights", ProblemSeverity.WARNING)
    assert admission(warning).faults(canary()) == ()


@pytest.mark.parametrize(
    ("severities", "reason"),
    [
        ([ProblemSeverity.INVALID], "Invalid"),
        ([ProblemSeverity.NOT_SUPPORTED], "NotSupported"),
        ([ProblemSeverity.NOT_SUPPORTED, ProblemSeverity.INVALID], "Invalid"),
    ],
)
def test_all_refusing_problems_are_one_fault_that_names_field_and_value(severities: list[ProblemSeverity], reason: str) -> None:
    problems = [Problem("spec.analysis.threshold", "-1", "must be at least 0", severity) for severity in severities]
    (fault,) = admission(*problems).faults(canary())
    assert (fault.condition, fault.reason) == (ConditionType.VALID, reason)
    assert "spec.analysis.threshold: -1: must be at least 0" in fault.message


def test_a_poison_object_keeps_its_metadata_and_status_and_says_what_is_wrong() -> None:
    """api:API-16: a fraction where Flagger wants an integer."""
    spec = {**SPEC, "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 10.5}}
    parsed, (fault,) = admission().parse(manifest(spec=spec, status={"phase": "Initialized", "canaryWeight": 0}))
    assert (parsed.name, parsed.status.phase) == ("web", "Initialized")
    assert "spec.analysis.stepWeight: 10.5" in fault.message


DELETED: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


def test_an_invalid_spec_holds_no_deletion() -> None:
    """engine:HAZ-07, FIN-07."""
    problem = Problem("spec.analysis.threshold", "-1", "must be at least 0", ProblemSeverity.INVALID)
    assert admission(problem).faults(canary(**DELETED)) == ()


@pytest.mark.parametrize(
    ("broken", "target", "revert"),
    [
        pytest.param({"analysis": {"stepWeight": 10.5}}, "web", True, id="analysis"),
        pytest.param({"service": 1}, "web", True, id="service"),
        pytest.param({"targetRef": "web"}, "", True, id="target"),
        pytest.param({"revertOnDeletion": "maybe"}, "web", True, id="the wish itself"),
        pytest.param({"analysis": 1, "revertOnDeletion": False}, "web", False, id="no wish"),
    ],
)
def test_of_a_deleted_poison_object_all_that_can_be_read_is_kept(broken: dict[str, Any], target: str, *, revert: bool) -> None:
    """engine:HAZ-07, api:API-16: what was there is put back by it."""
    parsed, faults = admission().parse(manifest(spec={**SPEC, "revertOnDeletion": True, **broken}, **DELETED))
    assert faults == ()
    assert (parsed.spec.target_ref.name, parsed.spec.revert_on_deletion) == (target, revert)
    assert parsed.metadata.finalizers == (FINALIZER,)


def test_without_any_spec_the_wish_counts_as_said() -> None:
    parsed, faults = admission().parse({**manifest(**DELETED), "spec": 1})
    assert (faults, parsed.spec.revert_on_deletion) == ((), True)


def test_the_crd_of_flagger_holds_every_canary() -> None:
    """design §5: our CRD comes first."""
    (fault,) = admission(crd="status.rollout is dropped silently").faults(canary())
    assert (fault.condition, fault.retry) == (ConditionType.CRD_CURRENT, True)


def test_a_record_of_a_newer_release_holds_the_canary() -> None:
    (fault,) = admission().faults(canary(status={"phase": "Progressing", "rollout": {"version": 9, "step": {"new": "shape"}}}))
    assert "status.rollout.version 9" in fault.message


def test_problems_are_looked_for_once_per_generation() -> None:
    looked: list[int] = []

    def validate(found: Canary) -> tuple[Problem, ...]:
        looked.append(found.metadata.generation)
        return ()

    admission = Admission(validate=validate, minimum_interval=timedelta(seconds=10))
    for generation in (1, 1, 2, 2):
        admission.faults(canary(generation=generation))
    assert looked == [1, 2]
