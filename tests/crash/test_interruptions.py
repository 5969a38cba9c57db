"""The controller is stopped before and after each of its calls, and each call fails once in each way (design §8, engine:ACC-18)."""

from typing import Final

import pytest

from tests.crash.conftest import Explore
from tests.crash.scenarios import SCENARIOS, play
from tests.memory.interruption import KILLS, Interruption, Wire

CORE: Final = ("initialisation", "a good rollout, weighted", "a bad rollout, weighted")
"""Interrupted at each call in each way in the short run, too."""
REPEATED: Final = (*CORE, "a good rollout, session affinity", "a good rollout, blue/green with a mirror", "a good rollout, A/B test")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_ends_as_if_nothing_had_happened(scenario: str, interrupted: Explore) -> None:
    """engine:HAZ-01, HAZ-02, HAZ-06, HAZ-09, HAZ-10, HAZ-27, HAZ-28, HAZ-37, RST-01..04: one promotion, no step without its interval,
    no traffic to what is not ready, hooks and alerts at least once, then rest."""
    interrupted(lambda wire: play(SCENARIOS[scenario], wire), 1 if scenario in CORE else 4)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("interruption", KILLS)
@pytest.mark.parametrize("calls", [15, 20, 25, 30, 45])
@pytest.mark.parametrize("scenario", REPEATED)
def test_a_controller_that_crashes_again_and_again_gets_there_all_the_same(scenario: str, calls: int, interruption: Interruption) -> None:
    """engine:HAZ-06: a crash loop rushes no step. Each process dies at its `calls`-th call."""
    play(SCENARIOS[scenario], Wire(interruption, range(calls - 1, 10_000, calls)))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("interruption", [None, Interruption.KILLED_AFTER, Interruption.LOST_REPLY])
@pytest.mark.parametrize("scenario", REPEATED)
def test_two_controllers_at_once_are_as_good_as_one(scenario: str, interruption: Interruption | None) -> None:
    """engine:HAZ-03, HAZ-31, ENG-07: an old leader that does not know it yet. Status is compare-and-swap, effects are idempotent."""
    play(SCENARIOS[scenario], Wire(interruption, range(6, 10_000, 7)), controllers=2)
