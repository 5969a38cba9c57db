"""Built-in objects for the tests."""

from typing import Any

Json = dict[str, Any]


def deployment(name: str = "web", *, labels: Json | None = None, container: Json | None = None, **spec: Any) -> Json:
    """A Deployment with one container."""
    labels = labels or {"app": "web"}
    containers = [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}], **(container or {})}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    whole = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


def service(name: str = "web", **spec: Any) -> Json:
    """A Service for port 80."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def config_map(name: str = "c", **data: str) -> Json:
    """A ConfigMap, as server-side apply wants it."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
