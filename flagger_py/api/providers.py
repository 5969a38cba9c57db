"""What Flagger's own providers are and can do (api:§4..6): facts about Flagger, whether or not this version supports them."""

from dataclasses import dataclass

from flagger_py.api.capabilities import Capabilities, MatchKind

_EXACT_REGEX = frozenset({MatchKind.EXACT, MatchKind.REGEX})
_EXACT_PREFIX_REGEX = frozenset({MatchKind.EXACT, MatchKind.PREFIX, MatchKind.REGEX})
_WEIGHTS = Capabilities(weights=True)
_GATEWAY_API_V1BETA1 = Capabilities(
    weights=True, header_match=_EXACT_REGEX, query_match=_EXACT_REGEX, mirror_iterations=True, session_affinity=True
)


@dataclass(frozen=True, slots=True)
class TrafficProvider:
    """A value of `spec.provider` that Flagger knows; `needs` is the field that it cannot do without."""

    name: str
    capabilities: Capabilities
    needs: str = ""


TRAFFIC_PROVIDERS = (
    TrafficProvider("apisix", _WEIGHTS, "spec.routeRef"),
    TrafficProvider("appmesh", Capabilities(weights=True, header_match=frozenset(MatchKind)), "spec.service.meshName"),
    TrafficProvider("appmesh:v1beta2", Capabilities(weights=True, header_match=frozenset(MatchKind))),
    TrafficProvider("contour", Capabilities(weights=True, header_match=frozenset({MatchKind.EXACT, MatchKind.PREFIX, MatchKind.SUFFIX}))),
    TrafficProvider(
        "gatewayapi:v1",
        Capabilities(
            weights=True,
            header_match=_EXACT_REGEX,
            query_match=_EXACT_REGEX,
            mirror_iterations=True,
            session_affinity=True,
            primary_cookie=True,
        ),
        "spec.service.gatewayRefs",
    ),
    TrafficProvider("gatewayapi:v1beta1", _GATEWAY_API_V1BETA1, "spec.service.gatewayRefs"),
    TrafficProvider("gloo", Capabilities(weights=True, header_match=_EXACT_REGEX)),
    TrafficProvider(
        "istio",
        Capabilities(
            weights=True,
            header_match=frozenset(MatchKind),
            query_match=_EXACT_PREFIX_REGEX,
            source_label_match=True,
            mirror_weighted=True,
            mirror_iterations=True,
            mirror_percent=True,
            session_affinity=True,
            primary_cookie=True,
        ),
    ),
    TrafficProvider("knative", _WEIGHTS),
    TrafficProvider("kubernetes", Capabilities()),
    TrafficProvider("kuma", _WEIGHTS),
    TrafficProvider("linkerd", _WEIGHTS),
    TrafficProvider("nginx", Capabilities(weights=True, header_match=_EXACT_REGEX), "spec.ingressRef"),
    TrafficProvider("osm", _WEIGHTS),
    TrafficProvider("skipper", _WEIGHTS, "spec.ingressRef"),
    TrafficProvider("smi:v1alpha1", _WEIGHTS),
    TrafficProvider("smi:v1alpha2", _WEIGHTS),
    TrafficProvider("smi:v1alpha3", _WEIGHTS),
    TrafficProvider("traefik", _WEIGHTS),
)

KUBERNETES = "kubernetes"
KNATIVE = "knative"
USE_INSTEAD = {
    "gatewayapi": "gatewayapi:v1 (or gatewayapi:v1beta1 on an old cluster)",
    "gatewayapi:v1alpha2": "gatewayapi:v1 (or gatewayapi:v1beta1 on an old cluster): HTTPRoute v1alpha2 is no longer served",
    "appmesh:v1beta1": "appmesh",
    "smi": "smi:v1alpha1, smi:v1alpha2 or smi:v1alpha3",
}
"""Names that Flagger quietly takes for another provider (api:API-10), and what to write instead."""


def traffic_provider(name: str) -> TrafficProvider | None:
    """The provider of a name. `smi:v1alpha1:istio`, a name with a target mesh, stands for `smi:v1alpha1` (api:API-10)."""
    base = ":".join(name.split(":")[:2]) if name.startswith("smi:") else name
    return next((provider for provider in TRAFFIC_PROVIDERS if provider.name == base), None)


def is_gateway_api(name: str) -> bool:
    """Whether the provider writes HTTPRoutes."""
    return name.startswith("gatewayapi:")


@dataclass(frozen=True, slots=True)
class MetricProviderType:
    """A type of MetricTemplate provider: the fields that it cannot do without, and those optional ones that it reads."""

    type: str
    mandatory: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()


METRIC_PROVIDERS = (
    MetricProviderType("cloudwatch", frozenset({"region"})),
    MetricProviderType("datadog", frozenset({"secretRef"}), frozenset({"address"})),
    MetricProviderType("dynatrace", frozenset({"address", "secretRef"})),
    MetricProviderType("externalmetrics", frozenset(), frozenset({"address", "secretRef", "insecureSkipVerify"})),
    MetricProviderType("graphite", frozenset({"address"}), frozenset({"secretRef", "insecureSkipVerify"})),
    MetricProviderType("influxdb", frozenset({"address"}), frozenset({"secretRef"})),
    MetricProviderType("keptn"),
    MetricProviderType("newrelic", frozenset({"secretRef"}), frozenset({"address"})),
    MetricProviderType("prometheus", frozenset({"address"}), frozenset({"secretRef", "headers", "insecureSkipVerify"})),
    MetricProviderType("splunk", frozenset({"address", "secretRef"})),
    MetricProviderType("stackdriver", frozenset(), frozenset({"secretRef"})),
)

ALERT_TYPES = ("discord", "gchat", "msteams", "rocket", "slack")
