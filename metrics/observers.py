"""The PromQL of the built-in checks for each router family: metric and label names as Flagger has them (metrics:OBS-*).

An observer is data; `success_rate` and `request_duration` make the queries. Values are inserted as they are: in a matcher
with `=~` they are read as regular expressions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flagger_py.metrics.template import TemplateValues


@dataclass(frozen=True, slots=True)
class Quantile:
    """The 99th percentile of a histogram; `matchers` come in addition to the observer's."""

    buckets: str
    matchers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mean:
    """The sum of all durations divided by their number."""

    total: str
    count: str


@dataclass(frozen=True, slots=True)
class Observer:
    """How one router family names its metrics. Matchers hold the fields of `TemplateValues` in angle brackets: `<target>`."""

    requests: str
    matchers: tuple[str, ...]
    good: str
    """The matcher of what is no failure."""
    duration: Quantile | Mean
    milliseconds: int = 1
    """How many milliseconds the unit of `duration` has."""
    request_matchers: tuple[str, ...] = ()
    """In addition to `matchers`, for `requests` only."""
    identifiers_only: bool = False
    """Characters that no identifier has become `_` in the values (OBS-SKIPPER-02)."""

    def success_rate(self, values: TemplateValues) -> str:
        """Percent of the requests that did not fail.

        Where only failures were ever counted there is no series of good requests: the rate is 0 then, not "no data" (OBS-ALL-01).
        """
        matchers = (*self.request_matchers, *self.matchers)
        everything = f"sum({self._rate(self.requests, matchers, values)})"
        good = f"sum({self._rate(self.requests, (*matchers, self.good), values)})"
        return f"({good} or {everything} * 0) / {everything} * 100"

    def request_duration(self, values: TemplateValues) -> str:
        """Milliseconds."""
        match self.duration:
            case Quantile(buckets, more):
                query = f"histogram_quantile(0.99, sum({self._rate(buckets, (*self.matchers, *more), values)}) by (le))"
            case Mean(total, count):
                query = f"sum({self._rate(total, self.matchers, values)}) / sum({self._rate(count, self.matchers, values)})"
        return query if self.milliseconds == 1 else f"{query} * {self.milliseconds}"

    def _rate(self, metric: str, matchers: tuple[str, ...], values: TemplateValues) -> str:
        inserted = _identifiers(values) if self.identifiers_only else values
        filled = ", ".join(_VALUE.sub(lambda found: str(getattr(inserted, found.group(1))), matcher) for matcher in matchers)
        return f"rate({metric}{{{filled}}}[{values.interval}])"


_VALUE: Final = re.compile(r"<(name|namespace|target|service|ingress|route)>")
_NOT_IN_IDENTIFIERS: Final = re.compile(r"[^0-9A-Za-z_]")
_POD: Final = ('kubernetes_namespace="<namespace>"', 'kubernetes_pod_name=~"<target>-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"')


def _identifiers(values: TemplateValues) -> TemplateValues:
    return replace(
        values,
        name=_identifier(values.name),
        namespace=_identifier(values.namespace),
        target=_identifier(values.target),
        service=_identifier(values.service),
        ingress=_identifier(values.ingress),
    )


def _identifier(text: str) -> str:
    return _NOT_IN_IDENTIFIERS.sub("_", text)


def _envoy(*matchers: str) -> Observer:
    """A family whose proxies are Envoys that report their clusters."""
    return Observer("envoy_cluster_upstream_rq", matchers, 'envoy_response_code!~"5.*"', Quantile("envoy_cluster_upstream_rq_time_bucket"))


OBSERVERS: Final[Mapping[str, Observer]] = {
    "apisix": Observer(
        "apisix_http_status",
        ('route=~"<namespace>_<route>-<target>-canary_.+"',),
        'code!~"5.."',
        Quantile("apisix_http_latency_bucket", ('type=~"request"',)),
    ),
    "appmesh": _envoy(*_POD),
    "contour": _envoy('envoy_cluster_name=~"<namespace>_<service>-canary_[0-9a-zA-Z-]+"'),
    "gloo": _envoy('envoy_cluster_name=~"<namespace>-<target>-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"'),
    "http": Observer(
        "http_request_duration_seconds_count",
        _POD,
        'status!~"5.*"',
        Quantile("http_request_duration_seconds_bucket"),
        milliseconds=1000,
    ),
    "istio": Observer(
        "istio_requests_total",
        ('reporter="destination"', 'destination_workload_namespace="<namespace>"', 'destination_workload=~"<target>"'),
        'response_code!~"5.*"',
        Quantile("istio_request_duration_milliseconds_bucket"),
    ),
    "knative": _envoy('envoy_cluster_name=~"<namespace>/<route>"'),
    "kuma": _envoy('service=~"<target>-canary_<namespace>_svc_[0-9a-zA-Z-]+"'),
    "linkerd": Observer(
        "response_total",
        ('namespace="<namespace>"', 'deployment=~"<target>"', 'direction="inbound"'),
        'classification!="failure"',
        Quantile("response_latency_ms_bucket"),
    ),
    "nginx": Observer(
        "nginx_ingress_controller_requests",
        ('namespace="<namespace>"', 'ingress="<ingress>"', 'canary!=""'),
        'status!~"5.*"',
        Mean("nginx_ingress_controller_response_duration_seconds_sum", "nginx_ingress_controller_response_duration_seconds_count"),
        milliseconds=1000,
    ),
    "osm": Observer(
        "osm_request_total",
        ('destination_namespace="<namespace>"', 'destination_kind="Deployment"', 'destination_name="<target>"'),
        'response_code!~"5.*"',
        Quantile("osm_request_duration_ms_bucket"),
    ),
    "skipper": Observer(
        "skipper_response_duration_seconds_bucket",
        ('route=~"kube(ew)?_<namespace>__<ingress>_canary__.*__<service>_canary(_[0-9]+)?"',),
        'code!~"5.."',
        Mean("skipper_serve_route_duration_seconds_sum", "skipper_serve_route_duration_seconds_count"),
        milliseconds=1000,
        request_matchers=('le="+Inf"',),
        identifiers_only=True,
    ),
    "traefik": Observer(
        "traefik_service_request_duration_seconds_bucket",
        ('service=~"<namespace>-<target>-canary-[0-9a-zA-Z-]+@kubernetescrd"',),
        'code!~"5.."',
        Quantile("traefik_service_request_duration_seconds_bucket"),
        milliseconds=1000,
        request_matchers=('le="+Inf"',),
    ),
}
"""By family. Metrics of all pods or upstreams of the canary are added together, whatever mesh they are in (OBS-KUMA-02)."""

_PREFIXES: Final = {"appmesh": "appmesh", "gloo": "gloo", "gatewayapi": "http"}
_NAMES: Final = {"kubernetes": "http"} | {name: name for name in OBSERVERS if name not in {"appmesh", "gloo", "http"}}


def provider_name(flag: str, spec_provider: str, *, core_service_target: bool) -> str:
    """The provider string that selects an observer, and that events name (OBS-SEL-01..03)."""
    name = "crossover" if "crossover" in flag else flag
    if spec_provider:
        name = "linkerd" if "linkerd" in flag else spec_provider
    return f"{name}:service" if core_service_target else name


def observer_of(provider: str) -> Observer:
    """The observer of a provider string; Istio's for every name that is not in the table (OBS-SEL-04, OBS-SEL-05)."""
    for prefix, family in _PREFIXES.items():
        if provider.startswith(prefix):
            return OBSERVERS[family]
    return OBSERVERS[_NAMES.get(provider, "istio")]
