"""The queries of the built-in checks, and which router family gets which."""

import promql_parser
import pytest

from flagger_py.metrics.observers import OBSERVERS, observer_of, provider_name
from flagger_py.metrics.template import TemplateValues

VALUES = TemplateValues(
    name="podinfo",
    namespace="prod",
    target="web",
    service="web-svc",
    ingress="web-ing",
    route="web-route",
    interval="1m",
)

ENVOY = "envoy_cluster_upstream_rq"
POD = 'kubernetes_namespace="prod", kubernetes_pod_name=~"web-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'
SKIPPER = 'route=~"kube(ew)?_prod__web_ing_canary__.*__web_svc_canary(_[0-9]+)?"'
TRAEFIK = 'service=~"prod-web-canary-[0-9a-zA-Z-]+@kubernetescrd"'
ISTIO = 'reporter="destination", destination_workload_namespace="prod", destination_workload=~"web"'
LINKERD = 'namespace="prod", deployment=~"web", direction="inbound"'
NGINX = 'namespace="prod", ingress="web-ing", canary!=""'
OSM = 'destination_namespace="prod", destination_kind="Deployment", destination_name="web"'


def quantile(buckets: str, matchers: str, factor: str = "") -> str:
    return f"histogram_quantile(0.99, sum(rate({buckets}{{{matchers}}}[1m])) by (le)){factor}"


def mean(metric: str, matchers: str) -> str:
    return f"sum(rate({metric}_sum{{{matchers}}}[1m])) / sum(rate({metric}_count{{{matchers}}}[1m])) * 1000"


def envoy(matchers: str) -> tuple[str, str, str, str]:
    return ENVOY, matchers, 'envoy_response_code!~"5.*"', quantile(f"{ENVOY}_time_bucket", matchers)


TABLE = {
    "appmesh": envoy(POD),
    "contour": envoy('envoy_cluster_name=~"prod_web-svc-canary_[0-9a-zA-Z-]+"'),
    "gloo": envoy('envoy_cluster_name=~"prod-web-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"'),
    "knative": envoy('envoy_cluster_name=~"prod/web-route"'),
    "kuma": envoy('service=~"web-canary_prod_svc_[0-9a-zA-Z-]+"'),
    "http": (
        "http_request_duration_seconds_count",
        POD,
        'status!~"5.*"',
        quantile("http_request_duration_seconds_bucket", POD, " * 1000"),
    ),
    "istio": ("istio_requests_total", ISTIO, 'response_code!~"5.*"', quantile("istio_request_duration_milliseconds_bucket", ISTIO)),
    "linkerd": ("response_total", LINKERD, 'classification!="failure"', quantile("response_latency_ms_bucket", LINKERD)),
    "nginx": (
        "nginx_ingress_controller_requests",
        NGINX,
        'status!~"5.*"',
        mean("nginx_ingress_controller_response_duration_seconds", NGINX),
    ),
    "osm": ("osm_request_total", OSM, 'response_code!~"5.*"', quantile("osm_request_duration_ms_bucket", OSM)),
    "skipper": (
        "skipper_response_duration_seconds_bucket",
        f'le="+Inf", {SKIPPER}',
        'code!~"5.."',
        mean("skipper_serve_route_duration_seconds", SKIPPER),
    ),
    "traefik": (
        "traefik_service_request_duration_seconds_bucket",
        f'le="+Inf", {TRAEFIK}',
        'code!~"5.."',
        quantile("traefik_service_request_duration_seconds_bucket", TRAEFIK, " * 1000"),
    ),
    "apisix": (
        "apisix_http_status",
        'route=~"prod_web-route-web-canary_.+"',
        'code!~"5.."',
        quantile("apisix_http_latency_bucket", 'route=~"prod_web-route-web-canary_.+", type=~"request"'),
    ),
}
"""Family → metric of requests, matchers, what is good, query of the duration."""


@pytest.mark.parametrize("family", OBSERVERS)
def test_an_observer_asks_for_the_metrics_and_labels_that_flagger_asks_for(family: str) -> None:
    """metrics:OBS-ISTIO-01, OBS-LINKERD-01, OBS-APPMESH-01, OBS-HTTP-01, OBS-CONTOUR-01, OBS-GLOO-01, OBS-NGINX-01, OBS-SKIPPER-01,
    OBS-TRAEFIK-01, OBS-OSM-01, OBS-KUMA-01, OBS-APISIX-01, OBS-KNATIVE-01, OBS-SKIPPER-02, OBS-ALL-01"""
    metric, matchers, good, duration = TABLE[family]
    everything = f"sum(rate({metric}{{{matchers}}}[1m]))"
    rate = f"(sum(rate({metric}{{{matchers}, {good}}}[1m])) or {everything} * 0) / {everything} * 100"
    assert OBSERVERS[family].success_rate(VALUES) == rate
    assert OBSERVERS[family].request_duration(VALUES) == duration


@pytest.mark.parametrize("family", OBSERVERS)
def test_the_queries_are_promql(family: str) -> None:
    promql_parser.parse(OBSERVERS[family].success_rate(VALUES))
    promql_parser.parse(OBSERVERS[family].request_duration(VALUES))


@pytest.mark.parametrize(
    ("flag", "spec", "core_service", "name"),
    [
        pytest.param("istio", "", False, "istio", id="the flag"),
        pytest.param("istio", "contour", False, "contour", id="the Canary wins"),
        pytest.param("crossover:v2", "", False, "crossover", id="crossover"),
        pytest.param("crossover", "nginx", False, "nginx", id="the Canary wins over crossover"),
        pytest.param("smi:linkerd", "nginx", False, "linkerd", id="a Linkerd installation wins over the Canary"),
        pytest.param("smi:linkerd", "", False, "smi:linkerd", id="but not by itself"),
        pytest.param("kubernetes", "", True, "kubernetes:service", id="a Service target"),
    ],
)
def test_the_provider_string_comes_from_flag_canary_and_target(flag: str, spec: str, core_service: bool, name: str) -> None:
    """metrics:OBS-SEL-01, OBS-SEL-02, OBS-SEL-03, engine:HAZ-35"""
    assert provider_name(flag, spec, core_service_target=core_service) == name


@pytest.mark.parametrize(
    ("provider", "family"),
    [
        ("appmesh:v1beta2", "appmesh"),
        ("linkerd", "linkerd"),
        ("istio", "istio"),
        ("contour", "contour"),
        ("gloo:service", "gloo"),
        ("nginx", "nginx"),
        ("kubernetes", "http"),
        ("gatewayapi:v1", "http"),
        ("gatewayapi:v1:service", "http"),
        ("skipper", "skipper"),
        ("traefik", "traefik"),
        ("osm", "osm"),
        ("kuma", "kuma"),
        ("apisix", "apisix"),
        ("knative", "knative"),
        ("smi:v1alpha2", "istio"),
        ("crossover", "istio"),
        ("kubernetes:service", "istio"),
        ("contour:service", "istio"),
        ("http", "istio"),
        ("anything", "istio"),
    ],
)
def test_a_provider_string_selects_an_observer(provider: str, family: str) -> None:
    """metrics:OBS-SEL-04, OBS-SEL-05"""
    assert observer_of(provider) is OBSERVERS[family]
