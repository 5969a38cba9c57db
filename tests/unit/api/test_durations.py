"""Durations parse and print as Go's do."""

import contextlib
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.api.durations import format_duration, parse_duration

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", timedelta()),
        ("0s", timedelta()),
        ("90s", 90 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1h0m0s", 3600 * SECOND),
        ("1.5h", 5400 * SECOND),
        (".5s", SECOND / 2),
        ("1.s", SECOND),
        ("10ms", SECOND / 100),
        ("5µs", timedelta(microseconds=5)),
        ("5us", timedelta(microseconds=5)),
        ("999ns", timedelta()),
        ("-1m", -60 * SECOND),
        ("+1m", 60 * SECOND),
        ("3s2m", 123 * SECOND),
    ],
)
def test_accepts_what_go_accepts(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "1d", "1mfoo", "1min", "s", ".s", "1 s", "1m 30s", "--1s", "1e3s", "9999999h", "\u0661s", "1s\n"]
)
def test_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration|is too long"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(), "0s"),
        (SECOND, "1s"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
        (SECOND * 1.5, "1.5s"),
        (SECOND / 50, "20ms"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(microseconds=7), "7µs"),
        (-60 * SECOND, "-1m0s"),
    ],
)
def test_prints_as_go_prints(duration: timedelta, expected: str) -> None:
    assert format_duration(duration) == expected


@given(st.timedeltas(min_value=timedelta(days=-90000), max_value=timedelta(days=90000)))
def test_what_is_printed_parses_to_the_same(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text())
def test_any_text_parses_or_is_named_in_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_duration(text)
        return
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_duration(text)
