"""The objects of the bench: Canaries with their targets, and foreign objects of each watched kind in the size that clusters have them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from flagger_py.objects.resource import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, Manifest, Resource

FOREIGN_NAMESPACE: Final = "bench-foreign"
HTTP_ROUTE: Final = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
VIRTUAL_SERVICE: Final = Resource("networking.istio.io", "v1beta1", "virtualservices", "VirtualService")
ROUTES: Final = {HTTP_ROUTE.plural: HTTP_ROUTE, VIRTUAL_SERVICE.plural: VIRTUAL_SERVICE}
STEPS: Final = (10, 20, 30, 40, 50)
"""The canary weights of each rollout."""
PADDING: Final = "x" * 400


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def target(name: str, namespace: str, image: str = "web:1") -> Manifest:
    """A Deployment that refers to one ConfigMap and one Secret, as the Deployments of Flagger's measurement did."""
    environment = [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}], "envFrom": environment}
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def configs(name: str, namespace: str) -> list[Manifest]:
    """What the target refers to."""
    metadata = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": CONFIG_MAP.kind, "metadata": metadata, "data": {"LOG_LEVEL": "info"}},
        {"apiVersion": "v1", "kind": SECRET.kind, "metadata": metadata, "stringData": {"PASSWORD": "none"}},
    ]


def canary(name: str, namespace: str, provider: str, interval: timedelta) -> Manifest:
    analysis: dict[str, Any] = {
        "interval": f"{interval.total_seconds():g}s",
        "threshold": 5,
        "stepWeight": STEPS[0],
        "maxWeight": STEPS[-1],
        "metrics": [
            {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
            {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}},
        ],
    }
    gateways = [{"name": "gateway", "namespace": namespace}]
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "provider": provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "progressDeadlineSeconds": 600,
            "service": {"port": 80, "targetPort": 8080, **({"gatewayRefs": gateways} if provider.startswith("gatewayapi") else {})},
            "analysis": analysis,
        },
    }


def foreign_objects(number: int, routes: str) -> Iterator[Manifest]:
    """So many of each kind that the controller watches."""
    for index in range(number):
        name = f"foreign-{index}"
        yield _foreign_deployment(name)
        yield _foreign(SERVICE, name, spec={"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]})
        yield _foreign(CONFIG_MAP, name, data={f"file-{part}.conf": PADDING for part in range(5)})
        yield _foreign(SECRET, name, stringData={"tls.crt": PADDING * 3, "tls.key": PADDING * 3})
        yield _foreign_route(ROUTES[routes], name)


def _foreign(resource: Resource, name: str, **content: Any) -> Manifest:
    labels = {"app": name, "app.kubernetes.io/instance": name, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1.2.3"}
    annotations = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": FOREIGN_NAMESPACE, "checksum/config": "0" * 64}
    metadata = {"name": name, "namespace": FOREIGN_NAMESPACE, "labels": labels, "annotations": annotations}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **content}


def _foreign_deployment(name: str) -> Manifest:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10}
    containers = [
        {
            "name": container,
            "image": f"registry.example.com/{name}/{container}:v1.2.3",
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": f"SETTING_{number}", "value": PADDING[:40]} for number in range(12)],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "livenessProbe": probe,
            "readinessProbe": probe,
        }
        for container in ("web", "sidecar")
    ]
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}},
    }
    return _foreign(DEPLOYMENT, name, spec=spec)


def _foreign_route(resource: Resource, name: str) -> Manifest:
    if resource == VIRTUAL_SERVICE:
        rules = [{"match": [{"uri": {"prefix": f"/{part}"}}], "route": [{"destination": {"host": name}}]} for part in range(4)]
        return _foreign(resource, name, spec={"hosts": [f"{name}.example.com"], "http": rules})
    backends = [{"name": name, "port": 80}]
    paths = [{"matches": [{"path": {"type": "PathPrefix", "value": f"/{part}"}}], "backendRefs": backends} for part in range(4)]
    return _foreign(resource, name, spec={"hostnames": [f"{name}.example.com"], "parentRefs": [{"name": "gateway"}], "rules": paths})
