"""The CRD refuses what it can state of the rules, and nothing that Flagger's CRD accepts and that works."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger_py.api.canary import Canary
from flagger_py.api.crds import root_schema
from flagger_py.api.decoding import parse_canary
from flagger_py.api.problems import ProblemSeverity
from flagger_py.api.validation import Context, validate
from tests.unit.api.admission import refusals
from tests.unit.api.cases import CASES, Case
from tests.unit.api.manifests import valid_canary

SCHEMA = root_schema(Canary)
CORPUS = Path(__file__).parents[2] / "fixtures" / "api" / "flagger-canaries.yaml"
STORED: list[dict[str, Any]] = list(yaml.safe_load_all(CORPUS.read_text(encoding="utf-8")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_admission_and_validation_agree(case: Case) -> None:
    """api:§12; the same was seen on kube-apiserver 1.36."""
    assert bool(refusals(case.manifest(), SCHEMA)) == case.admission


def test_a_fraction_is_refused() -> None:
    """api:GAP-01"""
    manifest = valid_canary()
    manifest["spec"]["analysis"]["stepWeight"] = 10.5
    assert refusals(manifest, SCHEMA)


@pytest.mark.parametrize("provider", ["istio", "contour", "gatewayapi:v1", "kubernetes", "a-plugin.example.com:v2"])
def test_any_provider_is_accepted(provider: str) -> None:
    assert refusals(valid_canary(provider), SCHEMA) == []


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored["metadata"]["namespace"])
def test_what_flagger_left_is_accepted_and_survives_a_round_trip(stored: dict[str, Any]) -> None:
    """api:API-35, design:§6"""
    assert refusals(stored, SCHEMA) == []
    canary = parse_canary(stored)
    assert isinstance(canary, Canary)
    assert canary.to_manifest() == stored
    assert not [problem for problem in validate(canary, Context()) if problem.severity == ProblemSeverity.INVALID]
