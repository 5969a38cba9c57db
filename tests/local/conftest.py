"""The order of the local tests, and the stages that they share."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.local.stage import Stages, place_of

FOLDER: Final = Path(__file__).parent


@pytest.fixture(autouse=True)
def _lost_sockets() -> Iterator[None]:
    """aiohttp loses a socket whose request is cancelled in the very moment in which it is connected, as probes and clients on a busy
    machine are. Collected here, where the warning is passed over, it fails no other test."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Local tests first, so that a second process has all others meanwhile; those of one stage in a row: its loop stands still else."""
    places: dict[object, int] = {}
    for item in items:
        places.setdefault(place_of(item), len(places))
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
    items.sort(key=lambda item: (item.get_closest_marker("local") is None, place_of(item) is None, places[place_of(item)]))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    """The stages of this run."""
    found = Stages(request.session.items, lambda: tmp_path_factory.mktemp("site"))
    yield found
    await found.close()
    await asyncio.sleep(0)
