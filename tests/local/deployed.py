"""An embedded cluster for one test, with an app in two versions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from math import sqrt
from pathlib import Path
from typing import Any

import aiohttp

from flagger_py.local.cluster import LocalCluster, LocalSettings, local_cluster
from flagger_py.local.conditions import find_condition
from flagger_py.local.envoy.translation import GATEWAY, HTTP_ROUTE
from flagger_py.local.resources import NAMESPACE
from flagger_py.local.samples import HOST, pod_spec
from flagger_py.local.traffic import LoadGenerator, TrafficSettings
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DEPLOYMENT, SERVICE, Manifest, Ref, Resource

TEST = "test"
LIMIT = 15.0
"""Seconds that a test waits for anything to become true."""


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[LocalCluster]:
    """A cluster with the namespace `test`."""
    async with local_cluster(LocalSettings(folder, **settings)) as cluster:
        await cluster.client.create(NAMESPACE, {"metadata": {"name": TEST}})
        yield cluster


async def until(claim: Callable[[], Awaitable[bool]], limit: float = LIMIT) -> None:
    async with asyncio.timeout(limit):
        while not await claim():  # noqa: ASYNC110 (a condition with a limit)
            await asyncio.sleep(0.02)


def deployment(name: str, version: str, environment: Mapping[str, str] | None = None, **spec: Any) -> Manifest:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(version, {"DRAIN_SECONDS": "1", **(environment or {})})}
    return {"metadata": named(name), "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, **spec}}


def service(name: str) -> Manifest:
    return {"metadata": named(name), "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}


def named(name: str) -> dict[str, str]:
    return {"name": name, "namespace": TEST}


def gateway() -> Manifest:
    return {
        "metadata": named("gateway"),
        "spec": {"gatewayClassName": "local", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }


def route(*rules: Mapping[str, Any]) -> Manifest:
    spec = {"parentRefs": [{"name": "gateway"}], "hostnames": [HOST], "rules": list(rules)}
    return {"metadata": named("web"), "spec": spec}


def split(primary: int, canary: int) -> dict[str, Any]:
    """A rule that sends these weights to `web-primary` and `web-canary`."""
    return {
        "backendRefs": [{"name": name, "port": 80, "weight": weight} for name, weight in (("web-primary", primary), ("web-canary", canary))]
    }


async def deploy_two_versions(cluster: LocalCluster) -> None:
    """`web-primary` runs version 1 and `web-canary` version 2; returns when both are available."""
    for name, version in (("web-primary", "1"), ("web-canary", "2")):
        await cluster.apply([(DEPLOYMENT, deployment(name, version)), (SERVICE, service(name))])
    for name in ("web-primary", "web-canary"):
        await until_available(cluster, name)


async def deploy_gateway(cluster: LocalCluster, *rules: Mapping[str, Any]) -> None:
    await cluster.apply([(GATEWAY, gateway()), (HTTP_ROUTE, route(*rules))])
    await until_served(cluster)


async def set_rules(cluster: LocalCluster, *rules: Mapping[str, Any]) -> None:
    """Change the route; returns when Envoy has it."""
    await cluster.client.patch(Ref(HTTP_ROUTE, TEST, "web"), MergePatch({"spec": {"rules": list(rules)}}))
    await until_served(cluster)


async def until_served(cluster: LocalCluster) -> None:
    """The route's status says that Envoy has taken its newest generation."""

    async def claim() -> bool:
        found = await cluster.client.get(Ref(HTTP_ROUTE, TEST, "web"))
        parents = (found.get("status") or {}).get("parents") or []
        generation = found["metadata"]["generation"]
        return bool(parents) and all(entry["observedGeneration"] == generation for entry in parents[0]["conditions"])

    await until(claim)


async def until_available(cluster: LocalCluster, name: str) -> None:
    """All pods of the newest template are available, and no other is left."""

    async def claim() -> bool:
        found = await cluster.client.get(Ref(DEPLOYMENT, TEST, name))
        status, wanted = found.get("status") or {}, found["spec"]["replicas"]
        counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
        return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3

    await until(claim)


async def until_reason(cluster: LocalCluster, resource: Resource, name: str, condition: str, reason: str) -> Manifest:
    """The object, once its condition has this reason."""
    found: list[Manifest] = []

    async def claim() -> bool:
        found[:] = [await cluster.client.get(Ref(resource, TEST, name))]
        return (find_condition(found[0], condition) or {}).get("reason") == reason

    await until(claim)
    return found[0]


@asynccontextmanager
async def load(cluster: LocalCluster, rate: float, **settings: Any) -> AsyncIterator[LoadGenerator]:
    """Steady requests beside the body of the context."""
    address = await cluster.address()
    generator = LoadGenerator(TrafficSettings(f"http://{address}/", HOST, rate, **settings))
    async with asyncio.TaskGroup() as group:
        group.create_task(generator.run())
        yield generator
        generator.stop()


async def answers(generator: LoadGenerator, count: int) -> dict[str, int]:
    """The next `count` answers by version."""
    before = generator.tally.requests
    start = {version: number for (version, _), number in generator.tally.totals.items()}

    async def claim() -> bool:
        return generator.tally.requests >= before + count

    await until(claim, 60)
    return {version: number - start.get(version, 0) for (version, _), number in generator.tally.totals.items()}


def is_likely(found: int, total: int, percent: float) -> bool:
    """Whether `found` of `total` fits a share of `percent`: within 5 standard deviations, which chance misses once in 1.7 million times."""
    expected = total * percent / 100
    return abs(found - expected) <= 5 * sqrt(expected * (1 - percent / 100)) + 1


@asynccontextmanager
async def client(cluster: LocalCluster) -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose requests go to the gateway with the sample's host."""
    address = await cluster.address()
    async with aiohttp.ClientSession(f"http://{address}", headers={"Host": HOST}) as session:
        yield session


async def version_of(session: aiohttp.ClientSession, path: str = "/", **request: Any) -> str:
    async with session.get(path, **request) as response:
        body: dict[str, str] = await response.json()
        return body["version"]
