"""A valid Canary, and manifests that differ from it in a few fields."""

import copy
from typing import Any

ABSENT = object()
"""Takes a field away."""


INGRESS = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"}
NEEDED: dict[str, dict[str, Any]] = {
    "gatewayapi:v1": {"spec.service.gatewayRefs": [{"name": "gateway", "namespace": "infra"}]},
    "gatewayapi:v1beta1": {"spec.service.gatewayRefs": [{"name": "gateway", "namespace": "infra"}]},
    "nginx": {"spec.ingressRef": INGRESS},
    "skipper": {"spec.ingressRef": INGRESS},
    "apisix": {"spec.routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "shop"}},
    "appmesh": {"spec.service.meshName": "mesh"},
}
"""What single providers cannot do without."""


def valid_canary(provider: str = "istio") -> dict[str, Any]:
    """A Canary with weighted steps; Knative's target aside, it is valid for each of Flagger's providers."""
    manifest = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "shop", "namespace": "test"},
        "spec": {
            "provider": provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
            "service": {"port": 80},
            "analysis": {
                "interval": "1m",
                "threshold": 5,
                "stepWeight": 10,
                "maxWeight": 50,
                "metrics": [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}],
            },
        },
    }
    return changed(manifest, NEEDED.get(provider, {}))


def changed(manifest: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with other values at paths such as `spec.analysis.metrics.0.name`."""
    result = copy.deepcopy(manifest)
    for path, value in changes.items():
        node: Any = result
        *parents, last = path.split(".")
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if value is ABSENT:
            node.pop(last, None)
        elif isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    return result
