"""Our answers held against those of Prometheus 2.42 for the same samples, recorded by running it."""

import gzip
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flagger_py.local.promql import BadQuery, ExecutionError, SampleStore, evaluate
from flagger_py.local.promql.exposition import labels_of
from flagger_py.local.promql.values import data_of

RECORDED = json.loads(gzip.decompress((Path(__file__).parents[3] / "fixtures" / "promql" / "prometheus_2_42.json.gz").read_bytes()))
QUERIES = sorted({query for _, query, _ in RECORDED["answers"]})


@cache
def store() -> SampleStore:
    filled = SampleStore(retention_seconds=1e6)
    for series, samples in RECORDED["series"]:
        filled.add(labels_of(series), [(time, math.nan if value is None else value) for time, value in samples])
    return filled


def ours(query: str, time: float) -> Any:
    time_ms = round(time * 1000)
    try:
        return data_of(evaluate(query, store(), time_ms), time_ms)
    except BadQuery:
        return {"error": "bad_data"}
    except ExecutionError:
        return {"error": "execution"}


def comparable(data: Any) -> Any:
    """Without the order of series, and with numbers rounded to 12 digits: sums depend on the order of their parts."""
    if "error" in data:
        return data
    if data["resultType"] in {"scalar", "string"}:
        return data["resultType"], point(data["result"], is_text=data["resultType"] == "string")
    found = {json.dumps(dict(each["metric"]), sort_keys=True): points(each) for each in data["result"]}
    assert len(found) == len(data["result"])
    return data["resultType"], found


def points(element: Any) -> list[tuple[float, str]]:
    return [point(each) for each in element.get("values") or [element["value"]]]


def point(pair: Any, *, is_text: bool = False) -> tuple[float, str]:
    return round(pair[0], 3), pair[1] if is_text else f"{float(pair[1]):.11e}"


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_answered_as_prometheus_answers_it(query: str) -> None:
    """issue 3 §3: rate extrapolation, counter resets, gaps, matching, histograms and errors as Prometheus has them"""
    for time, recorded_query, answer in RECORDED["answers"]:
        if recorded_query == query:
            assert comparable(ours(query, time)) == comparable(answer)
