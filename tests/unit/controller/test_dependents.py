"""Which Canaries a change wakes."""

from flagger_py.controller.dependents import Dependents
from flagger_py.objects.resource import CANARY, SERVICE, Ref

GATEWAY, SHOP, BLOG = Ref(SERVICE, "test", "gateway"), Ref(CANARY, "test", "shop"), Ref(CANARY, "test", "blog")


def test_each_reader_is_known_once_until_it_is_discarded() -> None:
    dependents = Dependents()
    for canary in (SHOP, BLOG, SHOP):
        dependents.add(GATEWAY, canary)
    assert dependents.of(GATEWAY) == (SHOP, BLOG)
    dependents.discard(GATEWAY, SHOP)
    dependents.discard(GATEWAY, SHOP)
    assert dependents.of(GATEWAY) == (BLOG,)
    dependents.discard(GATEWAY, BLOG)
    assert dependents.of(GATEWAY) == ()
