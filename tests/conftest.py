"""What all tests share."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
"""The same examples in every run, and no limit on the time of one: the machine may be busy."""


@pytest.fixture(scope="session", autouse=True)
def _the_outer_event_loop() -> Iterator[None]:
    """A loop that is closed at the end: pytest-asyncio 1.5 asks for one before its first test, and would leave that one open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
