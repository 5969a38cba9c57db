"""The definitions of the route kinds, a server that has them, and short route objects."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from flagger_py.kube.client import Client
from flagger_py.local.apiserver import ApiServer
from flagger_py.objects.resource import Manifest, Resource

ROOT = Path(__file__).parents[4]
ROUTES = {"HTTPRoute": "httproutes", "VirtualService": "virtualservices", "DestinationRule": "destinationrules", "HTTPProxy": "httpproxies"}
NAMESPACE = "test"


def definitions() -> list[Manifest]:
    files = sorted((ROOT / "flagger_py/local/crds").glob("*.yaml"))
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


def new_client() -> Client:
    """An administrator of a server that has nothing but the definitions and a namespace."""
    server = ApiServer()
    server.load([*definitions(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    return Client(server.transport(), jitter=lambda: 0.5)


def resource_of(manifest: Manifest) -> Resource:
    group, _, version = manifest["apiVersion"].partition("/")
    return Resource(group, version, ROUTES[manifest["kind"]], manifest["kind"])


async def create(client: Client, manifest: Manifest) -> Manifest:
    """The object as it reads back, under a name of its own."""
    metadata = {"generateName": "route-", "namespace": NAMESPACE}
    return await client.create(resource_of(manifest), deepcopy(manifest) | {"metadata": metadata})


def http_route(*rules: dict[str, Any], **spec: Any) -> Manifest:
    spec = {"parentRefs": [{"name": "gw"}], "rules": list(rules), **spec}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": spec}


def virtual_service(*http: dict[str, Any]) -> Manifest:
    return {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "spec": {"hosts": ["web"], "http": list(http)}}


def http_proxy(**route: Any) -> Manifest:
    return {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "spec": {"routes": [route]}}
