"""Gateway API beyond the golden files: the readiness gate, defaults, what others own, and forms that are refused."""

from typing import Any

import pytest

from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Affinity, Pending, Routes
from flagger_py.routers.base import RouterError
from flagger_py.routers.gatewayapi import GatewayApiV1Beta1Router, GatewayApiV1Router
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import canary_of, router_of, weights

PROVIDER = "gatewayapi:v1"
CANARY = canary_of(PROVIDER)
ROUTE = Ref(GatewayApiV1Router.route, "shop", "web")
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": "infra"}


async def route_at(step: int) -> MemoryObjects:
    """A route that stands at this weight; its generation is 1."""
    objects = MemoryObjects()
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(step))
    return objects


def accepted(parent: dict[str, Any], **condition: Any) -> dict[str, Any]:
    return {"parents": [{"parentRef": parent, "conditions": [{"type": "Accepted", "status": "True", **condition}]}]}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="no-status"),
        pytest.param({"parents": []}, id="no-parents"),
        pytest.param({"parents": [{"parentRef": GATEWAY}]}, id="no-conditions"),
        pytest.param(accepted(GATEWAY, observedGeneration=1), id="accepted"),
        pytest.param(accepted(GATEWAY), id="accepted-without-generation"),
        pytest.param(accepted(GATEWAY, observedGeneration=0), id="accepted-at-generation-zero"),
        pytest.param(accepted(GATEWAY | {"sectionName": "http"}, status="False"), id="another-parent-refuses"),
        pytest.param(
            {"parents": [{"parentRef": GATEWAY, "conditions": [{"type": "ResolvedRefs", "status": "False"}]}]}, id="other-condition"
        ),
    ],
)
async def test_a_route_counts_where_no_parent_objects(status: dict[str, Any]) -> None:
    """routers:GW-15: controllers that never set a generation (Linkerd) do not block for ever."""
    objects = await route_at(20)
    objects.stored[ROUTE]["status"] = status
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(80, 20)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(accepted(GATEWAY, observedGeneration=1), "has not seen generation 2 yet (it is at 1)", id="old-generation"),
        pytest.param(
            accepted(GATEWAY, status="False", reason="NoMatchingListenerHostname", message="none", observedGeneration=2),
            "does not accept the route: NoMatchingListenerHostname: none",
            id="refused",
        ),
        pytest.param(accepted(GATEWAY, status="Unknown"), "does not accept the route", id="unknown"),
        pytest.param(accepted({"name": "gw", "namespace": "infra"}, observedGeneration=1), "has not seen", id="parent-with-defaults"),
    ],
)
async def test_a_change_is_pending_until_every_parent_has_accepted_it(status: dict[str, Any], reason: str) -> None:
    """routers:GW-15."""
    objects = await route_at(20)
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(30))
    objects.stored[ROUTE]["status"] = status
    pending = await router.get_routes(CANARY)
    assert isinstance(pending, Pending)
    assert pending.reason.startswith("HTTPRoute shop/web: parent gw ")
    assert reason in pending.reason
    assert pending.asks == Routes(70, 30)


async def test_v1beta1_does_not_wait_for_the_gateway() -> None:
    """routers:GWB-01."""
    provider, objects = "gatewayapi:v1beta1", MemoryObjects()
    canary, router = canary_of(provider), router_of(provider, objects)
    await router.set_routes(canary, weights(20))
    objects.stored[Ref(GatewayApiV1Beta1Router.route, "shop", "web")]["status"] = accepted(GATEWAY, status="False")
    assert await router.get_routes(canary) == Routes(80, 20)


async def test_a_rollback_does_not_wait_for_the_gateway() -> None:
    objects = await route_at(20)
    objects.stored[ROUTE]["status"] = accepted(GATEWAY, status="False")
    objects.before_write += [lambda: objects.edit(ROUTE, lambda manifest: manifest["spec"].update(theirs="x"))] * 9
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(0))
    assert objects.stored[ROUTE]["spec"]["rules"][0]["backendRefs"][0]["weight"] == 100


async def test_a_static_mirror_to_the_canary_is_not_the_mirror_of_the_analysis() -> None:
    """routers:GW-18."""
    mirror = [{"backendRef": {"name": "web-canary", "port": 80}}]
    canary = canary_of(PROVIDER, service={"mirror": mirror}, analysis={"iterations": 2, "stepWeight": 0, "mirror": True})
    router = router_of(PROVIDER, MemoryObjects())
    for mirrored in (False, True, False):
        await router.set_routes(canary, weights(0, mirrored=mirrored))
        assert await router.get_routes(canary) == Routes(100, 0, mirrored)


async def test_the_users_own_parts_of_our_rules_survive_a_step_with_more_rules() -> None:
    """routers:GW-B4: rule names, retry, session persistence and extension filters (UPS-02)."""
    objects = await route_at(0)
    extension = {"type": "ExtensionRef", "extensionRef": {"group": "acme", "kind": "Auth", "name": "sso"}}
    own: dict[str, Any] = {"name": "main", "retry": {"attempts": 2}, "sessionPersistence": {"type": "Cookie"}, "filters": [extension]}
    objects.edit(ROUTE, lambda manifest: manifest["spec"]["rules"][0].update(own))
    ab_test = canary_of(PROVIDER, analysis={"match": [{"headers": {"x": {"exact": "y"}}}], "iterations": 2, "stepWeight": 0})
    await router_of(PROVIDER, objects).set_routes(ab_test, weights(100))
    first, second = objects.stored[ROUTE]["spec"]["rules"]
    for rule in (first, second):
        assert rule["retry"] == {"attempts": 2}
        assert rule["sessionPersistence"] == {"type": "Cookie"}
        assert rule["filters"] == [extension]
    assert first["name"] == "main"
    assert "name" not in second


async def test_our_rules_stay_where_they_are_among_others() -> None:
    """routers:GW-B4."""
    objects = await route_at(0)
    others: list[dict[str, Any]] = [{"backendRefs": [{"name": name, "port": 1}]} for name in ("before", "after")]
    objects.edit(ROUTE, lambda manifest: manifest["spec"].update(rules=[others[0], *manifest["spec"]["rules"], others[1]]))
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(20))
    rules = objects.stored[ROUTE]["spec"]["rules"]
    assert [rule["backendRefs"][0]["name"] for rule in rules] == ["before", "web-primary", "after"]


async def test_a_rule_that_also_sends_elsewhere_is_not_ours() -> None:
    """routers:GW-B4."""
    objects = await route_at(20)
    mixed = {"backendRefs": [{"name": "web", "port": 80, "weight": 1}, {"name": "web", "namespace": "old", "port": 80, "weight": 9}]}
    objects.edit(ROUTE, lambda manifest: manifest["spec"]["rules"].append(mixed))
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert len(objects.stored[ROUTE]["spec"]["rules"]) == 2


@pytest.mark.parametrize("name", ["Cookie", "cookie"])
def test_a_service_that_compares_the_cookie_header_cannot_be_sticky(name: str) -> None:
    """routers:GW-21: HTTPRoute looks at the first of two conditions on a header only."""
    canary = canary_of(
        PROVIDER, service={"match": [{"headers": {name: {"regex": "a=b"}}}]}, analysis={"sessionAffinity": {"cookieName": "c"}}
    )
    with pytest.raises(RouterError, match=r"spec\.analysis\.sessionAffinity\.headers: .*service\.match compares Cookie too"):
        router_of(PROVIDER).render(canary, weights(10, affinity=Affinity(canary="c=AbCdEfGhIj")), {})


@pytest.mark.parametrize("router", [GatewayApiV1Router, GatewayApiV1Beta1Router])
def test_a_route_of_v1alpha2_is_refused_with_what_to_use(router: type[GatewayApiV1Router]) -> None:
    provider = f"gatewayapi:{router.route.version}"
    route: Manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1alpha2",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {},
    }
    ref = Ref(router.route, "shop", "web")
    with pytest.raises(RouterError, match=rf"HTTPRoute shop/web: apiVersion: .*v1alpha2 is not supported; .*{router.route.api_version}"):
        router_of(provider).render(canary_of(provider), weights(0), {ref: route})
    with pytest.raises(RouterError, match="v1alpha2 is not supported"):
        router_of(provider).read(canary_of(provider), {ref: route})


def test_the_api_version_is_that_of_the_router() -> None:
    """A file may hold the other served version: the server keeps one object for both."""
    ref = Ref(GatewayApiV1Router.route, "shop", "web")
    route: Manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {},
    }
    assert router_of(PROVIDER).render(CANARY, weights(0), {ref: route})[ref]["apiVersion"] == "gateway.networking.k8s.io/v1"


async def test_a_late_gateway_is_made_to_look_again_once_for_each_generation() -> None:
    """routers:GW-15: it may have lost the write of its status. Contour heeds the spec only; the order of backends has no meaning."""
    objects = await route_at(20)
    router = router_of(PROVIDER, objects)
    before = await objects.get(ROUTE)
    assert before
    for _ in range(2):
        await router.nudge(CANARY)
    after = await objects.get(ROUTE)
    assert after
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert after["metadata"]["annotations"]["flagger.app/nudged-generation"] == str(after["metadata"]["generation"])
    assert after["spec"]["rules"][0]["backendRefs"] == before["spec"]["rules"][0]["backendRefs"][::-1]
    await router.set_routes(CANARY, weights(20))
    assert await objects.get(ROUTE) == after
