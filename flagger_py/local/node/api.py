"""The calls to the Kubernetes API that only a node makes."""

from typing import Any, Final

import orjson

from flagger_py.kube.client import Client
from flagger_py.kube.transport import Request, Transport
from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import Ref
from flagger_py.objects.status_errors import error_from

JSON: Final = {"content-type": "application/json", "accept": "application/json"}


class TransportNodeApi:
    """Binding and removal over the plain transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def bind(self, pod: Ref, node: str) -> None:
        """Give a pending pod to a node. Raises `ApiError`."""
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name}, "target": {"kind": "Node", "name": node}}
        await self._send("POST", pod.resource.path(pod.namespace, pod.name, "binding"), binding, f"bind {pod}")

    async def remove(self, pod: Ref, uid: str) -> None:
        """Delete a pod that has ended, without a grace period; succeeds where it does not exist."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        try:
            await self._send("DELETE", pod.resource.path(pod.namespace, pod.name), options, f"remove {pod}")
        except NotFound:
            return

    async def _send(self, method: str, path: str, body: dict[str, Any], subject: str) -> None:
        response = await self._transport.request(Request(method, path, headers=JSON, body=orjson.dumps(body)))
        if response.status >= 400:
            raise error_from(response.status, response.body, response.headers, subject=subject)


class EmbeddedNodeApi(TransportNodeApi):
    """The same for the embedded API server, which has no `binding` and lets `spec.nodeName` be set instead."""

    async def bind(self, pod: Ref, node: str) -> None:
        """Give a pending pod to a node. Raises `ApiError`."""
        await Client(self._transport, field_manager="flagger-local").patch(pod, MergePatch({"spec": {"nodeName": node}}))
