"""Everything that a run needs, as one context: control plane, definitions, nodes, gateway, Prometheus and the controller as a pod."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e import controller, crds, gateway
from tests.e2e.binaries import CONTROL_PLANE, build
from tests.e2e.controlplane import ControlPlane, control_plane
from tests.e2e.gateway import Gateway
from tests.e2e.machine import cache_folder
from tests.e2e.node import Nodes, nodes, our_image
from tests.e2e.parts import Servers


@dataclass(frozen=True, slots=True)
class Stack:
    """What is running; parts that were not asked for are missing."""

    plane: ControlPlane
    nodes: Nodes | None = None
    gateway: Gateway | None = None


@asynccontextmanager
async def stack(folder: Path, definitions: str, servers: Servers = Servers.ALL, *, replicas: int = 1) -> AsyncIterator[Stack]:
    """These servers; `replicas` of the controller where it is one of them."""
    async with AsyncExitStack() as contexts:
        managed = servers is not Servers.API_SERVER
        plane = await contexts.enter_async_context(control_plane(build(CONTROL_PLANE), folder, managed=managed))
        kubectl, kubeconfig = plane.binaries["kubectl"], plane.kubeconfig()
        await asyncio.to_thread(crds.install, kubectl, kubeconfig, definitions)
        if servers in (Servers.API_SERVER, Servers.CONTROL_PLANE):
            yield Stack(plane)
            return
        image = await asyncio.to_thread(our_image, cache_folder() / "image", Path(sys.prefix) / "bin")
        running = await contexts.enter_async_context(nodes(plane, {controller.IMAGE: image}))
        await asyncio.to_thread(crds.apply, kubectl, kubeconfig, gateway.OBJECTS)
        await gateway.give_address(plane)
        proxy = await contexts.enter_async_context(gateway.gateway(plane))
        if servers is Servers.ALL:
            manifests = yaml.safe_dump_all(controller.manifests(kubectl, replicas=replicas))
            await asyncio.to_thread(crds.apply, kubectl, kubeconfig, manifests)
        yield Stack(plane, running, proxy)
