"""Istio beyond the golden files: forms that Flagger wrote, what others own, and values that only look empty."""

from typing import Any

import pytest

from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Affinity, Pending, Routes
from flagger_py.routers.base import RouterError
from flagger_py.routers.istio.router import DESTINATION_RULE, VIRTUAL_SERVICE
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import canary_of, router_of, weights

PROVIDER = "istio"
CANARY = canary_of(PROVIDER)
SERVICE = Ref(VIRTUAL_SERVICE, "shop", "web")
PRIMARY = Ref(DESTINATION_RULE, "shop", "web-primary")


def destination(host: str, weight: int) -> dict[str, Any]:
    return {"destination": {"host": host}, "weight": weight}


def virtual_service(*rules: dict[str, Any], **spec: Any) -> Manifest:
    """One that a user wrote."""
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hosts": ["web"], "http": list(rules), **spec},
    }


def hosts_of(manifest: Manifest) -> list[str]:
    """Where each rule sends to first."""
    return [rule["route"][0]["destination"]["host"] for rule in manifest["spec"]["http"]]


async def test_a_mirror_on_the_wrong_rule_is_read_all_the_same() -> None:
    """routers:IST-17, CTR-22: Flagger put it on the first rule of session affinity."""
    cleanup = {
        "match": [{"headers": {"Cookie": {"regex": ".*c.*AbCdEfGhIj.*"}}}],
        "mirror": {"host": "web-canary"},
        "route": [destination("web-primary", 100), destination("web-canary", 0)],
    }
    weighted = {"route": [destination("web-primary", 100), destination("web-canary", 0)]}
    objects = MemoryObjects([(VIRTUAL_SERVICE, virtual_service(cleanup, weighted))])
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(100, 0, mirrored=True)


async def test_a_route_without_the_canary_is_pending() -> None:
    """routers:CTR-02."""
    objects = MemoryObjects([(VIRTUAL_SERVICE, virtual_service({"route": [destination("web", 100)]}))])
    pending = await router_of(PROVIDER, objects).get_routes(CANARY)
    assert pending == Pending("VirtualService shop/web does not route to web-canary yet")


async def test_an_adopted_virtual_service_keeps_what_is_not_ours() -> None:
    """routers:CTR-09, IST-12, UPS-11: other rules, faults, TLS routes, the namespaces it is exported to."""
    admin = {"match": [{"uri": {"prefix": "/admin"}}], "route": [destination("admin", 100)]}
    own = {"route": [{"destination": {"host": "web.shop.svc.cluster.local"}}], "fault": {"abort": {"httpStatus": 503}}, "name": "main"}
    tls = [{"match": [{"sniHosts": ["web"]}], "route": [{"destination": {"host": "web"}}]}]
    objects = MemoryObjects([(VIRTUAL_SERVICE, virtual_service(admin, own, exportTo=["."], tls=tls))])
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(20))
    spec = objects.stored[SERVICE]["spec"]
    assert hosts_of(objects.stored[SERVICE]) == ["admin", "web-primary"]
    assert (spec["exportTo"], spec["tls"]) == (["."], tls)
    assert (spec["http"][1]["fault"], spec["http"][1]["name"]) == (own["fault"], "main")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([{"route": [destination("other", 1)]}], ["web-primary", "other"], id="before-a-rule-that-takes-everything"),
        pytest.param(
            [{"match": [{"port": 1}], "route": [destination("other", 1)]}], ["other", "web-primary"], id="after-rules-that-take-something"
        ),
    ],
)
async def test_our_rule_is_placed_where_it_is_reached(rules: list[dict[str, Any]], expected: list[str]) -> None:
    """Istio takes the first rule that matches."""
    objects = MemoryObjects([(VIRTUAL_SERVICE, virtual_service(*rules))])
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(20))
    assert hosts_of(objects.stored[SERVICE]) == expected


async def test_hosts_and_gateways_of_a_new_delegate_are_taken_away() -> None:
    """routers:IST-04: even if nothing else differs."""
    objects = MemoryObjects()
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(20))
    await router.set_routes(canary_of(PROVIDER, service={"delegation": True}), weights(20))
    spec = objects.stored[SERVICE]["spec"]
    assert not spec["hosts"]
    assert "gateways" not in spec


async def test_a_destination_rule_keeps_its_subsets_and_loses_a_policy_that_is_not_asked_for() -> None:
    """routers:IST-02, CTR-09."""
    objects = MemoryObjects()
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(0))
    objects.edit(PRIMARY, lambda manifest: manifest["spec"].update(subsets=[{"name": "v1"}], exportTo=["*"], trafficPolicy={"tls": {}}))
    await router.set_routes(CANARY, weights(0))
    assert objects.stored[PRIMARY]["spec"] == {"host": "web-primary", "subsets": [{"name": "v1"}], "exportTo": ["*"]}


async def test_zero_values_that_flagger_lost_are_written_where_they_have_a_meaning() -> None:
    """routers:CTR-09: `consecutive5xxErrors: 0` turns a check off, `splitExternalLocalOriginErrors: false` says nothing."""
    canary = canary_of(
        PROVIDER, service={"trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 0, "splitExternalLocalOriginErrors": False}}}
    )
    objects = MemoryObjects()
    router = router_of(PROVIDER, objects)
    await router.set_routes(canary, weights(0))
    objects.edit(PRIMARY, lambda manifest: manifest["spec"]["trafficPolicy"]["outlierDetection"].pop("splitExternalLocalOriginErrors"))
    objects.writes.clear()
    await router.set_routes(canary, weights(0))
    assert objects.writes == []
    objects.edit(PRIMARY, lambda manifest: manifest["spec"]["trafficPolicy"]["outlierDetection"].clear())
    await router.set_routes(canary, weights(0))
    assert objects.stored[PRIMARY]["spec"]["trafficPolicy"]["outlierDetection"]["consecutive5xxErrors"] == 0


async def test_an_empty_condition_means_presence_and_is_not_lost() -> None:
    """An empty StringMatch is "any value", which is more than no condition."""
    objects = MemoryObjects()
    router = router_of(PROVIDER, objects)
    await router.set_routes(canary_of(PROVIDER, service={"match": [{"headers": {"x-a": {}}}]}), weights(0))
    assert objects.stored[SERVICE]["spec"]["http"][0]["match"] == [{"headers": {"x-a": {}}}]
    await router.set_routes(canary_of(PROVIDER, service={"match": [{"headers": {"x-b": {}}}]}), weights(0))
    assert objects.stored[SERVICE]["spec"]["http"][0]["match"] == [{"headers": {"x-b": {}}}]


@pytest.mark.parametrize("service", [{"match": []}, {"corsPolicy": {"allowOrigin": ["*"], "allowHeaders": []}}], ids=["match", "cors"])
async def test_an_empty_list_is_no_drift(service: dict[str, Any]) -> None:
    """routers:IST-25, api:GAP-69: protobuf drops it on the wire."""
    objects, canary = MemoryObjects(), canary_of(PROVIDER, service=service)
    router = router_of(PROVIDER, objects)
    await router.set_routes(canary, weights(20))
    for rule in objects.stored[SERVICE]["spec"]["http"]:
        rule.get("corsPolicy", {}).pop("allowHeaders", None)
    objects.writes.clear()
    await router.set_routes(canary, weights(20))
    assert objects.writes == []


async def test_changing_between_requests_and_connections_moves_our_rules() -> None:
    """routers:IST-13, IST-14."""
    objects = MemoryObjects()
    router, tcp = router_of(PROVIDER, objects), canary_of(PROVIDER, service={"appProtocol": "tcp"})
    await router.set_routes(CANARY, weights(20))
    await router.set_routes(tcp, weights(20))
    assert "http" not in objects.stored[SERVICE]["spec"]
    assert await router.get_routes(tcp) == Routes(80, 20)
    await router.set_routes(CANARY, weights(20))
    assert "tcp" not in objects.stored[SERVICE]["spec"]
    assert await router.get_routes(CANARY) == Routes(80, 20)


async def test_affinity_of_connections_is_left_out() -> None:
    """routers:IST-13."""
    canary = canary_of(PROVIDER, service={"appProtocol": "tcp"}, analysis={"sessionAffinity": {"cookieName": "c"}})
    router = router_of(PROVIDER, MemoryObjects())
    await router.set_routes(canary, weights(20, affinity=Affinity(canary="c=AbCdEfGhIj")))
    assert await router.get_routes(canary) == Routes(80, 20)


def test_conditions_on_one_header_differ_not_by_case() -> None:
    """routers:IST-20."""
    users = {"match": [{"headers": {"X-User": {"exact": "insider"}}}], "iterations": 1, "stepWeight": 0}
    same = canary_of(PROVIDER, service={"match": [{"headers": {"x-user": {"exact": "insider"}}}]}, analysis=users)
    rules = router_of(PROVIDER).render(same, weights(100), {})[SERVICE]["spec"]["http"]
    assert rules[0]["match"] == [{"headers": {"x-user": {"exact": "insider"}}}]
    other = canary_of(PROVIDER, service={"match": [{"headers": {"x-user": {"exact": "all"}}}]}, analysis=users)
    with pytest.raises(RouterError, match=r"analysis\.match\[0\]\.headers\[X-User\]"):
        router_of(PROVIDER).render(other, weights(100), {})
