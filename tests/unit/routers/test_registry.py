"""The built-in routers are found by provider name, and say what they can do."""

import pytest

from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Routes, Traffic
from flagger_py.routers import registry
from flagger_py.routers.base import RouterError, RouterSettings
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import canary_of

EXACT_AND_REGEX = frozenset({MatchKind.EXACT, MatchKind.REGEX})
GATEWAY = Capabilities(
    weights=True, header_match=EXACT_AND_REGEX, query_match=EXACT_AND_REGEX, mirror_iterations=True, session_affinity=True
)

CAPABILITIES = {
    "contour": Capabilities(weights=True, header_match=frozenset({MatchKind.EXACT, MatchKind.PREFIX, MatchKind.SUFFIX})),
    "gatewayapi:v1": Capabilities(
        weights=True,
        header_match=EXACT_AND_REGEX,
        query_match=EXACT_AND_REGEX,
        mirror_iterations=True,
        session_affinity=True,
        primary_cookie=True,
    ),
    "gatewayapi:v1beta1": GATEWAY,
    "istio": Capabilities(
        weights=True,
        header_match=frozenset(MatchKind),
        query_match=frozenset({MatchKind.EXACT, MatchKind.PREFIX, MatchKind.REGEX}),
        source_label_match=True,
        mirror_weighted=True,
        mirror_iterations=True,
        mirror_percent=True,
        session_affinity=True,
        primary_cookie=True,
    ),
    "knative": Capabilities(weights=True),
    "kubernetes": Capabilities(),
}
"""The matrix of api.md §6, with our repairs."""


def test_the_built_in_routers_are_installed() -> None:
    assert set(CAPABILITIES) <= set(registry.names())
    assert {registry.origin(provider).distribution for provider in CAPABILITIES} == {"flagger-py"}


@pytest.mark.parametrize("provider", CAPABILITIES)
def test_a_router_says_what_its_backend_can_do(provider: str) -> None:
    """routers:CTR-06, api:GAP-11, GAP-12, GAP-13, GAP-14, GAP-34."""
    assert registry.load(provider).capabilities(provider) == CAPABILITIES[provider]


@pytest.mark.parametrize("provider", ["", "Istio", "smi", "smi:istio", "appmesh:foo", "gatewayapi:v1x"])
def test_an_unknown_name_is_refused_with_the_known_ones_and_never_becomes_istio(provider: str) -> None:
    """routers:PRV-02, api:API-10."""
    with pytest.raises(registry.UnknownRouter, match=rf"unknown provider '{provider}'; known are: contour, .*kubernetes"):
        registry.load(provider)


@pytest.mark.parametrize("provider", ["gatewayapi:v1alpha2", "gatewayapi"])
def test_a_gateway_api_that_is_not_supported_says_what_to_use(provider: str) -> None:
    """routers:PRV-02."""
    with pytest.raises(registry.UnknownRouter, match=rf"provider '{provider}' .*use gatewayapi:v1 "):
        registry.load(provider)


async def test_plain_services_cannot_split_and_say_so() -> None:
    """routers:NOP-01, CTR-04."""
    objects, canary = MemoryObjects(), canary_of("kubernetes")
    router = registry.load("kubernetes")(objects, RouterSettings("kubernetes"))
    await router.set_routes(canary, Traffic(ALL_PRIMARY))
    await router.finalize(canary)
    assert await router.get_routes(canary) == ALL_PRIMARY
    for routes in (ALL_CANARY, Routes(90, 10), Routes(100, 0, mirrored=True)):
        with pytest.raises(RouterError, match=r"Canary shop/web: traffic .* cannot split traffic"):
            await router.set_routes(canary, Traffic(routes))
    assert objects.writes == []
