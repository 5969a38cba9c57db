"""The router of `docs/writing-a-router.md` works as it is printed."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from flagger_py.objects.resource import Ref
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.routers import ManifestRouter, RouterError, RouterSettings
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import canary_of, weights

PAGE = Path(__file__).parents[3] / "docs" / "writing-a-router.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def acme() -> Iterator[ModuleType]:
    """The printed code as a module."""
    module = sys.modules["acme_router"] = ModuleType("acme_router")
    exec(compile(CODE[0], str(PAGE), "exec"), module.__dict__)
    yield module
    del sys.modules["acme_router"]


def router_in(module: ModuleType, objects: MemoryObjects) -> ManifestRouter:
    router: ManifestRouter = module.AcmeRouter(objects, RouterSettings("acme"))
    return router


def test_it_is_a_router_in_40_lines() -> None:
    assert len(CODE) == 1
    assert len([line for line in CODE[0].splitlines() if line.strip()]) <= 40


async def test_it_splits_and_reads_back(acme: ModuleType) -> None:
    objects, canary = MemoryObjects(), canary_of("acme")
    router = router_in(acme, objects)
    assert await router.get_routes(canary) == Pending("Split shop/web does not split yet")
    for step in (0, 30, 30, 100):
        await router.set_routes(canary, weights(step))
        assert await router.get_routes(canary) == Routes(100 - step, step)
    assert [verb for verb, _ in objects.writes] == ["create", "patch", "patch"]


async def test_it_keeps_what_others_own(acme: ModuleType) -> None:
    objects, canary = MemoryObjects(), canary_of("acme")
    router = router_in(acme, objects)
    await router.set_routes(canary, weights(0))
    split = Ref(acme.SPLIT, "shop", "web")
    objects.edit(split, lambda manifest: manifest["spec"].update(sticky=True))
    await router.set_routes(canary, weights(50))
    assert objects.stored[split]["spec"]["sticky"] is True


async def test_it_refuses_what_it_cannot_do(acme: ModuleType) -> None:
    with pytest.raises(RouterError, match=r"Canary shop/web: spec\.analysis\.mirror: true: provider acme cannot mirror"):
        await router_in(acme, MemoryObjects()).set_routes(canary_of("acme"), weights(0, mirrored=True))
