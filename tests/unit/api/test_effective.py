"""Defaults and limits of a Canary's fields."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.api import effective
from flagger_py.api.analysis import Alert, Analysis, HookType, Metric, Severity, Webhook
from flagger_py.api.canary import Canary, CanarySpec
from flagger_py.api.references import TargetRef
from flagger_py.api.service import Service


def canary_with(analysis: Analysis | None = None, service: Service | None = None) -> Canary:
    return Canary(spec=CanarySpec(target_ref=TargetRef(name="web"), analysis=analysis, service=service))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 60), ("1mfoo", 60), ("5s", 10), ("0s", 10), ("10s", 10), ("1m30s", 90), ("1h", 3600), ("1.5m", 90)],
)
def test_interval(text: str, seconds: int) -> None:
    """engine:DEF-01, api:API-32"""
    assert effective.interval(canary_with(Analysis(interval=text))) == timedelta(seconds=seconds)


def test_a_lower_minimum_interval_lets_steps_be_shorter() -> None:
    assert effective.interval(canary_with(Analysis(interval="3s")), timedelta(seconds=2)) == timedelta(seconds=3)
    assert effective.interval(canary_with(Analysis(interval="1s")), timedelta(seconds=2)) == timedelta(seconds=2)


def test_a_canary_without_analysis_and_service_has_every_default() -> None:
    """engine:DEF-14, engine:HAZ-05"""
    bare = Canary()
    assert effective.is_analysis_skipped(bare)
    assert effective.strategy(bare) == effective.Strategy.WEIGHTED
    assert effective.threshold(bare) == 1
    assert effective.primary_ready_threshold(bare) == effective.canary_ready_threshold(bare) == 100
    assert effective.progress_deadline(bare) == timedelta(minutes=10)
    assert effective.webhooks(bare, HookType.ROLLOUT) == ()
    assert effective.apex_name(bare) == ""


@pytest.mark.parametrize(("given", "expected"), [(-3, 1), (0, 1), (1, 1), (5, 5)])
def test_threshold_is_at_least_one(given: int, expected: int) -> None:
    """engine:DEF-02"""
    assert effective.threshold(canary_with(Analysis(threshold=given))) == expected


def test_a_ready_threshold_of_zero_is_honoured() -> None:
    """engine:DEF-03"""
    assert effective.canary_ready_threshold(canary_with(Analysis(canary_ready_threshold=0))) == 0


@pytest.mark.parametrize(
    ("analysis", "expected"),
    [
        pytest.param(Analysis(step_weight=20, max_weight=50), (20, 40, 60), id="WGT-04 overshoots maxWeight"),
        pytest.param(Analysis(step_weight=150), (100,), id="one step to 100"),
        pytest.param(Analysis(step_weight=30), (30, 60, 90, 100), id="DEF-06 up to 100 by default"),
        pytest.param(Analysis(step_weights=(1, 5, 60), max_weight=50), (1, 5, 60), id="GAP-05 the list wins"),
        pytest.param(Analysis(step_weights=(10, 50, 150)), (10, 50, 100), id="values above 100 are 100"),
        pytest.param(Analysis(), (), id="no step at all"),
        pytest.param(Analysis(step_weight=-5), (), id="a negative step is none"),
    ],
)
def test_weight_steps(analysis: Analysis, expected: tuple[int, ...]) -> None:
    assert effective.weight_steps(analysis) == expected


@pytest.mark.parametrize(("current", "expected"), [(0, 10), (10, 20), (15, 20), (20, 40), (39, 40), (40, 100), (100, 100)])
def test_an_edited_list_goes_on_at_the_next_larger_weight(current: int, expected: int) -> None:
    """engine:HAZ-22, api:GAP-07"""
    assert effective.next_weight(Analysis(step_weights=(10, 20, 40)), current) == expected


@given(
    st.builds(
        Analysis,
        step_weight=st.integers(-10, 200),
        step_weights=st.lists(st.integers(-10, 200), max_size=8).map(tuple),
        max_weight=st.integers(-10, 300),
        step_weight_promotion=st.integers(-10, 300),
    )
)
def test_weights_always_rise_and_never_exceed_100(analysis: Analysis) -> None:
    steps = effective.weight_steps(analysis)
    assert list(steps) == sorted(set(steps))
    assert all(0 < weight <= 100 for weight in steps)
    assert 0 < effective.promotion_step(analysis) <= 100


def test_names_follow_the_service_and_the_workload_follows_the_target() -> None:
    """engine:DEF-09, api:API-30"""
    named = canary_with(service=Service(name="shop", port=80))
    assert effective.apex_name(named) == "shop"
    assert effective.primary_service_name(named) == "shop-primary"
    assert effective.canary_service_name(named) == "shop-canary"
    assert effective.primary_name(named) == "web-primary"
    assert effective.apex_name(canary_with(service=Service(port=80))) == "web"


@pytest.mark.parametrize(("given", "expected"), [(None, 80), (0, 80), ("0", 80), (8080, 8080), ("http", "http")])
def test_target_port_is_the_port_by_default(given: int | str | None, expected: int | str) -> None:
    """engine:DEF-10"""
    assert effective.target_port(canary_with(service=Service(port=80, target_port=given))) == expected


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"stepWeight": 10}, "canary"),
        ({"iterations": 5}, "blue-green"),
        ({"iterations": 5, "match": [{"headers": {"x": {"exact": "y"}}}]}, "ab-testing"),
        ({"stepWeight": 10, "match": [{"headers": {"x": {"exact": "y"}}}]}, "canary"),
    ],
)
def test_strategy(manifest: dict[str, object], expected: str) -> None:
    """engine:DEF-13, api:API-31"""
    assert effective.strategy(canary_with(Analysis.model_validate(manifest))) == expected


def test_a_hook_without_a_type_is_a_rollout_hook() -> None:
    """engine:DEF-12"""
    hooks = (Webhook(name="a"), Webhook(name="b", type="rollout"), Webhook(name="c", type="event"))
    assert [hook.name for hook in effective.webhooks(canary_with(Analysis(webhooks=hooks)), HookType.ROLLOUT)] == ["a", "b"]


@pytest.mark.parametrize(("text", "seconds"), [("", 10), ("5", 10), ("1min", 10), ("0s", 10), ("-3s", 10), ("5m", 300), ("500ms", 0.5)])
def test_hook_timeout(text: str, seconds: float) -> None:
    assert effective.hook_timeout(Webhook(timeout=text)) == timedelta(seconds=seconds)


def test_every_metric_has_a_window() -> None:
    """engine:HAZ-33, api:GAP-18"""
    assert effective.metric_interval(Metric(name="x")) == "1m"
    assert effective.metric_window(Metric(interval="30s")) == timedelta(seconds=30)
    assert effective.metric_window(Metric(interval="5min")) == timedelta(minutes=1)


@pytest.mark.parametrize(("given", "expected"), [("", "info"), ("warn", "warn"), ("loud", "info")])
def test_an_alert_without_severity_is_sent_from_info_on(given: str, expected: str) -> None:
    """api:API-12"""
    assert effective.alert_severity(Alert(severity=given)) == Severity(expected)
