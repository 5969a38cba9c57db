"""The API server of a bench: the embedded one in a process of its own, or any other that writes an audit log."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import yaml

from flagger_py.kube.client import Client
from flagger_py.kube.credentials import choose
from flagger_py.kube.http_transport import HttpTransport
from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, EVENT, SECRET, SERVICE, Manifest, Ref, Resource
from tests.bench.manifests import FOREIGN_NAMESPACE, foreign_objects, namespace

USER_AGENT: Final = "bench-driver"
"""Of everything that the bench itself sends, so that no controller is charged for it."""
AT_ONCE: Final = 16
NAMESPACE: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
START_LIMIT: Final = 300.0


@dataclass(frozen=True, slots=True)
class BenchCluster:
    """An API server with a namespace for the bench, whose requests stand in `audit_log`."""

    client: Client
    kubeconfig: Path
    audit_log: Path
    namespace: str
    routes: Resource

    async def create(self, manifests: Iterable[Manifest]) -> None:
        """Create objects, several at a time."""
        await _create(self.client, self.routes, manifests)


@asynccontextmanager
async def embedded(directory: Path, routes: Resource, *, foreign: int, namespace_name: str) -> AsyncIterator[BenchCluster]:
    """A server that lives as long as the context, and already holds the foreign objects."""
    audit_log, kubeconfig = directory / "audit.log", directory / "kubeconfig"
    arguments = ["--audit-log", str(audit_log), "--foreign", str(foreign), "--routes", routes.plural]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.server", *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_LIMIT):
            line = await process.stdout.readline()
        kubeconfig.write_text(yaml.safe_dump(yaml.safe_load(line)))
        async with _client(kubeconfig) as client:
            await client.create(NAMESPACE, namespace(namespace_name))
            yield BenchCluster(client, kubeconfig, audit_log, namespace_name, routes)
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def existing(
    kubeconfig: Path, audit_log: Path, routes: Resource, *, foreign: int, namespace_name: str
) -> AsyncIterator[BenchCluster]:
    """A server that is there already, with the CRDs of Canary and router. What the bench creates is deleted at the end."""
    async with _client(kubeconfig) as client:
        cluster = BenchCluster(client, kubeconfig, audit_log, namespace_name, routes)
        try:
            for name in (namespace_name, FOREIGN_NAMESPACE):
                await client.create(NAMESPACE, namespace(name))
            await cluster.create(foreign_objects(foreign, routes.plural))
            yield cluster
        finally:
            await asyncio.shield(_clear(client, routes, namespace_name))


def _kinds(routes: Resource) -> tuple[Resource, ...]:
    return (CANARY, routes, DEPLOYMENT, SERVICE, CONFIG_MAP, SECRET, CONTROLLER_REVISION, EVENT)


async def _create(client: Client, routes: Resource, manifests: Iterable[Manifest]) -> None:
    resources = {resource.kind: resource for resource in _kinds(routes)}
    await _in_parallel(partial(client.create, resources[manifest["kind"]], manifest) for manifest in manifests)


async def _clear(client: Client, routes: Resource, namespace_name: str) -> None:
    """Delete object by object: a control plane without its controller manager empties no namespace."""
    for name in (namespace_name, FOREIGN_NAMESPACE):
        for resource in _kinds(routes):
            found = await client.find(resource, name)
            await _in_parallel(partial(client.delete, Ref.of(resource, manifest)) for manifest in found)
        await client.delete(Ref(NAMESPACE, "", name))


async def _in_parallel(calls: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Make the calls, several at a time; what is gone already is no error."""
    remaining = iter(calls)

    async def work() -> None:
        for call in remaining:
            with suppress(NotFound):
                await call()

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(work(), name=f"worker {number}")


@asynccontextmanager
async def _client(kubeconfig: Path) -> AsyncIterator[Client]:
    transport = HttpTransport(choose(str(kubeconfig)), user_agent=USER_AGENT)
    await transport.open()
    try:
        yield Client(transport)
    finally:
        await transport.close()
