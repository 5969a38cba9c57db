"""Counts the interrupted calls over all workers, and keeps the controllers quiet."""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from _pytest.terminal import TerminalReporter

POINTS = "interrupted calls"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


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
