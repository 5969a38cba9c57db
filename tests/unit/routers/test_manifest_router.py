"""What `ManifestRouter` does with the server: conflicts, crossing writers, replies that differ, adoption and its end."""

import json

import pytest

from flagger_py.objects.errors import Conflict
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.rollout.views import Awaited, Back, Owed
from flagger_py.routers.backends import Backends
from flagger_py.routers.base import RouterError
from flagger_py.routers.gatewayapi import GatewayApiV1Router
from flagger_py.routers.istio.router import VIRTUAL_SERVICE
from tests.unit.routers.memory import MemoryObjects, nothing
from tests.unit.routers.samples import canary_of, route_of, router_of, weights

PROVIDER = "gatewayapi:v1"
CANARY = canary_of(PROVIDER)
ROUTE = Ref(GatewayApiV1Router.route, "shop", "web")
ORIGINAL = "flagger.kubernetes.io/original-configuration"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def retry_added(manifest: Manifest) -> None:
    manifest["spec"]["rules"][0]["retry"] = {"attempts": manifest["spec"]["rules"][0].get("retry", {}).get("attempts", 0) + 1}


def without_timeouts(manifest: Manifest) -> None:
    """A CustomResourceDefinition that does not know the field yet."""
    for rule in manifest["spec"]["rules"]:
        rule.pop("timeouts", None)


async def started(objects: MemoryObjects) -> None:
    """A route at 80/20."""
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(20))
    objects.writes.clear()


async def test_a_write_that_was_crossed_is_rendered_again_from_what_is_there_now() -> None:
    objects = MemoryObjects()
    await started(objects)
    objects.before_write.append(lambda: objects.edit(ROUTE, retry_added))
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(70, 30)
    assert objects.stored[ROUTE]["spec"]["rules"][0]["retry"] == {"attempts": 1}


async def test_a_cache_that_lags_behind_costs_a_conflict_and_nothing_else() -> None:
    objects = MemoryObjects()
    await started(objects)
    objects.lag()
    objects.edit(ROUTE, retry_added)
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert objects.stored[ROUTE]["spec"]["rules"][0]["retry"] == {"attempts": 1}
    assert [verb for verb, _ in objects.writes] == ["patch"]


async def test_a_rollback_is_tried_until_it_succeeds() -> None:
    objects = MemoryObjects()
    await started(objects)
    objects.before_write += [lambda: objects.edit(ROUTE, retry_added)] * 50
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(0))
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(100, 0)


async def test_a_step_forward_that_is_always_crossed_gives_up_after_a_few_tries() -> None:
    objects = MemoryObjects()
    await started(objects)
    objects.before_write += [lambda: objects.edit(ROUTE, retry_added)] * 50
    with pytest.raises(Conflict):
        await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert len(objects.before_write) == 46


async def test_an_object_that_another_replica_created_first_is_taken_as_it_is() -> None:
    objects, other = MemoryObjects(), MemoryObjects()
    await started(other)
    objects.before_write.append(lambda: objects.stored.update(other.stored))
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(20))
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(80, 20)
    assert objects.writes == []


async def test_an_object_that_is_deleted_under_the_write_is_created() -> None:
    objects = MemoryObjects()
    await started(objects)
    objects.before_write.append(objects.stored.clear)
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert [verb for verb, _ in objects.writes] == ["create"]


async def test_a_field_that_the_server_drops_is_named_and_not_written_again() -> None:
    """design §3: the same write is never repeated."""
    objects = MemoryObjects()
    objects.on_write = without_timeouts
    router, canary = router_of(PROVIDER, objects), canary_of(PROVIDER, service={"timeout": "5s"})
    for _ in range(3):
        with pytest.raises(RouterError, match=r"HTTPRoute shop/web: spec\.rules\[0\]\.timeouts: the server did not store what was sent"):
            await router.set_routes(canary, weights(20))
    assert [verb for verb, _ in objects.writes] == ["create"]
    assert await router.get_routes(canary) == Routes(80, 20)


async def test_other_weights_are_another_write_even_where_a_field_is_dropped() -> None:
    objects = MemoryObjects()
    objects.on_write = without_timeouts
    router, canary = router_of(PROVIDER, objects), canary_of(PROVIDER, service={"timeout": "5s"})
    for step in (20, 0):
        with pytest.raises(RouterError, match="timeouts"):
            await router.set_routes(canary, weights(step))
    assert await router.get_routes(canary) == Routes(100, 0)


async def test_a_field_that_the_server_keeps_from_now_on_is_written() -> None:
    objects = MemoryObjects()
    objects.on_write = without_timeouts
    router, canary = router_of(PROVIDER, objects), canary_of(PROVIDER, service={"timeout": "5s"})
    with pytest.raises(RouterError):
        await router.set_routes(canary, weights(20))
    objects.on_write = nothing
    objects.edit(ROUTE, retry_added)
    await router.set_routes(canary, weights(20))
    assert objects.stored[ROUTE]["spec"]["rules"][0]["timeouts"] == {"request": "5s"}


def foreign_route(**metadata: object) -> Manifest:
    """A route that a user wrote before there was a Canary."""
    rules = [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/admin"}}], "backendRefs": [{"name": "admin", "port": 8080}]},
        {"backendRefs": [{"name": "web", "port": 80}], "retry": {"attempts": 2}},
    ]
    spec = {"parentRefs": [{"name": "old"}], "useDefaultGateways": "All", "rules": rules}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": spec,
    }


async def test_an_adopted_route_keeps_what_is_not_ours() -> None:
    """routers:GW-B4, GW-29, UPS-02: rules to other Services, and what users added to ours."""
    objects = MemoryObjects([(ROUTE.resource, foreign_route())])
    router = router_of(PROVIDER, objects)
    assert isinstance(await router.get_routes(CANARY), Pending)
    await router.set_routes(CANARY, weights(20))
    spec = objects.stored[ROUTE]["spec"]
    assert [rule["backendRefs"][0]["name"] for rule in spec["rules"]] == ["admin", "web-primary"]
    assert spec["rules"][1]["retry"] == {"attempts": 2}
    assert spec["useDefaultGateways"] == "All"
    assert "ownerReferences" not in objects.stored[ROUTE]["metadata"]


async def test_an_adopted_route_is_given_back_as_it_was() -> None:
    """routers:GW-29, IST-11, IST-24: noted once, at adoption."""
    objects = MemoryObjects([(ROUTE.resource, foreign_route())])
    before = objects.stored[ROUTE]["spec"]
    router = router_of(PROVIDER, objects)
    for step in (0, 20, 0):
        await router.set_routes(CANARY, weights(step))
    assert json.loads(objects.stored[ROUTE]["metadata"]["annotations"][ORIGINAL]) == before
    await router.finalize(CANARY)
    assert objects.stored[ROUTE]["spec"] == before
    assert not objects.stored[ROUTE]["metadata"].get("annotations"), "no note, and no guard that keeps Flux away"
    objects.writes.clear()
    await router.finalize(CANARY)
    assert objects.writes == []


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "contour"])
async def test_a_gateway_learns_of_what_is_coming_without_traffic(provider: str) -> None:
    """routers:UPS-15: a Service that is new to Envoy gets no request before Envoy has it; adopted routes and generated ones."""
    canary, objects = canary_of(provider), MemoryObjects()
    router = router_of(provider, objects)
    await router.set_routes(canary, weights(20))
    ref = route_of(router, canary)
    await router.prepare_finalize(canary)
    assert await router.get_routes(canary) == Routes(80, 20)
    (rule,) = objects.stored[ref]["spec"]["rules" if provider.startswith("gateway") else "routes"]
    entries = rule["backendRefs" if provider.startswith("gateway") else "services"]
    assert [(entry["name"], entry["weight"]) for entry in entries] == [("web-primary", 80), ("web-canary", 20), ("web", 0)]
    objects.writes.clear()
    await router.prepare_finalize(canary)
    assert objects.writes == []
    assert isinstance(await router.restoration(canary), Owed)


async def test_the_backends_of_an_adopted_route_are_introduced() -> None:
    objects = MemoryObjects([(ROUTE.resource, foreign_route())])
    router = router_of(PROVIDER, objects)
    before = objects.stored[ROUTE]["spec"]
    await router.set_routes(CANARY, weights(20))
    await router.prepare_finalize(CANARY)
    rules = objects.stored[ROUTE]["spec"]["rules"]
    assert {entry["name"] for rule in rules for entry in rule["backendRefs"]} == {"admin", "web-primary", "web-canary", "web"}
    await router.finalize(CANARY)
    assert objects.stored[ROUTE]["spec"] == before


async def test_a_mesh_knows_every_service() -> None:
    """Istio's proxies have a cluster for each Service, routed to or not."""
    canary, objects = canary_of("istio"), MemoryObjects()
    router = router_of("istio", objects)
    await router.set_routes(canary, weights(20))
    objects.writes.clear()
    await router.prepare_finalize(canary)
    assert objects.writes == []


async def test_what_is_given_back_is_owed_then_awaited_then_back() -> None:
    """engine:ISS-10, routers:UPS-15: the primary goes only when the gateway has taken over the route as it was."""
    objects = MemoryObjects([(ROUTE.resource, foreign_route())])
    router = router_of(PROVIDER, objects)
    assert await router.restoration(CANARY) == Back(), "nothing was changed yet"
    await router.set_routes(CANARY, weights(20))
    assert await router.restoration(CANARY) == Owed("HTTPRoute shop/web is not as it was")
    await router.finalize(CANARY)
    objects.edit(ROUTE, lambda manifest: manifest.update(status=accepted_at(1)))
    generation = objects.stored[ROUTE]["metadata"]["generation"]
    late = f"HTTPRoute shop/web: parent old has not seen generation {generation} yet (it is at 1)"
    assert await router.restoration(CANARY) == Awaited(late)
    objects.edit(ROUTE, lambda manifest: manifest.update(status=accepted_at(generation + 1)))
    assert await router.restoration(CANARY) == Back()


def accepted_at(generation: int) -> Manifest:
    condition = {"type": "Accepted", "status": "True", "observedGeneration": generation}
    return {"parents": [{"parentRef": {"name": "old"}, "conditions": [condition]}]}


async def test_a_guard_against_flux_that_a_user_has_set_stays() -> None:
    """routers:MD-01."""
    guard = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    applied = json.dumps({"metadata": {"annotations": guard}, "spec": foreign_route()["spec"]})
    objects = MemoryObjects([(ROUTE.resource, foreign_route(annotations=guard | {LAST_APPLIED: applied}))])
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(20))
    await router.finalize(CANARY)
    assert objects.stored[ROUTE]["metadata"]["annotations"] == guard | {LAST_APPLIED: applied}


async def test_what_kubectl_applied_last_is_given_back_first() -> None:
    """routers:IST-24."""
    provider = "istio"
    canary = canary_of(provider)
    applied = {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]}
    virtual_service = {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {LAST_APPLIED: json.dumps({"spec": applied})}},
        "spec": applied | {"exportTo": ["."]},
    }
    objects = MemoryObjects([(VIRTUAL_SERVICE, virtual_service)])
    router = router_of(provider, objects)
    await router.set_routes(canary, weights(20))
    stored = objects.stored[route_of(router, canary)]
    assert ORIGINAL not in stored["metadata"]["annotations"]
    assert stored["spec"]["exportTo"] == ["."]
    await router.finalize(canary)
    assert objects.stored[route_of(router, canary)]["spec"] == applied


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "gatewayapi:v1beta1", "istio", "contour"])
async def test_a_generated_route_leads_to_the_apex_until_it_is_garbage_collected(provider: str) -> None:
    """routers:CTR-17, UPS-15: it may go after the Services and pods that it would lead to else."""
    canary, objects = canary_of(provider), MemoryObjects()
    router = router_of(provider, objects)
    await router.set_routes(canary, weights(20))
    before = dict(objects.stored)
    await router.finalize(canary)
    assert await router.restoration(canary) == Back()
    ref = route_of(router, canary)
    assert not Backends.of(canary).appear_in(objects.stored[ref]["spec"])
    assert f"'{Backends.of(canary).apex}'" in str(objects.stored[ref]["spec"])
    assert {other for other in before if objects.stored[other] != before[other]} == {ref}, "a DestinationRule leads nobody"


async def test_nothing_to_give_back_is_no_error() -> None:
    objects = MemoryObjects()
    await router_of(PROVIDER, objects).finalize(CANARY)
    assert objects.writes == []


async def test_a_broken_note_is_named() -> None:
    """routers:IST-24."""
    objects = MemoryObjects([(ROUTE.resource, foreign_route(annotations={ORIGINAL: "{"}))])
    with pytest.raises(RouterError, match=r"HTTPRoute shop/web: metadata\.annotations\[flagger.*original.*\]: must be JSON"):
        await router_of(PROVIDER, objects).finalize(CANARY)


async def test_giving_back_is_tried_again_after_a_conflict() -> None:
    objects = MemoryObjects([(ROUTE.resource, foreign_route())])
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(20))
    objects.before_write.append(lambda: objects.edit(ROUTE, lambda manifest: manifest["metadata"].update(labels={"a": "b"})))
    await router.finalize(CANARY)
    assert objects.stored[ROUTE]["spec"]["parentRefs"][0]["name"] == "old"


async def test_in_place_of_a_note_that_flagger_overwrote_with_its_own_spec_the_apex_is_routed_to() -> None:
    """routers:IST-11, GW-29: the note would point to Services that are gone."""
    objects = MemoryObjects([(ROUTE.resource, foreign_route())])
    router = router_of(PROVIDER, objects)
    await router.set_routes(CANARY, weights(0))
    written = json.dumps(objects.stored[ROUTE]["spec"])
    objects.edit(ROUTE, lambda manifest: manifest["metadata"]["annotations"].update({ORIGINAL: written}))
    await router.finalize(CANARY)
    rules = objects.stored[ROUTE]["spec"]["rules"]
    assert {backend["name"] for rule in rules for backend in rule["backendRefs"]} == {"admin", "web"}
    assert ORIGINAL not in objects.stored[ROUTE]["metadata"].get("annotations", {})


OWNER = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "other", "uid": "1", "controller": True}


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(OWNER, id="another-canary"),
        pytest.param(OWNER | {"apiVersion": "acme.dev/v1", "kind": "Shop"}, id="another-controller"),
    ],
)
async def test_a_route_of_another_owner_is_refused_by_name(owner: dict[str, object]) -> None:
    """routers:UPS-03."""
    objects = MemoryObjects([(ROUTE.resource, foreign_route(ownerReferences=[owner]))])
    with pytest.raises(RouterError, match=rf"HTTPRoute shop/web: metadata\.ownerReferences: is controlled by {owner['kind']} other"):
        await router_of(PROVIDER, objects).set_routes(CANARY, weights(0))
    assert objects.writes == []


async def test_a_route_that_flagger_took_from_another_controller_is_continued() -> None:
    """routers:CTR-22."""
    objects = MemoryObjects()
    await started(objects)
    owner = OWNER | {"apiVersion": "acme.dev/v1", "kind": "Shop"}
    objects.edit(ROUTE, lambda manifest: manifest["metadata"].update(ownerReferences=[owner]))
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(70, 30)
    assert ORIGINAL not in objects.stored[ROUTE]["metadata"]["annotations"]


async def test_a_restored_canary_still_owns_its_route() -> None:
    """routers:K8S-12: the uid is another one, the name is not."""
    objects = MemoryObjects()
    await started(objects)
    objects.edit(ROUTE, lambda manifest: manifest["metadata"]["ownerReferences"][0].update(uid="old"))
    await router_of(PROVIDER, objects).set_routes(CANARY, weights(30))
    assert await router_of(PROVIDER, objects).get_routes(CANARY) == Routes(70, 30)
