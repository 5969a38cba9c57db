"""Quantities parse as Kubernetes' do."""

import contextlib
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.api.quantities import parse_quantity

LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        ("1.5Gi", str(3 * 2**29)),
        ("2e3", "2000"),
        ("2E3", "2000"),
        ("1E", "1e18"),
        ("100u", "0.0001"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-3Ki", "-3072"),
        ("+1k", "1000"),
        ("0.1n", "1e-9"),
        ("8Ei", str(LARGEST)),
        ("1e400", str(LARGEST)),
    ],
)
def test_accepts_what_kubernetes_accepts(text: str, expected: str) -> None:
    assert parse_quantity(text) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gi", "1Kib", "1e", "1K", "--1", "1.2.3", "NaN", "\u0661", "1e99999"])
def test_refuses_what_kubernetes_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


@given(st.integers(-LARGEST, LARGEST))
def test_a_plain_integer_is_itself(number: int) -> None:
    assert parse_quantity(number) == number == parse_quantity(str(number))


@given(st.integers(-(10**9), 10**9))
def test_equal_amounts_are_equal_in_any_unit(number: int) -> None:
    assert parse_quantity(f"{number}000m") == parse_quantity(f"{number}") == parse_quantity(f"{number}e0")
    assert parse_quantity(f"{number}Mi") == parse_quantity(f"{number * 1024}Ki")


@given(st.text())
def test_any_text_parses_or_is_named_in_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_quantity(text)
        return
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_quantity(text)
