"""A core Service as target: what its user has, and does with it."""

from typing import Any, Final

from flagger_py.objects.resource import SERVICE, Manifest
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary

QUERY: Final = {"name": "errors", "query": "errors", "thresholdRange": {"min": 99}}


def service(name: str = "web", **spec: Any) -> Manifest:
    """It leads to the pods of version 1."""
    selector = {"app": "web", "version": "1"}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"selector": selector, "ports": ports, **spec}}


def service_canary(name: str = "web", **spec: Any) -> Manifest:
    """The Canary of that Service; its check asks Prometheus."""
    manifest = canary(name, metrics=[QUERY])
    gateways = {"gatewayRefs": manifest["spec"]["service"]["gatewayRefs"]}
    manifest["spec"] |= {"targetRef": {"apiVersion": "v1", "kind": "Service", "name": name}, "service": {"port": 80, **gateways}, **spec}
    return manifest


async def select(cluster: MemoryCluster, version: str, name: str = "web") -> None:
    """The user points the Service to the pods of another version."""
    await cluster.patch(SERVICE, name, {"spec": {"selector": {"version": version}}})


async def selected(cluster: MemoryCluster, name: str) -> str:
    """The version that a Service leads to."""
    version: str = (await cluster.get(SERVICE, name))["spec"]["selector"]["version"]
    return version
