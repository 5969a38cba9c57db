"""What all tests share."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
import structlog
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


@pytest.fixture(autouse=True)
def _the_log_of_the_process() -> Iterator[None]:
    """A test may set it up, and so may a command that it runs: the next test finds it as it was."""
    root, before = logging.getLogger(), structlog.get_config() if structlog.is_configured() else None
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)
