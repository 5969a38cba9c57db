"""Each rule of the routers on an example: what is rendered, read back, and left alone by a server."""

import pytest

from flagger_py.objects.resource import Ref
from flagger_py.routers.base import RouterError
from tests.unit.routers.golden import Golden, all_golden
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import canary_of, router_of

GOLDEN = all_golden()
RENDERED = [golden for golden in GOLDEN if "error" not in golden.expected[0]]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_canary_gives_the_expected_objects_or_a_refusal(golden: Golden) -> None:
    """The rule ids stand in each file."""
    assert golden.given["rules"]
    assert golden.rendered() == golden.expected


@pytest.mark.parametrize("golden", RENDERED, ids=lambda golden: golden.name)
async def test_what_is_written_is_read_back_and_not_written_again(golden: Golden) -> None:
    """routers:CTR-02, GW-B1, GW-B2, GW-B3, IST-25: the server's form is no drift."""
    objects = MemoryObjects()
    canary = canary_of(golden.given["provider"], service=golden.given.get("service"), analysis=golden.given.get("analysis"))
    router = router_of(golden.given["provider"], objects, ingress_class=golden.given.get("ingressClass", ""))
    await router.set_routes(canary, golden.traffic)
    assert await router.get_routes(canary) == golden.traffic.routes
    written = list(objects.writes)
    await router.set_routes(canary, golden.traffic)
    assert objects.writes == written


@pytest.mark.parametrize("golden", [golden for golden in GOLDEN if golden not in RENDERED], ids=lambda golden: golden.name)
async def test_a_refusal_comes_before_any_write(golden: Golden) -> None:
    """routers:IST-04, CTR-04: no object is written where one of them cannot be."""
    objects = MemoryObjects()
    canary = canary_of(golden.given["provider"], service=golden.given.get("service"), analysis=golden.given.get("analysis"))
    with pytest.raises(RouterError, match="Canary shop/web: spec"):
        await router_of(golden.given["provider"], objects).set_routes(canary, golden.traffic)
    assert objects.writes == []


@pytest.mark.parametrize("golden", RENDERED, ids=lambda golden: golden.name)
def test_generated_objects_are_owned_by_the_canary(golden: Golden) -> None:
    """routers:CTR-16."""
    for manifest in golden.expected:
        assert manifest["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "name": "web",
                "uid": "6f8d0b4e-1d9c-4a53-9a86-0f6c7d1f5b11",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


@pytest.mark.parametrize("golden", RENDERED, ids=lambda golden: golden.name)
def test_objects_have_the_names_of_the_services(golden: Golden) -> None:
    """routers:CTR-20."""
    router = router_of(golden.given["provider"])
    canary = canary_of(golden.given["provider"])
    kinds = {watched.resource.kind: watched.resource for watched in router.resources(golden.given["provider"])}
    refs = tuple(Ref.of(kinds[manifest["kind"]], manifest) for manifest in golden.expected)
    assert refs == router.routing_objects(canary)
