"""A small app with its gateway and its Canary, for each provider: what the demo, `flagger-py local` and the tests deploy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.local.envoy.translation import GATEWAY, HTTP_PROXY, ISTIO_GATEWAY
from flagger_py.local.resources import NAMESPACE
from flagger_py.objects.resource import CANARY, DAEMON_SET, DEPLOYMENT, METRIC_TEMPLATE, SERVICE, Manifest, Resource

APP: Final = "web"
HOST: Final = "web.example.com"
PORT: Final = 9898
PROVIDERS: Final = ("gatewayapi:v1", "gatewayapi:v1beta1", "istio", "contour")

GATEWAY_CLASS: Final = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)

Applied = tuple[Resource, Manifest]


class UnknownProvider(ValueError):
    """There is no sample for this provider; the message lists those that there are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What differs between the uses of the sample."""

    provider: str
    prometheus_url: str
    namespace: str = "demo"
    host: str = HOST
    """The name that the gateway serves it by; apps in several namespaces need one each."""
    interval: str = "3s"
    """Between two steps."""
    window: str = "5s"
    """Of the metric queries: at 60 requests per second and a weight of 10 % it holds 30 of the new version."""
    step_weight: int = 10
    max_weight: int = 50
    threshold: int = 2
    replicas: int = 2
    target: Resource = DEPLOYMENT
    """The kind of the target: a Deployment, a DaemonSet, or a Service that leads to one of several Deployments."""
    analysis: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `spec.analysis`."""

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise UnknownProvider(f"there is no sample for provider {self.provider!r}: choose one of {', '.join(PROVIDERS)}")


def objects(sample: Sample, version: str = "1") -> list[Applied]:
    """Namespace, app, gateway, metric templates and Canary, in the order in which they can be created."""
    namespace: Applied = (NAMESPACE, {"metadata": {"name": sample.namespace}})
    return [namespace, *_gateway(sample), *_target(sample, version), *_metric_templates(sample), (CANARY, canary(sample))]


def _target(sample: Sample, version: str) -> list[Applied]:
    if sample.target == SERVICE:
        return [(DEPLOYMENT, versioned(sample, version, {})), (SERVICE, service(sample, version))]
    return [workload(sample, version)]


def versioned(sample: Sample, version: str, environment: Mapping[str, str]) -> Manifest:
    """A Deployment for one version, beside those of others; `environment` makes it fail (see `demo_app`)."""
    labels = {"app": APP, "version": version}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(version, environment)}
    spec = {"replicas": sample.replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": f"{APP}-{version}", "namespace": sample.namespace}, "spec": spec}


def service(sample: Sample, version: str) -> Manifest:
    """The user's Service that leads to one version."""
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {
        "metadata": {"name": APP, "namespace": sample.namespace},
        "spec": {"selector": {"app": APP, "version": version}, "ports": ports},
    }


def workload(sample: Sample, version: str) -> Applied:
    """The target, where it has pods of its own."""
    manifest = deployment(sample, version)
    if sample.target == DEPLOYMENT:
        return DEPLOYMENT, manifest
    # A new pod comes beside the old one: on a single node an update would leave users without any else.
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    kept = {key: manifest["spec"][key] for key in ("selector", "template")}
    return DAEMON_SET, {**manifest, "spec": {**kept, "updateStrategy": strategy}}


def deployment(sample: Sample, version: str) -> Manifest:
    """The target: two pods of the demo app."""
    labels = {"app": APP}
    return {
        "metadata": {"name": APP, "namespace": sample.namespace, "labels": labels},
        "spec": {
            "replicas": sample.replicas,
            "progressDeadlineSeconds": 60,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(version, {})},
        },
    }


def pod_spec(version: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """One container of the demo app, probed every second."""
    probe = {"periodSeconds": 1, "timeoutSeconds": 2}
    return {
        "containers": [
            {
                "name": APP,
                "image": f"registry.example.com/{APP}:{version}",
                "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
                "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, **probe},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, **probe},
            }
        ]
    }


def new_version(version: str, environment: Mapping[str, str] | None = None) -> Manifest:
    """A merge patch of the target that releases a version; `environment` makes it fail (see `demo_app`)."""
    return {"spec": {"template": {"spec": pod_spec(version, environment or {})}}}


def canary(sample: Sample) -> Manifest:
    """The Canary of the sample."""
    return {
        "metadata": {"name": APP, "namespace": sample.namespace},
        "spec": {
            "provider": sample.provider,
            "targetRef": {"apiVersion": sample.target.api_version, "kind": sample.target.kind, "name": APP},
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, **_ports(sample), **_route(sample)},
            "analysis": {
                "interval": sample.interval,
                "threshold": sample.threshold,
                "maxWeight": sample.max_weight,
                "stepWeight": sample.step_weight,
                "metrics": _metrics(sample),
                **sample.analysis,
            },
        },
    }


def _ports(sample: Sample) -> dict[str, Any]:
    """What the generated Services need; a Service that is the target says so itself."""
    return {} if sample.target == SERVICE else {"targetPort": "http", "portName": "http"}


def _route(sample: Sample) -> dict[str, Any]:
    """How the Canary's service hangs on the gateway. Contour's host is that of the root HTTPProxy."""
    if sample.provider.startswith("gatewayapi:"):
        return {"hosts": [sample.host], "gatewayRefs": [{"name": "gateway", "namespace": sample.namespace}]}
    if sample.provider == "istio":
        return {"hosts": [sample.host], "gateways": [f"{sample.namespace}/gateway"]}
    return {}


def _gateway(sample: Sample) -> list[Applied]:
    metadata = {"name": "gateway", "namespace": sample.namespace}
    if sample.provider.startswith("gatewayapi:"):
        listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "Same"}}}
        gateway_class = {"metadata": {"name": "local"}, "spec": {"controllerName": "flagger.app/local-envoy"}}
        gateway = {"metadata": metadata, "spec": {"gatewayClassName": "local", "listeners": [listener]}}
        return [(GATEWAY_CLASS, gateway_class), (GATEWAY, gateway)]
    if sample.provider == "istio":
        server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [sample.host]}
        return [(ISTIO_GATEWAY, {"metadata": metadata, "spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]}})]
    includes = [{"name": APP, "namespace": sample.namespace, "conditions": [{"prefix": "/"}]}]
    return [(HTTP_PROXY, {"metadata": metadata, "spec": {"virtualhost": {"fqdn": sample.host}, "includes": includes}})]


def _metrics(sample: Sample) -> list[dict[str, Any]]:
    """The built-in checks; on Gateway API the templates, since Envoy's own statistics also see what never reached the app. Of a Service
    too: built-in checks go by the names of pods.

    The bound of the latency leaves room for a machine that is busy with other things.
    """
    if _has_templates(sample):
        return [
            {"name": name, "templateRef": {"name": name}, "thresholdRange": bounds, "interval": sample.window}
            for name, bounds in (("success-rate", {"min": 99}), ("latency", {"max": 1}))
        ]
    return [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": sample.window},
        {"name": "request-duration", "thresholdRange": {"max": 1000}, "interval": sample.window},
    ]


_CANARY_CLUSTER: Final = 'envoy_cluster_name=~"{{ namespace }}_{{ target }}-canary_[0-9a-zA-Z-]+"'
SUCCESS_RATE: Final = f"""\
sum(rate(envoy_cluster_upstream_rq{{{_CANARY_CLUSTER}, envoy_response_code!~"5.*"}}[{{{{ interval }}}}]))
/
sum(rate(envoy_cluster_upstream_rq{{{_CANARY_CLUSTER}}}[{{{{ interval }}}}]))
* 100
"""
LATENCY: Final = f"""\
histogram_quantile(0.99,
  sum(rate(envoy_cluster_upstream_rq_time_bucket{{{_CANARY_CLUSTER}}}[{{{{ interval }}}}])) by (le)
) / 1000
"""


def _has_templates(sample: Sample) -> bool:
    return sample.provider.startswith("gatewayapi:") or sample.target == SERVICE


def _metric_templates(sample: Sample) -> list[Applied]:
    if not _has_templates(sample):
        return []
    provider = {"type": "prometheus", "address": sample.prometheus_url}
    return [
        (METRIC_TEMPLATE, {"metadata": {"name": name, "namespace": sample.namespace}, "spec": {"provider": provider, "query": query}})
        for name, query in (("success-rate", SUCCESS_RATE), ("latency", LATENCY))
    ]
