"""What all tests share."""

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _the_outer_event_loop() -> Iterator[None]:
    """A loop that is closed at the end: pytest-asyncio 1.5 asks for one before its first test, and would leave that one open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
