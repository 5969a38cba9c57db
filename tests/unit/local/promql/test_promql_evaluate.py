"""What the recording cannot show: staleness, lookback, window edges, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.local.promql import BadQuery, ExecutionError, SampleStore, evaluate
from flagger_py.local.promql.histogram import quantile
from flagger_py.local.promql.store import STALE, Labels, is_stale
from flagger_py.local.promql.values import Scalar, Vector, number
from flagger_py.metrics.observers import OBSERVERS
from flagger_py.metrics.template import TemplateValues


def filled(*series: tuple[Labels, list[tuple[float, float]]]) -> SampleStore:
    store = SampleStore(retention_seconds=1e6)
    for labels, samples in series:
        store.add(labels, samples)
    return store


def values(query: str, store: SampleStore, at: float) -> list[float]:
    result = evaluate(query, store, round(at * 1000))
    assert isinstance(result, Vector)
    return [element.value for element in result.elements]


X = {"__name__": "x"}


def test_a_sample_stands_for_its_series_for_five_minutes() -> None:
    store = filled((X, [(100, 1.0)]))
    assert values("x", store, 99.999) == []
    assert values("x", store, 100) == [1.0]
    assert values("x", store, 399.999) == [1.0]
    assert values("x", store, 400) == []


def test_a_series_that_ended_is_gone_at_once_and_may_begin_again() -> None:
    store = filled((X, [(100, 1.0), (110, STALE), (130, 3.0)]))
    assert values("x", store, 109) == [1.0]
    assert values("x", store, 110) == []
    assert values("x", store, 129) == []
    assert values("x", store, 130) == [3.0]


def test_the_end_of_a_series_is_no_sample_of_a_window() -> None:
    store = filled((X, [(100, 1.0), (110, 2.0), (120, STALE)]))
    assert values("count_over_time(x[1m])", store, 121) == [2.0]


def test_a_window_leaves_out_its_start_and_has_its_end() -> None:
    """As Prometheus 3: a window of one minute at a sample every 10 s has six samples, not seven."""
    store = filled((X, [(10.0 * place, 1.0) for place in range(20)]))
    assert values("count_over_time(x[1m])", store, 120) == [6.0]


def test_a_measured_nan_is_not_the_end_of_a_series() -> None:
    assert is_stale(STALE)
    assert not is_stale(math.nan)
    (value,) = values("x", filled((X, [(100, math.nan)])), 101)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("x[5m:1m]", "a subquery is not supported"),
        ("rate(x[5m:1m])", "a subquery is not supported"),
        ("topk(3, x)", "the aggregation topk is not supported"),
        ('label_replace(x, "a", "$1", "b", "(.*)")', "the function label_replace is not supported"),
        ("absent(x)", "the function absent is not supported"),
        ("predict_linear(x[5m], 60)", "the function predict_linear is not supported"),
        ("x atan2 x", "the operator atan2 is not supported"),
        ('x{a="1" or b="2"}', "`or` between matchers is not supported"),
    ],
)
def test_what_is_missing_is_refused_by_name(query: str, message: str) -> None:
    with pytest.raises(ExecutionError, match=message):
        evaluate(query, filled((X, [(100, 1.0)])), 100_000)


@pytest.mark.parametrize("query", ["", "sum(", "x{", "foo(x)", "rate(x)", "x and 1", "1 2", "{}"])
def test_what_is_no_promql_is_bad_data(query: str) -> None:
    with pytest.raises(BadQuery):
        evaluate(query, filled(), 0)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises((ExecutionError, BadQuery)):
        evaluate("(" * 150 + "1" + ")" * 150, filled(), 0)


VALUES = TemplateValues("podinfo", "prod", "web", "web", "web", "web", "1m")


@pytest.mark.parametrize("family", OBSERVERS)
def test_the_built_in_queries_of_every_family_can_be_answered(family: str) -> None:
    """issue 3 §3"""
    for query in (OBSERVERS[family].success_rate(VALUES), OBSERVERS[family].request_duration(VALUES)):
        assert evaluate(query, filled(), 0) == Vector([])


CLUSTER = {"envoy_cluster_name": "prod_web-canary_80"}


def test_a_success_rate_is_measured_and_is_0_where_only_failures_were_counted() -> None:
    """metrics:OBS-ALL-01, OBS-CONTOUR-01"""

    def requests(code: str, each: float) -> tuple[Labels, list[tuple[float, float]]]:
        labels = {"__name__": "envoy_cluster_upstream_rq", "envoy_response_code": code, **CLUSTER}
        return labels, [(5.0 * place, each * place) for place in range(20)]

    rate = OBSERVERS["contour"].success_rate(VALUES)
    assert values(rate, filled(requests("200", 9), requests("503", 1)), 95) == pytest.approx([90.0])
    assert values(rate, filled(requests("503", 1)), 95) == [0.0]
    (idle,) = values(rate, filled(requests("200", 0), requests("503", 0)), 95)
    assert math.isnan(idle)


ANNOUNCED_RATE = (
    'sum(rate(envoy_cluster_upstream_rq{envoy_cluster_name=~"prod_web-canary_[0-9a-zA-Z-]+", envoy_response_code!~"5.*"}[1m]))'
    ' / sum(rate(envoy_cluster_upstream_rq{envoy_cluster_name=~"prod_web-canary_[0-9a-zA-Z-]+"}[1m])) * 100'
)
ANNOUNCED_LATENCY = (
    'histogram_quantile(0.99, sum(rate(envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=~"prod_web-canary_[0-9a-zA-Z-]+"}[1m]))'
    " by (le)) / 1000"
)


def test_the_queries_of_the_gateway_api_announcement_run_unchanged() -> None:
    """issue 3 §2.7"""
    names = {"__name__": "envoy_cluster_upstream_rq", **CLUSTER}
    good = {**names, "envoy_response_code": "200"}, [(5.0 * place, 3.0 * place) for place in range(20)]
    bad = {**names, "envoy_response_code": "500"}, [(5.0 * place, 1.0 * place) for place in range(20)]
    buckets = [
        (
            {"__name__": "envoy_cluster_upstream_rq_time_bucket", "le": bound, **CLUSTER},
            [(5.0 * place, share * place) for place in range(20)],
        )
        for bound, share in (("5", 0.0), ("10", 4.0), ("+Inf", 4.0))
    ]
    store = filled(good, bad, *buckets)
    assert values(ANNOUNCED_RATE, store, 95) == pytest.approx([75.0])
    assert values(ANNOUNCED_LATENCY, store, 95) == pytest.approx([0.00995])


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30), st.floats(0, 1))
def test_a_quantile_lies_between_the_bounds_of_its_buckets(observations: list[float], q: float) -> None:
    bounds = [10.0, 50.0, 100.0, math.inf]
    buckets = [(bound, float(sum(value <= bound for value in observations))) for bound in bounds]
    result = quantile(q, buckets)
    assert math.isnan(result) or 0 <= result <= 100


@given(st.floats(allow_nan=False))
def test_a_number_is_written_so_that_it_is_read_back(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert "e" not in text


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=2, max_size=40))
def test_a_rate_of_a_counter_is_never_negative(steps: list[tuple[int, bool]]) -> None:
    total, samples = 0, []
    for place, (step, is_reset) in enumerate(steps):
        total = 0 if is_reset else total + step
        samples.append((5.0 * place, float(total)))
    assert all(value >= 0 for value in values("rate(x[10m])", filled((X, samples)), samples[-1][0] + 1))


def test_scalars_and_texts_are_results_too() -> None:
    assert evaluate("1 + 1", filled(), 0) == Scalar(2.0)
