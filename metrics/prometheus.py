"""Prometheus, and whatever answers its HTTP API (Thanos, Mimir, VictoriaMetrics; metrics:PROM-01..08)."""

import base64
import math
import posixpath
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, quote_plus, urlsplit

import structlog

from flagger_py.http.client import HttpClient, HttpRequest
from flagger_py.metrics.base import InvalidQuery, MetricProvider, ProviderConfig, Refused, Unavailable
from flagger_py.metrics.exchange import fetch_json
from flagger_py.rollout.sample import NoData, Sample, Value

TIMEOUT_SECONDS = 5.0
"""Of one query, the whole answer included (PRV-02)."""

_MAX_WARNED = 100
_NOT_FORWARDED = {"host", "authorization"}

log = structlog.get_logger(__name__)


class PrometheusProvider(MetricProvider):
    """Instant queries; the window stands in the query itself. Credentials: `token`, or `username` and `password`."""

    def __init__(self, config: ProviderConfig, http: HttpClient) -> None:
        super().__init__(config, http)
        address = _parse_address(config.address)
        path = posixpath.normpath(f"/{address.path}/api/v1/query").replace("//", "/")
        self._url = address._replace(path=path, query="", fragment="").geturl()
        self._name = f"prometheus at {address.netloc.rpartition('@')[2]}"
        self._headers = _headers(config, self._name)
        self._warned: set[str] = set()

    async def query(self, query: str, window: timedelta) -> Sample:
        """The value of the last series; white space in the query is collapsed, as Flagger does (TPL-15)."""
        del window
        text = " ".join(query.split())
        request = HttpRequest(
            "GET",
            f"{self._url}?query={quote_plus(text)}",
            self._headers,
            timeout=TIMEOUT_SECONDS,
            verify=not self.config.insecure_skip_verify,
        )
        values = self._values(await fetch_json(self.http, request, self._name))
        if len(values) > 1:
            self._warn(text, len(values))
        return _sample(values)

    async def ping(self) -> None:
        """Ask for `vector(1)`, which must be 1 (PROM-08)."""
        match await self.query("vector(1)", timedelta()):
            case Value(value) if value == 1:
                return
            case other:
                raise Unavailable(f"{self._name}: vector(1) gave {other}, so this is no Prometheus")

    def _values(self, answer: Any) -> list[float]:
        """The numbers of an answer (PROM-06, PROM-07)."""
        data = answer.get("data") if isinstance(answer, Mapping) else None
        result = data.get("result") if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(result, Sequence) or isinstance(result, str):
            raise Unavailable(f"{self._name}: the answer has no data.result, so this is no Prometheus")
        kind = data.get("resultType", "vector")
        if kind == "scalar":
            return [self._number(result)]
        if kind == "string":
            raise InvalidQuery(f"{self._name}: the query gives a text, not a number")
        return [self._number(self._point(element)) for element in result]

    def _point(self, element: Any) -> Any:
        if not isinstance(element, Mapping):
            raise InvalidQuery(f"{self._name}: the query gives something that is no vector")
        if "values" in element:
            raise InvalidQuery(f"{self._name}: the query gives a range of values; aggregate it to one value for each series")
        if "value" not in element:
            raise InvalidQuery(f"{self._name}: the query gives a native histogram; take a quantile or a count of it")
        return element["value"]

    def _number(self, point: Any) -> float:
        if not isinstance(point, Sequence) or len(point) != 2 or not isinstance(point[1], str):
            raise InvalidQuery(f"{self._name}: a value is no pair of time and text: {str(point)[:80]}")
        try:
            return float(point[1])
        except ValueError as error:
            raise InvalidQuery(f"{self._name}: {point[1][:80]!r} is no number") from error

    def _warn(self, query: str, series: int) -> None:
        """Once for each query: the answer depends on the order of the series (RES-02)."""
        if query not in self._warned and len(self._warned) < _MAX_WARNED:
            self._warned.add(query)
            log.warning("query_has_several_series", provider=self._name, query=query, series=series, used="last")


def _sample(values: Sequence[float]) -> Sample:
    if not values:
        return NoData("the query returned no series")
    value = values[-1]
    if math.isfinite(value):
        return Value(value)
    if math.isnan(value):
        return NoData("the value is NaN: 0 divided by 0, as with no request in the window")
    return NoData("the value is infinite: something divided by 0")


def _parse_address(address: str) -> SplitResult:
    """The parts of the URL; `http://` is assumed where there is no scheme (PROM-02). Raises `InvalidQuery` without quoting a password."""
    text = address.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise InvalidQuery("the address of the Prometheus server cannot be read as a URL") from error
    if not is_valid:
        raise InvalidQuery("the address of the Prometheus server must be an http or https URL with a host")
    return parts


def _headers(config: ProviderConfig, name: str) -> Mapping[str, str | tuple[str, ...]]:
    """The configured headers; Authorization of the Secret replaces theirs (PROM-03, PROM-04, PROM-05)."""
    authorization = _authorization(config.credentials, name)
    if not authorization:
        return {key: values for key, values in config.headers.items() if key.lower() != "host"}
    return {key: values for key, values in config.headers.items() if key.lower() not in _NOT_FORWARDED} | {"Authorization": authorization}


def _authorization(credentials: Mapping[str, str], name: str) -> str:
    if not credentials:
        return ""
    if "token" in credentials:
        token = credentials["token"].strip()
        return f"Bearer {token}" if token else ""
    missing = [key for key in ("username", "password") if key not in credentials]
    if missing:
        raise Refused(f"{name}: the Secret has no key {' and no key '.join(missing)}; it needs token, or username and password")
    user, password = credentials["username"].strip(), credentials["password"].strip()
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user and password else ""
