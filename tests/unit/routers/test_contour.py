"""Contour beyond the golden files: what others own, and weights that are not said."""

from typing import Any

from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.routers.contour.router import HTTP_PROXY
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import canary_of, router_of, weights

PROVIDER = "contour"
CANARY = canary_of(PROVIDER)
PROXY = Ref(HTTP_PROXY, "shop", "web")


def proxy(*routes: dict[str, Any], **spec: Any) -> Manifest:
    """One that a user wrote."""
    return {
        "apiVersion": "projectcontour.io/v1",
        "kind": "HTTPProxy",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"routes": list(routes), **spec},
    }


async def test_an_adopted_proxy_keeps_what_is_not_ours() -> None:
    """routers:CON-12, CTR-09: virtual host, includes, other routes, websockets, the protocol of a service."""
    other = {"conditions": [{"prefix": "/admin"}], "services": [{"name": "admin", "port": 80}]}
    own = {"services": [{"name": "web", "port": 80}], "enableWebsockets": True, "loadBalancerPolicy": {"strategy": "Random"}}
    objects = MemoryObjects([(HTTP_PROXY, proxy(other, own, virtualhost={"fqdn": "a.example"}, includes=[{"name": "blog"}]))])
    router = router_of(PROVIDER, objects)
    assert isinstance(await router.get_routes(CANARY), Pending)
    await router.set_routes(CANARY, weights(20))
    objects.edit(PROXY, lambda manifest: manifest["spec"]["routes"][1]["services"][0].update(protocol="h2c"))
    await router.set_routes(CANARY, weights(30))
    spec = objects.stored[PROXY]["spec"]
    assert (spec["virtualhost"], spec["includes"]) == ({"fqdn": "a.example"}, [{"name": "blog"}])
    assert spec["routes"][0] == other
    assert spec["routes"][1]["enableWebsockets"] is True
    assert spec["routes"][1]["loadBalancerPolicy"] == {"strategy": "Random"}
    assert [service.get("protocol") for service in spec["routes"][1]["services"]] == ["h2c", None]
    assert await router.get_routes(CANARY) == Routes(70, 30)


async def test_a_weight_of_zero_and_none_are_the_same() -> None:
    """routers:CON-01."""
    objects = MemoryObjects()
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(0))
    objects.edit(PROXY, lambda manifest: manifest["spec"]["routes"][0]["services"][1].update(weight=0))
    objects.writes.clear()
    await router.set_routes(CANARY, weights(0))
    assert objects.writes == []


async def test_retries_of_zero_attempts_are_the_servers_default_and_no_drift() -> None:
    """routers:CON-04: the CRD fills in a count of 1."""
    objects, canary = MemoryObjects(), canary_of(PROVIDER, service={"retries": {"retryOn": "5xx"}})
    router = router_of(PROVIDER, objects)
    await router.set_routes(canary, weights(20))
    objects.edit(PROXY, lambda manifest: manifest["spec"]["routes"][0]["retryPolicy"].pop("count"))
    objects.writes.clear()
    await router.set_routes(canary, weights(20))
    assert objects.writes == []


async def test_the_ingress_class_of_the_flag_is_kept_up() -> None:
    """routers:CON-06."""
    objects = MemoryObjects()
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(20))
    await router_of(PROVIDER, objects, ingress_class="contour").set_routes(CANARY, weights(20))
    assert objects.stored[PROXY]["spec"]["ingressClassName"] == "contour"


async def test_a_retry_policy_that_is_not_asked_for_any_more_goes_away() -> None:
    """routers:CON-03, CON-04."""
    objects = MemoryObjects()
    router = router_of(PROVIDER, objects)
    await router.set_routes(canary_of(PROVIDER, service={"timeout": "5s", "retries": {"attempts": 1}}), weights(20))
    await router.set_routes(CANARY, weights(20))
    assert objects.stored[PROXY]["spec"]["routes"][0].keys() == {"conditions", "services"}
