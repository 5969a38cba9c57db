"""A metric provider: the query is a path, and the JSON below it is `{"value": 99.5}`, or `{"value": null}` where there is no data."""

import math
from datetime import timedelta

from flagger_py.http.client import HttpRequest
from flagger_py.metrics.base import InvalidQuery, MetricProvider
from flagger_py.metrics.exchange import fetch_json
from flagger_py.rollout.sample import NoData, Sample, Value


class JsonProvider(MetricProvider):
    """Asks `<spec.provider.address>/<query>?window=<seconds>`."""

    async def query(self, query: str, window: timedelta) -> Sample:
        url = f"{self.config.address.rstrip('/')}/{query.strip().lstrip('/')}?window={window.total_seconds():g}"
        answer = await fetch_json(self.http, HttpRequest("GET", url, self.config.headers, timeout=5), f"example-json at {url}")
        value = answer.get("value", "") if isinstance(answer, dict) else ""
        if value is None:
            return NoData("the value is null")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidQuery(f"example-json at {url}: must answer with a number as value, got {answer!r:.80}")
        return Value(float(value))

    async def ping(self) -> None:
        await self.query("", timedelta())
