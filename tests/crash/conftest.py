"""Which part of the suite runs, and how much was interrupted over all workers; keeps the controllers quiet."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import structlog
from _pytest.terminal import TerminalReporter

from tests.crash.branches import Branches, Choice, every, everything, explore
from tests.memory.interruption import Wire

POINTS = "interrupted calls"

Explore = Callable[[Callable[[Wire], None], int], None]
"""Interrupts a play; the number says that one in so many interruptions is enough for the short run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="interrupt each call in each way, not only a part of them")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def interrupted(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Explore:
    """Asserts that a play ends well however it is interrupted."""

    def interrupt(play: Callable[[Wire], None], share: int) -> None:
        branches = explore(play, _choice(share, is_full=bool(request.config.getoption("--full", default=False))))
        _record(branches, record_property)
        assert not branches.failures, "\n\n".join(branches.failures)

    return interrupt


def _choice(share: int, *, is_full: bool) -> Choice:
    return everything if is_full or share == 1 else every(share)


def _record(branches: Branches, record_property: Callable[[str, object], None]) -> None:
    for interruption, number in branches.tried.items():
        record_property(f"{POINTS}: {interruption}", number)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """How many calls were interrupted, by kind of interruption."""
    points: Counter[str] = Counter()
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            kind, _, interruption = name.partition(": ")
            if kind == POINTS and report.when == "call":
                points[interruption] += int(str(value))
    if points:
        listed = ", ".join(f"{number} {interruption}" for interruption, number in points.items())
        terminalreporter.write_line(f"{points.total()} {POINTS}: {listed}")
