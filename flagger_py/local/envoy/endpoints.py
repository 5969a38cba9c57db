"""The addresses behind the backends of routes."""

from collections.abc import Iterable, Mapping

from flagger_py.local.envoy.model import Backend
from flagger_py.local.envoy.resources import Endpoint
from flagger_py.local.envoy.translation import Key, namespace_of
from flagger_py.local.resources import ENDPOINT_SLICE
from flagger_py.local.workloads.endpoints import SERVICE_LABEL
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest


async def read_endpoints(objects: Objects, services: Mapping[Key, Manifest], backends: Iterable[Backend]) -> dict[Backend, list[Endpoint]]:
    """The ready addresses of each backend as the server has them now. Raises `ApiError`.

    Not from the cache: watches of several kinds come in any order, and whoever writes a route because pods are there must find that
    the gateway knows of them. So the caller takes the routes first.
    """
    slices: dict[Key, list[Manifest]] = {}
    for entry in await objects.find(ENDPOINT_SLICE, ""):
        name = (entry["metadata"].get("labels") or {}).get(SERVICE_LABEL, "")
        slices.setdefault(Key(namespace_of(entry), name), []).append(entry)
    return {backend: ready_endpoints(backend, services, slices) for backend in backends}


def ready_endpoints(backend: Backend, services: Mapping[Key, Manifest], slices: Mapping[Key, Iterable[Manifest]]) -> list[Endpoint]:
    """The ready addresses of a Service's port."""
    key = Key(backend.namespace, backend.service)
    service = services.get(key, {"spec": {}})
    names = {port.get("name", "") for port in service["spec"].get("ports") or () if port["port"] == backend.port}
    return [
        Endpoint(address, port["port"])
        for entry in slices.get(key, ())
        for port in entry.get("ports") or ()
        if port.get("name", "") in names
        for endpoint in entry.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    ]
