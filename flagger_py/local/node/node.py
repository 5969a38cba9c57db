"""The Node object of this machine, and the Lease that says that it lives."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from flagger_py.local.conditions import condition, timestamp, with_transition_times
from flagger_py.local.resources import NODE
from flagger_py.objects.errors import ApiError
from flagger_py.objects.patch import MergePatch, merge_patch
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import LEASE, Manifest, Ref

log = structlog.get_logger()

LEASE_NAMESPACE: Final = "kube-node-lease"
LEASE_SECONDS: Final = 40
HEARTBEAT: Final = 10.0
"""Seconds, as the kubelet has it; a node whose Lease is 40 seconds old is taken for dead."""
CAPACITY: Final = {"cpu": "8", "memory": "16Gi", "pods": "500"}


class NodeHeartbeat:
    """Registers the node, keeps it `Ready` and renews its Lease."""

    def __init__(self, objects: Objects, node: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._objects = objects
        self._node = node
        self._clock = clock

    async def run(self) -> None:
        """For ever; a heart-beat that fails is missed, no more."""
        while True:
            try:
                await self.beat()
            except ApiError as error:
                log.warning("heartbeat_missed", node=self._node, error=str(error))
            await asyncio.sleep(HEARTBEAT)

    async def beat(self) -> None:
        """Make Node and Lease say that the node is well. Raises `ApiError`."""
        ref = Ref(NODE, "", self._node)
        found = await self._objects.get(ref) or await self._objects.create(NODE, self._manifest())
        before = found.get("status") or {}
        status = {**before, **self._status(before)}
        patch = merge_patch({"status": before}, {"status": status})
        if not patch.is_empty:
            await self._objects.patch(ref, patch, subresource="status")
        await self._renew()

    def _manifest(self) -> Manifest:
        labels = {"kubernetes.io/hostname": self._node, "kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": ""}
        return {"metadata": {"name": self._node, "labels": labels}, "spec": {}}

    def _status(self, before: dict[str, Any]) -> dict[str, Any]:
        ready = condition("Ready", True, "KubeletReady", "the node agent is running")
        return {
            "conditions": with_transition_times([ready], before.get("conditions"), self._clock()),
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": self._node}],
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
        }

    async def _renew(self) -> None:
        ref = Ref(LEASE, LEASE_NAMESPACE, self._node)
        spec = {
            "holderIdentity": self._node,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": timestamp(self._clock()).removesuffix("Z") + ".000000Z",
        }
        if await self._objects.get(ref) is None:
            await self._objects.create(LEASE, {"metadata": {"name": self._node, "namespace": LEASE_NAMESPACE}, "spec": spec})
        else:
            await self._objects.patch(ref, MergePatch({"spec": spec}))
