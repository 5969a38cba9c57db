"""What stands in the cluster after a failure, one file per kind."""

import asyncio
from pathlib import Path
from typing import Final

from tests.e2e.controlplane import ControlPlane

KINDS: Final = (
    "canaries",
    "metrictemplates",
    "deployments",
    "replicasets",
    "pods",
    "services",
    "endpointslices",
    "events",
    "leases",
    "nodes",
    "gateways",
    "httproutes",
    "httpproxies",
    "virtualservices",
    "destinationrules",
)


async def write(plane: ControlPlane, folder: Path) -> None:
    """As far as the API server still answers."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    for kind in KINDS:
        with await asyncio.to_thread((folder / f"{kind}.yaml").open, "wb") as file:
            command = [str(plane.binaries["kubectl"]), "--kubeconfig", str(plane.kubeconfig())]
            process = await asyncio.create_subprocess_exec(
                *command, "get", kind, "--all-namespaces", "--output", "yaml", "--request-timeout", "10s", stdout=file, stderr=file
            )
            await process.wait()
