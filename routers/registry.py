"""The routers that are installed, by provider name: `spec.provider` of a Canary, else the flag `-mesh-provider` (routers:PRV-01, PRV-02).

A name is looked up as it is: nothing falls back to Istio, and no prefix of a name stands for the name.
"""

from flagger_py.objects.plugins import BrokenPlugin, Origin, Plugins, UnknownPlugin
from flagger_py.routers.base import Router

GROUP = "flagger_py.routers"

_INSTEAD = {
    "gatewayapi:v1alpha2": "HTTPRoute v1alpha2 is no longer served; use gatewayapi:v1 (or gatewayapi:v1beta1 on an old cluster)",
    "gatewayapi": "say which version: use gatewayapi:v1 (or gatewayapi:v1beta1 on an old cluster)",
}
"""Names that Flagger takes for another router, and what to write instead (routers:PRV-02)."""


class UnknownRouter(UnknownPlugin):
    """No installed distribution offers a router for this provider."""


class BrokenRouter(BrokenPlugin):
    """The router of this provider is installed, but cannot be used."""


_ROUTERS: Plugins[Router] = Plugins(
    GROUP,
    Router,  # type: ignore[type-abstract]  # the base that plug-ins are checked against is abstract on purpose
    "provider",
    unknown=UnknownRouter,
    broken=BrokenRouter,
)


def names() -> tuple[str, ...]:
    """The provider names on offer, sorted."""
    return _ROUTERS.names()


def load(provider: str) -> type[Router]:
    """The router class of a provider. Raises `UnknownRouter` or `BrokenRouter`."""
    if provider in _INSTEAD and provider not in _ROUTERS.names():
        raise UnknownRouter(f"provider {provider!r} is not supported: {_INSTEAD[provider]}")
    return _ROUTERS.load(provider)


def origin(provider: str) -> Origin:
    """The distribution and version that a provider's router comes from. Raises `UnknownRouter` or `BrokenRouter`."""
    return _ROUTERS.origin(provider)
