"""The nodes of the suite, by the code that runs pods in the embedded cluster: one for the demo app, one for real processes."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.kube.session import open_transport
from flagger_py.local.node.agent import NodeAgent
from flagger_py.local.node.api import TransportNodeApi
from flagger_py.local.node.network import PodNetwork
from flagger_py.local.node.node import NodeHeartbeat
from flagger_py.local.node.runtime import DemoRuntime
from flagger_py.objects.resource import SERVICE
from tests.e2e.controlplane import ADDRESS, ControlPlane
from tests.e2e.cuttable import CuttableTransport
from tests.e2e.forwarder import Forwarder
from tests.e2e.sandbox import SandboxNetwork, SandboxRuntime
from tests.e2e.volumes import Volumes

APPS: Final = "apps"
PROCESSES: Final = "processes"
"""Names of the nodes. A pod gets to the second one by `spec.nodeName`, or by an image that is a real program here."""
APP_NETWORK: Final = ipaddress.IPv4Network("10.244.128.0/17")


@dataclass(frozen=True, slots=True)
class Nodes:
    """What tests may ask of them."""

    sandboxes: SandboxRuntime
    network: CuttableTransport
    """Of the node that runs the apps."""


@asynccontextmanager
async def nodes(plane: ControlPlane, images: dict[str, Sequence[str]]) -> AsyncIterator[Nodes]:
    """Both nodes and the Service forwarder, until the context is left."""
    folder = plane.folder / "pods"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with open_transport(str(plane.kubeconfig("node")), identity="node") as transport:
        network, client = CuttableTransport(transport), Client(transport, field_manager="node-agent")
        async with Cluster(client) as cluster, Cluster(Client(network, field_manager="node-agent")) as cut, asyncio.TaskGroup() as group:
            await cluster.ensure_watched(SERVICE)
            sandboxes = SandboxRuntime(folder, cluster, Volumes(client, transport), images)
            processes = NodeAgent(
                cluster, TransportNodeApi(transport), sandboxes, node=PROCESSES, network=SandboxNetwork(), takes_pending=sandboxes.knows
            )
            apps = NodeAgent(
                cut,
                TransportNodeApi(network),
                DemoRuntime(),
                node=APPS,
                network=PodNetwork(APP_NETWORK),
                takes_pending=lambda pod: not sandboxes.knows(pod),
            )
            parts = {
                "heartbeat of apps": NodeHeartbeat(cut.objects(), APPS).run(),
                "heartbeat of processes": NodeHeartbeat(cluster.objects(), PROCESSES).run(),
                "apps": apps.run(),
                "processes": processes.run(),
                "services": Forwarder(cluster, except_for=ADDRESS).run(),
            }
            tasks = [group.create_task(part, name=name) for name, part in parts.items()]
            try:
                yield Nodes(sandboxes, network)
            finally:
                for task in tasks:
                    task.cancel()


def our_image(folder: Path, binaries: Path) -> Sequence[str]:
    """The root folder of our image, with `./flagger` and `./loadtester` in it as `deploy/install.sh` puts them there."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "flagger"
    link.unlink(missing_ok=True)
    link.symlink_to(binaries / "flagger")
    loadtester = folder / "loadtester"
    loadtester.write_text(f'#!/bin/sh\nexec {binaries / "flagger-py"} loadtester "$@"\n')
    loadtester.chmod(0o755)
    return [str(folder), "./flagger"]
