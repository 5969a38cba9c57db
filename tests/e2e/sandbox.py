"""Pods as real processes, each in its own network, mount and host-name namespace: what is in the image cannot tell it from a node.

The pod has an address of its own, reached over a veth pair, a read-only root file system where it asks for one, its service-account
token at the usual path, and Service names in `/etc/hosts`.
"""

import asyncio
import ipaddress
import re
import signal
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from flagger_py.kube.cluster import Cluster
from flagger_py.local.node.network import Bound, PodAddress, PodNetwork
from flagger_py.local.node.runtime import Process, PullFailed, image_name
from flagger_py.objects.errors import ApiError
from flagger_py.objects.resource import SERVICE, Manifest
from tests.e2e.controlplane import ADDRESS
from tests.e2e.volumes import Volumes, write

NETWORK: Final = ipaddress.IPv4Network("10.245.0.0/16")
TOP: Final = Path(__file__).parents[2]
"""What is tested is this tree, wherever the environment was installed from."""
REFRESH_SECONDS: Final = 60.0
"""Between two writings of volumes."""
NAMES_SECONDS: Final = 1.0
"""Between two looks at the names of Services: real pods ask DNS."""
LAUNCH: Final = Path(__file__).with_name("sandbox.sh")

log = structlog.get_logger()


class SandboxSocket(socket.socket):
    """Stands for a port of a pod that binds it itself."""

    pod_ip = ""


class SandboxNetwork(PodNetwork):
    """Gives each pod an address; the pod's own process binds its ports."""

    def __init__(self) -> None:
        self._hosts: Iterator[ipaddress.IPv4Address] = NETWORK.hosts()

    def bind(self, ports: Iterable[int]) -> Bound:
        return self.rebind(PodAddress(str(next(self._hosts))), ports)

    def rebind(self, address: PodAddress, ports: Iterable[int]) -> Bound:
        return Bound(address, {port: _standing_for(address) for port in ports})


def _standing_for(address: PodAddress) -> SandboxSocket:
    found = SandboxSocket()
    found.pod_ip = address.ip
    return found


@dataclass(slots=True)
class SandboxRuntime:
    """Starts real programs for the images that are known, by name without registry and tag."""

    folder: Path
    cluster: Cluster
    volumes: Volumes
    images: Mapping[str, Sequence[str]]
    """Each image's entry point, run in its root folder, the first part."""
    refreshes_tokens: bool = True
    """Off: a token that expires is not replaced, as on a node that is cut off."""
    processes: dict[str, "SandboxProcess"] = field(default_factory=dict)
    """What was started last, by pod name."""

    def knows(self, pod: Manifest) -> bool:
        """Whether each container of a pod is a real program here."""
        return all(image_name(container["image"])[0] in self.images for container in pod["spec"]["containers"])

    async def pull(self, image: str) -> None:
        if image_name(image)[0] not in self.images:
            raise PullFailed(f'failed to pull image "{image}": the suite knows {", ".join(sorted(self.images))}')

    async def refresh(self) -> None:
        """Write all volumes anew, as the kubelet does now and then."""
        for process in self.processes.values():
            await process.write_files()

    def create(self, pod: Manifest, container: Mapping[str, Any], environment: Mapping[str, str]) -> Process:
        self.processes[pod["metadata"]["name"]] = process = SandboxProcess(self, pod, container, environment)
        return process


class SandboxProcess:
    """One container."""

    def __init__(self, runtime: SandboxRuntime, pod: Manifest, container: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._runtime = runtime
        self._pod = pod
        self._container = container
        self._environment = _environment(pod, environment)
        self._folder = runtime.folder / pod["metadata"]["uid"]
        self._process: asyncio.subprocess.Process | None = None
        self._stops_early = asyncio.Event()

    async def run(self, sockets: list[socket.socket]) -> int:
        """Serve until the end; the exit code."""
        address = next(bound.pod_ip for bound in sockets if isinstance(bound, SandboxSocket))
        for bound in sockets:
            bound.close()
        await self.write_files()
        async with asyncio.TaskGroup() as group:
            refreshing = group.create_task(self._refresh(), name=f"volumes of {self._pod['metadata']['name']}")
            try:
                return await self._serve(address)
            finally:
                refreshing.cancel()

    def terminate(self) -> None:
        self._stops_early.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def _serve(self, address: str) -> int:
        if self._stops_early.is_set():
            return 0
        self._process = await self._spawn(address)
        try:
            return await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    async def _spawn(self, address: str) -> asyncio.subprocess.Process:
        metadata = self._pod["metadata"]
        root, *entry_point = self._runtime.images[image_name(self._container["image"])[0]]
        entry_point = self._container.get("command") or entry_point
        arguments = [_expanded(argument, self._environment) for argument in self._container.get("args") or ()]
        sandbox = {
            "SANDBOX_IP": address,
            "SANDBOX_FOLDER": str(self._folder),
            "SANDBOX_MOUNTS": "\n".join(f"{mount['name']} {mount['mountPath']}" for mount in self._container.get("volumeMounts") or ()),
            "SANDBOX_READ_ONLY": str((self._container.get("securityContext") or {}).get("readOnlyRootFilesystem", False)).lower(),
            "SANDBOX_ROOT": root,
        }
        with (self._runtime.folder / f"{metadata['namespace']}_{metadata['name']}.log").open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *("unshare", "--net", "--mount", "--uts", "--", "sh", str(LAUNCH), *entry_point, *arguments),
                env={**self._environment, **sandbox},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def _refresh(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + REFRESH_SECONDS
        while True:
            await asyncio.sleep(NAMES_SECONDS)
            self._write_names()
            if self._runtime.refreshes_tokens and clock() >= due:
                due = clock() + REFRESH_SECONDS
                with suppress(ApiError):
                    await self.write_files()

    async def write_files(self) -> None:
        """Volumes and Service names as they are now. Raises `ApiError`."""
        files = await self._runtime.volumes.files(self._pod)
        write(files, self._folder / "volumes")
        self._write_names()

    def _write_names(self) -> None:
        """The file is mounted, so that it is written in place, and only where something has changed."""
        path, text = self._folder / "hosts", "\n".join(_hosts(self._runtime.cluster.items(SERVICE), self._pod)) + "\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _environment(pod: Manifest, environment: Mapping[str, str]) -> dict[str, str]:
    """What the kubelet and the image add."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": ADDRESS,
        "KUBERNETES_SERVICE_PORT": "443",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(TOP),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }


def _expanded(argument: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` of a variable that exists becomes its value."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), argument)


def _hosts(services: Iterable[Manifest], pod: Manifest) -> Iterator[str]:
    yield "127.0.0.1 localhost"
    for service in services:
        ip, name, namespace = service["spec"].get("clusterIP", "None"), service["metadata"]["name"], service["metadata"]["namespace"]
        if ip not in ("None", ""):
            short = [name] if namespace == pod["metadata"]["namespace"] else []
            yield " ".join([ip, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", *short])
