"""The controller is stopped before and after each of its calls, and each call fails once in each way (design §8, engine:ACC-18)."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.crash.conftest import POINTS
from tests.crash.scenarios import SCENARIOS, play
from tests.memory.interruption import KILLS, Interruption, Point

PARTS = 4
"""Tests per scenario and interruption, so that two workers end at about the same time."""


@cache
def points_of(scenario: str) -> tuple[Point, ...]:
    """The calls of the scenario when nothing disturbs it."""
    return play(SCENARIOS[scenario])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("interruption", Interruption)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_ends_as_if_nothing_had_happened(
    scenario: str, interruption: Interruption, part: int, record_property: Callable[[str, object], None]
) -> None:
    """engine:HAZ-01, HAZ-02, HAZ-06, HAZ-09, HAZ-10, HAZ-27, HAZ-28, HAZ-37, RST-01..04: one promotion, no step without its interval,
    no traffic to what is not ready, hooks at least once, then rest."""
    chosen = [number for number, point in enumerate(points_of(scenario)) if point.can_be(interruption)][part::PARTS]
    failures = [failure for number in chosen if (failure := _failure(scenario, interruption, number))]
    record_property(f"{POINTS}: {interruption}", len(chosen))
    assert not failures, "\n\n".join(failures)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("interruption", KILLS)
@pytest.mark.parametrize("calls", [15, 20, 25, 30, 45])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_controller_that_crashes_again_and_again_gets_there_all_the_same(scenario: str, calls: int, interruption: Interruption) -> None:
    """engine:HAZ-06: a crash loop rushes no step. Each process dies at its `calls`-th call."""
    play(SCENARIOS[scenario], interruption, range(calls - 1, 10_000, calls))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("interruption", [None, Interruption.KILLED_AFTER, Interruption.LOST_REPLY])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_controllers_at_once_are_as_good_as_one(scenario: str, interruption: Interruption | None) -> None:
    """engine:HAZ-03, HAZ-31, ENG-07: an old leader that does not know it yet. Status is compare-and-swap, effects are idempotent."""
    play(SCENARIOS[scenario], interruption, range(6, 10_000, 7), controllers=2)


def _failure(scenario: str, interruption: Interruption, number: int) -> str:
    point = points_of(scenario)[number]
    try:
        made = play(SCENARIOS[scenario], interruption, {number})
    except (AssertionError, ExceptionGroup) as error:
        return f"call {number} ({point.call}) {interruption}:\n{_innermost(error)}"
    assert made[: number + 1] == points_of(scenario)[: number + 1], "the same calls are made in the same order until then"
    return ""


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
