"""The text format, and series in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from flagger_py.local.promql.exposition import BadExposition, Line, labels_of, lines
from flagger_py.local.promql.store import SampleStore

PAGE = """# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{ method = "post" , code="400", }    3

msdos{path="C:\\\\DIR\\\\",error="Cannot find \\"FILE\\"\\n }"} 1.458255915e9
metric_without_labels 12.47
  something_weird{problem="division by zero"} +Inf -3982045
nan NaN
"""


def test_a_page_is_read_line_by_line() -> None:
    found = list(lines(PAGE))
    assert [(line.value, line.time_ms) for line in found[:5]] == [
        (1027.0, 1395066363000),
        (3.0, None),
        (1458255915.0, None),
        (12.47, None),
        (float("inf"), -3982045),
    ]
    assert [labels_of(line.series)["__name__"] for line in found] == [
        "http_requests_total",
        "http_requests_total",
        "msdos",
        "metric_without_labels",
        "something_weird",
        "nan",
    ]
    assert labels_of(found[1].series) == {"__name__": "http_requests_total", "method": "post", "code": "400"}
    assert labels_of(found[2].series) == {"__name__": "msdos", "path": "C:\\DIR\\", "error": 'Cannot find "FILE"\n }'}


@pytest.mark.parametrize("page", ["<html>", "x", "x y", "x{a=} 1 2 3", "x 1 2 3"])
def test_a_line_that_is_no_sample_is_named(page: str) -> None:
    with pytest.raises(BadExposition, match="line 2"):
        list(lines(f"ok 1\n{page}\n"))


@pytest.mark.parametrize("series", ['x{a="1}', 'x{="1"}', "1x", "x{a=1}", "{a='1'}"])
def test_labels_that_cannot_be_read_are_named(series: str) -> None:
    with pytest.raises(BadExposition):
        labels_of(series)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False))
def test_what_the_python_client_writes_is_read_back(label: str, value: float) -> None:
    registry = CollectorRegistry()
    Gauge("g", "help", ["a"], registry=registry).labels(a=label).set(value)
    (line,) = lines(generate_latest(registry).decode())
    assert line == Line(line.series, value)
    assert labels_of(line.series) == {"__name__": "g", "a": label}


def test_old_samples_are_dropped_and_ended_series_forgotten() -> None:
    store = SampleStore(retention_seconds=60)
    store.add({"__name__": "x"}, [(float(time), 1.0) for time in range(1024)])
    (series,) = store.select("x", lambda _: True)
    assert len(series.times) <= 60 + 256
    assert series.times[-1] == 1023_000
    store.forget_ended(1083_000)
    assert len(list(store.select("", lambda _: True))) == 1
    store.forget_ended(1083_001)
    assert not list(store.select("", lambda _: True))


def test_a_sample_that_is_not_newer_is_dropped() -> None:
    store = SampleStore()
    store.add({"__name__": "x"}, [(2.0, 1.0), (2.0, 2.0), (1.0, 3.0)])
    (series,) = store.select("x", lambda _: True)
    assert list(zip(series.times, series.values, strict=True)) == [(2000, 1.0)]
