"""A small Prometheus for the embedded cluster: scrapes text formats, keeps samples in memory, answers instant PromQL queries.

It follows Prometheus 3 in what it does (lookback, staleness, extrapolation, counter resets, matching) and refuses the rest by name.
"""

from flagger_py.local.promql.errors import BadQuery, ExecutionError
from flagger_py.local.promql.evaluate import evaluate
from flagger_py.local.promql.scrape import Scraper, Target
from flagger_py.local.promql.server import PrometheusServer
from flagger_py.local.promql.store import SampleStore

__all__ = ["BadQuery", "ExecutionError", "PrometheusServer", "SampleStore", "Scraper", "Target", "evaluate"]
