"""What is said of each strategy with each traffic provider and target is what the one table says."""

import pytest

from flagger_py.api import support
from flagger_py.api.canary import Canary
from flagger_py.api.crds import root_schema
from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.support import Area
from flagger_py.api.validation import Context, validate
from flagger_py.routers import registry
from tests.matrix import PROVIDERS, SPLITTING, STRATEGIES, TARGETS, WEIGHING, Cell, cells
from tests.unit.api.admission import refusals

CONTEXT = Context(capabilities=lambda provider: registry.load(provider).capabilities(provider), routers=frozenset(registry.names()))

SCHEMA = root_schema(Canary)


def said(cell: Cell, severity: ProblemSeverity) -> list[Problem]:
    return [problem for problem in validate(cell.model(), CONTEXT) if problem.severity is severity]


@pytest.mark.parametrize("cell", list(cells()), ids=str)
def test_a_cell_is_what_the_table_says(cell: Cell) -> None:
    """routers:CTR-06, PRV-05, CON-08, engine:VAL-26, HAZ-20, HAZ-21, AB-05, BG-04, api:GAP-09, GAP-11..14, GAP-33, GAP-34, GAP-55"""
    invalid, warnings = said(cell, ProblemSeverity.INVALID), said(cell, ProblemSeverity.WARNING)
    if cell.refusal is not None:
        assert any(cell.refusal in str(problem) for problem in invalid), invalid
    elif cell.warning is not None:
        assert not invalid
        assert any(cell.warning in str(problem) for problem in warnings), warnings
    else:
        assert (invalid, warnings) == ([], [])
    assert not said(cell, ProblemSeverity.NOT_SUPPORTED)
    if cell.refusal is None:
        assert refusals(cell.canary(), SCHEMA) == [], "the API server refuses nothing that works"


def test_the_table_is_whole() -> None:
    """Every provider that is supported has a place in each row, once."""
    supported = {feature.name for feature in support.FEATURES if feature.area is Area.PROVIDER and feature.is_supported}
    assert set(PROVIDERS) == supported
    for row in STRATEGIES:
        places = [*row.works, *(row.warned or {}), *(row.refused or {})]
        assert sorted(places) == sorted(PROVIDERS), row.name
        assert set(row.with_traffic) <= {*row.works, *(row.warned or {})}, row.name
    assert set(WEIGHING) == {name for name in PROVIDERS if registry.load(name).capabilities(name).weights}
    assert set(SPLITTING) == {name for name in PROVIDERS if registry.load(name).capabilities(name).header_match}
    assert set(TARGETS) == {feature.name for feature in support.FEATURES if feature.area is Area.TARGET and feature.is_supported}


@pytest.mark.parametrize(("provider", "target"), [("istio", support.KNATIVE_SERVICE), ("knative", support.DEPLOYMENT)])
def test_a_knative_target_and_its_provider_need_each_other(provider: str, target: str) -> None:
    """engine:VAL-21"""
    problems = said(Cell(STRATEGIES[0], provider, target), ProblemSeverity.INVALID)
    assert any("knative" in str(problem) for problem in problems)
