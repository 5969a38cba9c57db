"""Values held against their bounds."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.api.analysis import ThresholdRange
from flagger_py.metrics.judge import Bounds, CheckKind, bounds, describe, judge

RATE, DURATION, CUSTOM = CheckKind.SUCCESS_RATE, CheckKind.DURATION, CheckKind.CUSTOM


@pytest.mark.parametrize(
    ("kind", "value", "threshold", "given", "breach"),
    [
        pytest.param(RATE, 99.0, 99, None, "", id="a minimum is inclusive"),
        pytest.param(RATE, 50.0, 99, None, "success rate 50.00% < 99%", id="as recorded from Flagger"),
        pytest.param(RATE, 98.996, 99, None, "success rate 99.00% < 99%", id="rounded for the text only"),
        pytest.param(RATE, 100.0, None, {"max": 99.5}, "success rate 100.00% > 99.5%", id="a rate may be too high"),
        pytest.param(RATE, 0.0, None, None, "", id="a rate without bounds passes"),
        pytest.param(DURATION, 500.9, 500, None, "", id="a duration is cut to milliseconds"),
        pytest.param(DURATION, 1515.2, 500, None, "request duration 1.515s > 500ms", id="a threshold is a maximum"),
        pytest.param(DURATION, 499.9, 500.9, {"max": 499.9}, "", id="its bounds are cut too"),
        pytest.param(DURATION, 1.0, None, {"max": 0.5}, "request duration 1ms > 0s", id="half a millisecond is none"),
        pytest.param(DURATION, 60000.0, None, {"min": 61000}, "request duration 1m0s < 1m1s", id="too fast"),
        pytest.param(DURATION, 0.9, None, None, "", id="no bound: 0 ms passes"),
        pytest.param(DURATION, 1.0, None, None, "request duration 1ms > 0s", id="no bound: 1 ms fails"),
        pytest.param(CUSTOM, 3.0, 3, None, "", id="a maximum is inclusive"),
        pytest.param(CUSTOM, 3.004, 3, None, "errors 3.00 > 3", id="a custom check names the metric"),
        pytest.param(CUSTOM, 0.001, None, None, "errors 0.00 > 0", id="no bound: above 0 fails"),
        pytest.param(CUSTOM, 1e9, 0, {}, "", id="an empty range hides the threshold and passes"),
        pytest.param(CUSTOM, 5.0, None, {"min": 10, "max": 1}, "errors 5.00 < 10", id="the minimum comes first"),
        pytest.param(CUSTOM, 0.5, None, {"min": 0.25, "max": 0.75}, "", id="within a range"),
    ],
)
def test_a_value_passes_or_is_named_with_the_bound_it_breaks(
    kind: CheckKind, value: float, threshold: float | None, given: dict[str, float] | None, breach: str
) -> None:
    """metrics:EVAL-10, EVAL-12, EVAL-13, EVAL-14, EVAL-17, engine:ANL-03, ANL-04"""
    limits = bounds(kind, threshold, None if given is None else ThresholdRange.model_validate(given))
    verdict = judge(kind, "errors", value, limits)
    assert verdict.breach == breach
    assert verdict.passed is (not breach)


@pytest.mark.parametrize(("kind", "value", "recorded"), [(RATE, 99.25, 99.25), (DURATION, 1515.9, 1.515), (CUSTOM, 0.125, 0.125)])
def test_the_recorded_value_is_in_percent_seconds_or_raw(kind: CheckKind, value: float, recorded: float) -> None:
    """metrics:REC-06, REC-17"""
    assert judge(kind, "m", value, Bounds()).recorded == recorded


@pytest.mark.parametrize(
    ("kind", "limits", "text"),
    [
        (RATE, Bounds(99.0, None), ">= 99%"),
        (DURATION, Bounds(None, 500.0), "<= 500ms"),
        (CUSTOM, Bounds(1.0, 2.5), ">= 1 and <= 2.5"),
        (CUSTOM, Bounds(), ""),
    ],
)
def test_bounds_are_said_in_words(kind: CheckKind, limits: Bounds, text: str) -> None:
    assert describe(kind, limits) == text


RECORDED = json.loads((Path(__file__).parents[2] / "fixtures" / "metrics" / "go_numbers.json").read_text())


def test_a_duration_is_printed_as_go_prints_it() -> None:
    """metrics:EVAL-17; recorded by running Go 1.26"""
    described = [describe(DURATION, Bounds(lowest=float(milliseconds))) for milliseconds, _ in RECORDED["milliseconds"]]
    assert described == [f">= {text}" for _, text in RECORDED["milliseconds"]]


def test_a_duration_beyond_all_measure_is_still_printed() -> None:
    assert judge(DURATION, "m", 1e300, Bounds(highest=500.0)).breach.startswith("request duration 238888")


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.sampled_from(CheckKind), finite, st.none() | finite, st.none() | finite)
def test_a_value_passes_exactly_between_its_bounds(kind: CheckKind, value: float, low: float | None, high: float | None) -> None:
    limits = bounds(kind, None, ThresholdRange(min=low, max=high))
    measured = int(value) if kind is DURATION else value
    fits = (limits.lowest is None or measured >= limits.lowest) and (limits.highest is None or measured <= limits.highest)
    assert judge(kind, "m", value, limits).passed is fits
