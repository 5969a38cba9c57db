"""A whole stack that a test has for itself, so that it may break each part of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flagger_py.kube.client import Client
from flagger_py.kube.session import open_transport
from flagger_py.local.resources import NAMESPACE
from flagger_py.local.samples import APP, Sample
from flagger_py.objects.resource import LEASE, Ref
from tests.e2e import audit, controller
from tests.e2e.app import PROMETHEUS, App, app
from tests.e2e.inside import DEFINITIONS
from tests.e2e.sandbox import SandboxProcess
from tests.e2e.stack import Stack, stack
from tests.e2e.waiting import until

FORBIDDEN: Final = 403
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
        """What the controllers asked."""
        return audit.calls(self.stack.plane.audit())

    def refused_calls(self) -> list[audit.Call]:
        """What somebody asked whom the server did not know."""
        return audit.refused_calls(self.stack.plane.audit())

    def check_rights(self) -> None:
        """Least privilege: nothing that the controllers asked was forbidden."""
        assert [call for call in self.calls() if call.code == FORBIDDEN] == []

    def controller_log(self) -> str:
        """Of all replicas."""
        logs = (self.stack.plane.folder / "pods").glob(f"{controller.NAMESPACE}_*.log")
        return "\n".join(path.read_text() for path in sorted(logs))


@asynccontextmanager
async def world(folder: Path, name: str, *, replicas: int = 2, keeps_rights: bool = True) -> AsyncIterator[World]:
    """A stack of its own. Without `keeps_rights` some go: taken away, or not known yet to an API server that has just started."""
    definitions = await asyncio.to_thread((folder.parent / DEFINITIONS).read_text)
    async with (
        stack(folder / name, definitions, replicas=replicas) as running,
        open_transport(str(running.plane.kubeconfig())) as transport,
    ):
        client = Client(transport, field_manager="test")
        await client.create(NAMESPACE, {"metadata": {"name": "test"}})
        cluster = World(running, client)
        yield cluster
        if keeps_rights:
            cluster.check_rights()


def sample() -> Sample:
    return Sample("gatewayapi:v1", PROMETHEUS, "test", interval="5s", window="5s", step_weight=10, max_weight=40)


AWAY: Final = 14.0
"""Seconds that something is away: longer than a lease."""


@asynccontextmanager
async def in_the_middle(folder: Path, name: str, *, keeps_rights: bool = True) -> AsyncIterator[tuple[World, App]]:
    """A rollout whose first weight is live. It has to succeed after what the test does, without a failed request."""
    patient = replace(sample(), threshold=5)
    async with world(folder, name, replicas=1, keeps_rights=keeps_rights) as cluster, app(cluster.client, patient, rate=20) as running:
        await running.release("2")
        await running.until_first_check()
        await running.until_weight_is_live()
        yield cluster, running
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()
