"""An app that has a Service and a route of its user before it gets a Canary, so that a deletion has something to put back."""

from flagger_py.kube.client import Client
from flagger_py.local.envoy.translation import HTTP_ROUTE
from flagger_py.local.samples import APP, Sample
from flagger_py.objects.resource import SERVICE, Manifest
from tests.e2e import gateway
from tests.e2e.app import host_of


async def deploy_before(client: Client, chosen: Sample) -> None:
    """A Service and a route of the user."""
    metadata = {"name": APP, "namespace": chosen.namespace}
    service = {"selector": {"app": APP}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    await client.create(SERVICE, {"metadata": metadata, "spec": service})
    parents = [{"name": gateway.GATEWAY, "namespace": gateway.NAMESPACE}]
    rules = [{"backendRefs": [{"name": APP, "port": 80}]}]
    await client.create(HTTP_ROUTE, {"metadata": metadata, "spec": {"parentRefs": parents, "hostnames": [host_of(chosen)], "rules": rules}})


def revertible(manifest: Manifest) -> None:
    if "analysis" in manifest["spec"]:
        manifest["spec"]["revertOnDeletion"] = True
