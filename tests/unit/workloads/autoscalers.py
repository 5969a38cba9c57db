"""Autoscalers to test with."""

from copy import deepcopy
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from tests.unit.workloads.build import NAMESPACE, make_canary

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def make_hpa(name: str = "web", *, metadata: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    """A HorizontalPodAutoscaler of the Deployment `web`."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE, **(metadata or {})},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 6,
            "metrics": [deepcopy(CPU)],
            **spec,
        },
    }


def make_scaled_object(name: str = "web", *, query: str = 'sum(rate(http{app="web"}[1m]))', **parts: Any) -> Manifest:
    """A ScaledObject of the Deployment `web` with one trigger `load`; `metadata` and fields of the spec as keywords."""
    trigger = {"type": "prometheus", "name": "load", "metadata": {"serverAddress": "http://prometheus", "threshold": "5", "query": query}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": NAMESPACE, **parts.pop("metadata", {})},
        "spec": {"scaleTargetRef": {"name": "web"}, "minReplicaCount": 1, "maxReplicaCount": 3, "triggers": [trigger], **parts},
    }


def scaled_canary(kind: str = "HorizontalPodAutoscaler", **ref: Any) -> Canary:
    """A Canary whose Deployment has an autoscaler `web`."""
    version = "autoscaling/v2" if kind == "HorizontalPodAutoscaler" else "keda.sh/v1alpha1"
    return make_canary(autoscalerRef={"apiVersion": version, "kind": kind, "name": "web", **ref})
