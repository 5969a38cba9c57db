"""Numbers as Go prints them (recorded by running Go 1.26)."""

import json
import math
from pathlib import Path

import pytest

from flagger_py.metrics.numbers import shortest_float

RECORDED = json.loads((Path(__file__).parents[2] / "fixtures" / "metrics" / "go_numbers.json").read_text())


def test_floats_are_printed_as_go_prints_them() -> None:
    """metrics:EVAL-17"""
    assert [shortest_float(float(value)) for value, _ in RECORDED["floats"]] == [text for _, text in RECORDED["floats"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(99, "99"), (99.5, "99.5"), (0, "0"), (1e5, "100000"), (1e6, "1e+06"), (1e-5, "1e-05"), (math.inf, "+Inf"), (math.nan, "NaN")],
)
def test_a_whole_number_has_no_point(value: float, text: str) -> None:
    """metrics:EVAL-17"""
    assert shortest_float(value) == text
