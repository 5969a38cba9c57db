"""The order of the local tests, and the stages that they share."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.local.stage import Stages, place_of


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Local tests first, so that a second process has all others meanwhile; those of one stage in a row: its loop stands still else."""
    places: dict[object, int] = {}
    for item in items:
        places.setdefault(place_of(item), len(places))
    items.sort(key=lambda item: (item.get_closest_marker("local") is None, place_of(item) is None, places[place_of(item)]))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    """The stages of this run."""
    found = Stages(request.session.items, lambda: tmp_path_factory.mktemp("site"))
    yield found
    await found.close()
    await asyncio.sleep(0)
