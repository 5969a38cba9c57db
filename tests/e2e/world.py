"""A whole stack that a test has for itself, so that it may break each part of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flagger_py.kube.client import Client
from flagger_py.kube.session import open_transport
from flagger_py.local.resources import NAMESPACE
from flagger_py.local.samples import Sample
from flagger_py.objects.resource import LEASE, Ref
from tests.e2e import audit, controller
from tests.e2e.app import PROMETHEUS
from tests.e2e.inside import DEFINITIONS
from tests.e2e.sandbox import SandboxProcess
from tests.e2e.stack import Stack, stack
from tests.e2e.waiting import until

LEASE_REF: Final = Ref(LEASE, controller.NAMESPACE, "flagger-leader-election")


@dataclass(slots=True)
class World:
    """A whole stack of this test's own, and an administrator."""

    stack: Stack
    client: Client

    async def holder(self) -> str:
        """The identity in the Lease; empty where nobody holds it."""
        lease = await self.client.get(LEASE_REF)
        return str(lease["spec"].get("holderIdentity") or "")

    async def leader(self) -> SandboxProcess:
        """The process of the replica that holds the Lease."""
        assert self.stack.nodes is not None
        return self.stack.nodes.sandboxes.processes[(await self.holder()).rpartition("_")[0]]

    async def until_another_leads(self, before: str) -> float:
        """Seconds until the Lease has another holder."""
        started = asyncio.get_running_loop().time()

        async def is_taken() -> bool:
            return await self.holder() not in ("", before)

        await until(is_taken, seconds=60)
        return asyncio.get_running_loop().time() - started

    def calls(self) -> list[audit.Call]:
        return audit.calls(self.stack.plane.audit())


@asynccontextmanager
async def world(folder: Path, name: str, *, replicas: int = 2) -> AsyncIterator[World]:
    definitions = await asyncio.to_thread((folder.parent / DEFINITIONS).read_text)
    async with (
        stack(folder / name, definitions, replicas=replicas) as running,
        open_transport(str(running.plane.kubeconfig())) as transport,
    ):
        client = Client(transport, field_manager="test")
        await client.create(NAMESPACE, {"metadata": {"name": "test"}})
        yield World(running, client)


def sample() -> Sample:
    return Sample("gatewayapi:v1", PROMETHEUS, "test", interval="5s", window="5s", step_weight=10, max_weight=40)
