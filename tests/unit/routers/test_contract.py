"""One suite for every router that splits traffic: what the engine relies on."""

import json
from copy import deepcopy
from typing import Any

import pytest

from flagger_py.objects.errors import Forbidden, NotServed
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.traffic import Affinity, Pending, Routes, Traffic
from flagger_py.routers.base import RouterError, RouterSettings, UnreadableRoutes
from flagger_py.routers.registry import load
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import SPLITTING, canary_of, route_of, router_of, weights

STEPS = (0, 10, 50, 100, 0)


@pytest.mark.parametrize("provider", SPLITTING)
class TestEveryRouter:
    """What holds for all of them."""

    async def test_without_an_object_there_are_no_routes_yet(self, provider: str) -> None:
        """routers:CTR-08."""
        pending = await router_of(provider).get_routes(canary_of(provider))
        assert isinstance(pending, Pending)
        assert "shop/web does not exist yet" in pending.reason

    async def test_the_weights_that_are_set_are_the_weights_that_are_read(self, provider: str) -> None:
        """routers:CTR-01, CTR-02."""
        router, canary = router_of(provider), canary_of(provider)
        for step in STEPS:
            await router.set_routes(canary, weights(step))
            assert await router.get_routes(canary) == Routes(100 - step, step)

    async def test_a_repair_keeps_the_weights(self, provider: str) -> None:
        """routers:CTR-18: a change of the Canary in the middle of a run moves no traffic."""
        objects = MemoryObjects()
        router = router_of(provider, objects)
        await router.set_routes(canary_of(provider), weights(20))
        changed = canary_of(provider, service={"timeout": "7s", "apex": {"annotations": {"note": "new"}}})
        await router.set_routes(changed, weights(20))
        assert await router.get_routes(changed) == Routes(80, 20)
        assert objects.stored[route_of(router, changed)]["metadata"]["annotations"]["note"] == "new"

    async def test_a_canary_that_serves_everyone_is_told_from_one_that_serves_those_who_match(self, provider: str) -> None:
        """engine:HAZ-19, routers:CTR-15: `analysis.match` is left out, and stays to be read."""
        matched = canary_of(provider, analysis={"match": [{"headers": {"x-user": {"exact": "insider"}}}]})
        router = router_of(provider)
        for routes in (Routes(0, 100), Routes(0, 100, everyone=True), Routes(40, 60, everyone=True), Routes(40, 60), Routes(100, 0)):
            await router.set_routes(matched, Traffic(routes))
            assert await router.get_routes(matched) == routes

    async def test_weights_that_someone_changed_are_read_as_they_are_and_repaired(self, provider: str) -> None:
        """routers:CTR-02."""
        objects, canary = MemoryObjects(), canary_of(provider)
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(20))
        other = deepcopy(objects.stored[route_of(router, canary)])
        await router.set_routes(canary, weights(70))
        objects.edit(route_of(router, canary), lambda manifest: manifest.update(spec=other["spec"]))
        assert await router.get_routes(canary) == Routes(80, 20)
        await router.set_routes(canary, weights(70))
        assert await router.get_routes(canary) == Routes(30, 70)

    async def test_weights_that_do_not_sum_to_100_are_an_error_that_names_the_object(self, provider: str) -> None:
        """routers:CTR-02."""
        objects, canary = MemoryObjects(), canary_of(provider)
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(20))
        objects.edit(route_of(router, canary), lambda manifest: set_weights(manifest["spec"], 30))
        with pytest.raises(UnreadableRoutes, match=r"shop/web: spec\.\w+: weights 30 \(primary\) and 30 \(canary\): must .* sum to 100"):
            await router.get_routes(canary)
        await router.set_routes(canary, weights(20))
        assert await router.get_routes(canary) == Routes(80, 20)

    async def test_a_deleted_object_is_made_again_with_the_weights_it_had(self, provider: str) -> None:
        """routers:CTR-18."""
        objects, canary = MemoryObjects(), canary_of(provider)
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(20))
        del objects.stored[route_of(router, canary)]
        await router.set_routes(canary, weights(20))
        assert await router.get_routes(canary) == Routes(80, 20)

    async def test_an_edit_beside_the_weights_is_repaired_and_moves_none_of_them(self, provider: str) -> None:
        """routers:CTR-18, GW-28, IST-10, SA-15: also where the service has matches and sessions are sticky without a primary cookie."""
        objects = MemoryObjects()
        is_sticky = router_of(provider).capabilities(provider).session_affinity
        analysis = {"sessionAffinity": {"cookieName": "canary-ck"}} if is_sticky else {}
        canary = canary_of(provider, service={"match": [{"uri": {"prefix": "/shop"}}]}, analysis=analysis)
        router = router_of(provider, objects)
        traffic = weights(20, affinity=Affinity(canary="canary-ck=AbCdEfGhIj") if is_sticky else None)
        await router.set_routes(canary, traffic)
        wanted = deepcopy(objects.stored[route_of(router, canary)]["spec"])
        objects.edit(route_of(router, canary), lambda manifest: manifest.update(spec=elsewhere(manifest["spec"])))
        assert objects.stored[route_of(router, canary)]["spec"] != wanted
        await router.set_routes(canary, traffic)
        assert objects.stored[route_of(router, canary)]["spec"] == wanted
        assert await router.get_routes(canary) == Routes(80, 20)

    async def test_labels_and_annotations_of_others_survive(self, provider: str) -> None:
        """routers:CTR-09, CTR-19, GWB-02, IST-12."""
        objects, canary = MemoryObjects(), canary_of(provider)
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(0))
        objects.edit(route_of(router, canary), lambda manifest: manifest["metadata"].update(labels={"theirs": "1"}))
        await router.set_routes(canary, weights(20))
        assert objects.stored[route_of(router, canary)]["metadata"]["labels"] == {"theirs": "1"}

    async def test_the_flux_guards_come_back(self, provider: str) -> None:
        """routers:MD-01."""
        objects, canary = MemoryObjects(), canary_of(provider)
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(20))
        objects.edit(route_of(router, canary), lambda manifest: manifest["metadata"].pop("annotations"))
        await router.set_routes(canary, weights(20))
        assert objects.stored[route_of(router, canary)]["metadata"]["annotations"] == {
            "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
            "helm.toolkit.fluxcd.io/driftDetection": "disabled",
        }

    async def test_the_label_that_flagger_leaked_is_no_drift_and_goes_with_the_next_write(self, provider: str) -> None:
        """routers:MD-05."""
        objects = MemoryObjects()
        canary = canary_of(provider, service={"apex": {"labels": {"team": "shop"}}})
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(0))
        objects.edit(route_of(router, canary), lambda manifest: manifest["metadata"]["labels"].update(app="web"))
        objects.writes.clear()
        await router.set_routes(canary, weights(0))
        assert objects.writes == []
        await router.set_routes(canary, weights(10))
        assert objects.stored[route_of(router, canary)]["metadata"]["labels"] == {"team": "shop"}

    async def test_in_another_cluster_nothing_is_owned(self, provider: str) -> None:
        """routers:CTR-16, engine:ENG-04."""
        objects = MemoryObjects()
        router = load(provider)(objects, RouterSettings(provider, owner_references=False))
        await router.set_routes(canary_of(provider), weights(0))
        assert all("ownerReferences" not in manifest["metadata"] for manifest in objects.stored.values())

    async def test_what_is_asked_of_the_server_is_declared(self, provider: str) -> None:
        """routers:PRV-07: watches and RBAC come from this."""
        objects, canary = MemoryObjects(), canary_of(provider)
        router = router_of(provider, objects)
        await router.set_routes(canary, weights(0))
        declared = {watched.resource for watched in type(router).resources(provider)}
        assert {ref.resource for ref in objects.stored} == declared

    @pytest.mark.parametrize("error", [NotServed("no such CRD"), Forbidden("no right")], ids=["not-served", "forbidden"])
    async def test_errors_of_the_server_are_passed_on(self, provider: str, error: NotServed | Forbidden) -> None:
        objects = MemoryObjects()
        objects.error = error
        with pytest.raises(type(error)):
            await router_of(provider, objects).set_routes(canary_of(provider), weights(0))

    async def test_a_canary_without_a_service_is_refused(self, provider: str) -> None:
        """api:GAP-39."""
        canary = canary_of(provider)
        bare = canary.with_changes(spec=canary.spec.model_copy(update={"service": None}))
        with pytest.raises(RouterError, match=r"Canary shop/web: spec\.service: is required"):
            await router_of(provider).set_routes(bare, weights(0))


def elsewhere(spec: Any) -> Any:
    """With another path."""
    return json.loads(json.dumps(spec).replace("/shop", "/elsewhere"))


def set_weights(part: Any, weight: int) -> None:
    """Give every weighted thing the same weight."""
    for item in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        set_weights(item, weight)
    if isinstance(part, dict) and ({"destination"} & part.keys() or str(part.get("name", "")).startswith("web-")):
        part["weight"] = weight


@pytest.mark.parametrize("provider", SPLITTING)
def test_manifests_that_are_handed_out_are_not_changed(provider: str) -> None:
    """`Objects` shares what it gives."""
    router, canary = router_of(provider), canary_of(provider)
    live: dict[Any, Manifest] = router.render(canary, weights(20), {})
    before = deepcopy(live)
    router.render(canary_of(provider, service={"hosts": ["b"]}), weights(40), live)
    assert live == before
