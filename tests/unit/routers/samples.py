"""Canaries and routers to test with."""

from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Affinity, Routes, Traffic
from flagger_py.routers import registry
from flagger_py.routers.base import RouterSettings
from flagger_py.routers.manifest import ManifestRouter
from tests.unit.routers.memory import MemoryObjects

SPLITTING = ("contour", "gatewayapi:v1", "gatewayapi:v1beta1", "istio")
"""The built-in providers that can split traffic."""

COOKIES = Affinity(canary="canary-ck=AbCdEfGhIj", previous="canary-ck=ZyXwVuTsRq", primary="primary-ck=KlMnOpQrSt")


def canary_of(provider: str, *, service: dict[str, Any] | None = None, analysis: dict[str, Any] | None = None) -> Canary:
    """A Canary `shop/web` of this provider, with these fields more."""
    minimal: dict[str, Any] = {"port": 80}
    if provider.startswith("gatewayapi"):
        minimal["gatewayRefs"] = [{"name": "gw", "namespace": "infra"}]
    manifest = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "web", "namespace": "shop", "uid": "6f8d0b4e-1d9c-4a53-9a86-0f6c7d1f5b11"},
        "spec": {
            "provider": provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": minimal | (service or {}),
            "analysis": {"interval": "15s", "threshold": 2, "stepWeight": 10} | (analysis or {}),
        },
    }
    return Canary.model_validate(manifest)


def router_of(provider: str, objects: MemoryObjects | None = None, *, ingress_class: str = "") -> ManifestRouter:
    """The built-in router of a provider."""
    router = registry.load(provider)(objects or MemoryObjects(), RouterSettings(provider, ingress_class=ingress_class))
    assert isinstance(router, ManifestRouter)
    return router


def weights(canary: int, *, mirrored: bool = False, affinity: Affinity | None = None) -> Traffic:
    """The canary's share, and the rest to the primary."""
    return Traffic(Routes(100 - canary, canary, mirrored), affinity or Affinity())


def stored(objects: MemoryObjects) -> dict[Ref, Manifest]:
    """What is in the cluster now, as `render` takes it."""
    return dict(objects.stored)


def route_of(router: ManifestRouter, canary: Canary) -> Ref:
    """The object that carries the weights: the last that is written."""
    return router.routing_objects(canary)[-1]
