"""What the routers render, on the real definitions of Gateway API, Istio and Contour: accepted as it is, kept, and never seen as drift."""

from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster, ClusterObjects
from flagger_py.objects.patch import Patch
from flagger_py.objects.resource import CANARY, Manifest, Ref, Resource
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.routers import registry
from flagger_py.routers.base import RouterError, RouterSettings
from flagger_py.routers.manifest import ManifestRouter
from tests.unit.routers.golden import Golden, all_golden
from tests.unit.routers.samples import canary_of

RENDERED = [golden for golden in all_golden() if "error" not in golden.expected[0]]


class StrictObjects(ClusterObjects):
    """The cluster as the controller sees it, but the server refuses what its schema would prune. Counts writes."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, cluster.client, lambda ref: None)
        self.writes: list[Ref] = []

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        created = await self._client.create(resource, manifest, field_validation="Strict")
        self._cluster.absorb(resource, created)
        self.writes.append(Ref.of(resource, created))
        return created

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "", field_validation: str = "Strict") -> Manifest:
        self.writes.append(ref)
        return await super().patch(ref, patch, subresource=subresource, field_validation=field_validation)


@pytest.mark.parametrize("golden", RENDERED, ids=lambda golden: golden.name)
async def test_rendered_objects_are_stored_as_they_are_and_written_once(
    client: Client, cluster: Cluster, namespace: str, golden: Golden
) -> None:
    """routers:CTR-01, CTR-19, design:§3 (no write repeats), issue 3 §2.6 (compare by meaning)."""
    canary = await _stored_canary(client, namespace, golden)
    objects = StrictObjects(cluster)
    for traffic in (golden.traffic, Traffic(Routes(100, 0)), golden.traffic):
        await _router(golden, objects).set_routes(canary, traffic)
        assert await _routes(golden, objects, canary) == traffic.routes
        objects.writes.clear()
        await _router(golden, objects).set_routes(canary, traffic)
        assert objects.writes == [], "the stored object is taken for drift"
    await _check_nothing_was_lost(golden, objects, canary)


async def _stored_canary(client: Client, namespace: str, golden: Golden) -> Canary:
    """A real owner: garbage collection deletes the objects of one that does not exist."""
    owner = canary_of(golden.given["provider"]).to_manifest()
    stored = await client.create(CANARY, {**owner, "metadata": {"name": "web", "namespace": namespace}})
    wanted = canary_of(golden.given["provider"], service=golden.given.get("service"), analysis=golden.given.get("analysis"))
    return Canary.model_validate(wanted.to_manifest() | {"metadata": stored["metadata"]})


def _router(golden: Golden, objects: ClusterObjects) -> ManifestRouter:
    """A new one each time: it remembers nothing, as after a restart."""
    provider = golden.given["provider"]
    router = registry.load(provider)(objects, RouterSettings(provider, ingress_class=golden.given.get("ingressClass", "")))
    assert isinstance(router, ManifestRouter)
    return router


async def _routes(golden: Golden, objects: ClusterObjects, canary: Canary) -> Routes | None:
    """What is read back; `None` where the gateway has to accept the object first."""
    try:
        routes = await _router(golden, objects).get_routes(canary)
    except RouterError as error:
        pytest.fail(f"cannot read back what was written: {error}")
    return None if isinstance(routes, Pending) else routes


async def _check_nothing_was_lost(golden: Golden, objects: ClusterObjects, canary: Canary) -> None:
    """Without the router's own idea of meaning: each value that we send stands in what is stored."""
    wanted = _router(golden, objects).render(canary, golden.traffic, {})
    for ref, manifest in wanted.items():
        stored = await objects.get(ref)
        assert stored is not None
        assert list(_missing(manifest["spec"], stored["spec"], "spec")) == []


def _missing(sent: Any, stored: Any, path: str) -> list[str]:
    """Paths of the values that were sent and are not stored."""
    if isinstance(sent, dict):
        found = stored if isinstance(stored, dict) else {}
        return [lost for key, value in sent.items() for lost in _missing(value, found.get(key), f"{path}.{key}")]
    if isinstance(sent, list):
        if not isinstance(stored, list) or len(stored) != len(sent):
            return [path] if sent or stored else []
        return [lost for index, value in enumerate(sent) for lost in _missing(value, stored[index], f"{path}[{index}]")]
    return [] if sent == stored else [f"{path}: sent {sent!r}, stored {stored!r}"]
