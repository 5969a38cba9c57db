"""Which revision runs, and what happens to it when others come, go back, or lose what they need (engine:§8, workloads:CHG, CFG)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.conditions import find
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.views import TargetView
from tests.unit.rollout.situations import (
    DEAD,
    EVERY_HOOK,
    NOT_READY,
    ONE,
    THREE,
    TWO,
    asked,
    canary_becomes,
    initialised,
    primary_becomes,
    promoting,
    promotion_failed,
    saying,
    started,
)
from tests.unit.rollout.watched import Watched

BLUE, GREEN = {"configmap/web": "blue"}, {"configmap/web": "green"}


def waiting() -> Watched:
    simulation = started(saying(confirm_rollout=False), hooks=EVERY_HOOK)
    assert simulation.phase() is Phase.WAITING
    return simulation


def failed() -> Watched:
    simulation = started(saying(analysis=False))
    for _ in range(2):
        simulation.advance()
    assert simulation.phase() is Phase.FAILED
    simulation.answer = saying()
    return simulation


def finalising() -> Watched:
    return promoting(Ready())


def rolling() -> Watched:
    return promoting(NOT_READY)


def test_a_new_revision_in_a_run_restarts_it_without_asking_the_gate_again() -> None:
    """engine:REV-01, ST-13, RESTART, workloads:CHG-06."""
    simulation = started(hooks=EVERY_HOOK)
    simulation.answer = saying(confirm_rollout=False)
    simulation.release(THREE)
    simulation.settle()
    assert (simulation.phase(), simulation.record.revision) == (Phase.PROGRESSING, THREE)
    assert asked(simulation, QuestionKind.CONFIRM_ROLLOUT) == 1


@pytest.mark.parametrize("situation", [rolling, finalising])
def test_a_new_revision_waits_for_the_end_of_a_promotion_and_runs_then(situation: Callable[[], Watched]) -> None:
    """engine:REV-01, workloads:CHG-07."""
    simulation = situation()
    simulation.release(THREE)
    simulation.settle()
    primary_becomes(simulation, Ready())
    seen = []
    for _ in range(3):
        simulation.advance(5)
        seen.append(simulation.record.revision)
    assert THREE in seen
    assert simulation.primary_revision == TWO
    assert Phase.SUCCEEDED in {decision.status.phase for decision in simulation.decisions}


def test_the_newest_revision_is_run_when_the_gate_opens() -> None:
    """engine:REV-01, GATE-05."""
    simulation = waiting()
    simulation.release(THREE)
    simulation.settle()
    assert asked(simulation, QuestionKind.CONFIRM_ROLLOUT) == 2, "it is another question"
    simulation.answer = saying()
    simulation.advance()
    assert (simulation.phase(), simulation.record.revision) == (Phase.PROGRESSING, THREE)


def test_a_revert_ends_the_wait() -> None:
    """engine:GATE-05, REV-03."""
    simulation = waiting()
    simulation.release(ONE)
    simulation.settle()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.record.gate is None
    simulation.release(TWO)
    simulation.settle()
    assert simulation.phase() is Phase.WAITING


def test_a_revert_that_is_taken_back_while_the_run_unwinds_is_run_again() -> None:
    """engine:REV-03: neither of the two is silently called promoted."""
    simulation = started()
    simulation.release(ONE)
    simulation.watched_step()
    assert simulation.record.outcome
    simulation.release(THREE)
    simulation.settle()
    assert (simulation.phase(), simulation.record.revision, simulation.record.promoted_revision) == (Phase.PROGRESSING, THREE, ONE)
    simulation.release(ONE)
    simulation.watched_step()
    simulation.release(THREE)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING


def test_a_newer_revision_does_not_wait_behind_a_rollback_that_cannot_end() -> None:
    """engine:HAZ-12: the primary that the traffic waits for may need that revision."""
    simulation = started()
    primary_becomes(simulation, DEAD)
    canary_becomes(simulation, DEAD)
    simulation.settle()
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 20)
    simulation.release(THREE)
    canary_becomes(simulation, Ready())
    simulation.new_primary_readiness = Ready()
    for _ in range(5):
        simulation.advance()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, THREE)


def test_the_revision_that_a_failed_promotion_left_on_the_primary_set_again_is_no_success_yet() -> None:
    """engine:HAZ-19: behind the gate, too, the canary goes on serving."""
    simulation = promotion_failed()
    simulation.plan = replace(simulation.plan, hooks=EVERY_HOOK)
    simulation.answer = saying(confirm_rollout=False)
    simulation.release(THREE)
    simulation.settle()
    assert simulation.phase() is Phase.WAITING
    simulation.release(TWO)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.status.canary_weight == 100


@pytest.mark.parametrize("change", [BLUE, GREEN], ids=["appears", "changes"])
def test_a_config_alone_is_a_revision(change: dict[str, str]) -> None:
    """engine:REV-04, CFG-05, ACC-06, workloads:CFG-11."""
    simulation = Watched(answer=saying(), checksums=BLUE if change is GREEN else {})
    simulation.settle()
    simulation.configure(change["configmap/web"])
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING
    for _ in range(4):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.status.tracked_configs == change


def test_a_config_that_is_set_back_in_its_run_cancels_it() -> None:
    """engine:REV-03, REV-04."""
    simulation = Watched(answer=saying(), checksums=BLUE)
    simulation.settle()
    simulation.configure("green")
    simulation.settle()
    simulation.configure("blue")
    simulation.settle()
    assert simulation.phase() is Phase.SUCCEEDED
    simulation.configure("green")
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING


def test_a_config_that_changes_while_the_primary_is_made_is_a_run_afterwards() -> None:
    """workloads:CFG-08, CFG-11: the primary has the copies of the moment it was created."""
    simulation = Watched(answer=saying(), checksums=BLUE, new_primary_readiness=NOT_READY)
    simulation.settle()
    simulation.configure("green")
    primary_becomes(simulation, Ready())
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING
    assert simulation.status.tracked_configs == GREEN


def test_tracking_that_is_switched_on_later_starts_no_run() -> None:
    """workloads:CFG-14."""
    simulation = Watched(answer=saying(), checksums=None)
    simulation.settle()
    simulation.checksums = BLUE
    simulation.settle()
    assert simulation.phase() is Phase.INITIALIZED


def test_a_moved_hash_of_an_unchanged_target_starts_no_run() -> None:
    """workloads:CHG-02: an upgrade of the controller; also after the target was scaled, and in a run."""
    settled, running = initialised(), started()
    for simulation in (settled, running):
        assert simulation.target
        before, run = simulation.phase(), simulation.record.run
        simulation.target = replace(simulation.target, revision="v2:other-algorithm")
        simulation.settle()
        assert (simulation.phase(), simulation.record.run) == (before, run)
        assert simulation.record.revision == "v2:other-algorithm"
    assert settled.record.promoted_revision == "v2:other-algorithm"
    assert running.record.promoted_revision == ONE
    settled.release(TWO)
    settled.settle()
    assert settled.phase() is Phase.PROGRESSING


@pytest.mark.parametrize("situation", [initialised, waiting, started, rolling, finalising, failed, promotion_failed])
def test_a_deleted_target_is_told_and_survived_in_every_phase(situation: Callable[[], Watched]) -> None:
    """A run ends with the traffic on the primary; the target that is created again is a run if it is another revision."""
    simulation = situation()
    simulation.target = None
    simulation.settle()
    primary_becomes(simulation, Ready())
    simulation.advance(5)
    simulation.advance()
    assert simulation.routes == ALL_PRIMARY or simulation.record.serving_canary
    condition = find(simulation.status, ConditionType.REFERENCES_RESOLVED)
    assert condition
    assert condition.message == "spec.targetRef: Deployment test/web does not exist"
    simulation.answer = saying()
    simulation.target = TargetView("t-2", 1, THREE, 2, 2, Ready())
    for _ in range(6):
        simulation.advance()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, THREE)
    assert find(simulation.status, ConditionType.REFERENCES_RESOLVED) is None


@pytest.mark.parametrize("situation", [initialised, waiting, started, rolling, finalising, failed])
def test_a_deleted_primary_is_restored_in_every_phase_with_what_was_promoted(situation: Callable[[], Watched]) -> None:
    """workloads:DEP-05: never from the target."""
    simulation = situation()
    promoted = simulation.record.promoted_revision
    simulation.primary = None
    simulation.new_primary_readiness = Ready()
    simulation.settle()
    assert simulation.primary
    assert simulation.primary_revision == promoted


def test_a_primary_that_is_deleted_while_a_dead_canary_is_rolled_back_gets_the_traffic_when_it_is_restored() -> None:
    """workloads:DEP-05, engine:RB-01."""
    simulation = started()
    canary_becomes(simulation, DEAD)
    simulation.primary = None
    simulation.new_primary_readiness = NOT_READY
    simulation.settle()
    assert simulation.weight == 20
    primary_becomes(simulation, Ready())
    simulation.settle()
    assert (simulation.phase(), simulation.routes) == (Phase.FAILED, ALL_PRIMARY)


def test_a_dead_canary_ends_a_run_whose_promotion_cannot_be_written() -> None:
    """engine:ST-15: the intent to promote keeps nobody from rolling back while the primary has not been touched."""
    simulation = started()
    simulation.advance()
    simulation.now += simulation.plan.interval
    simulation.watched_step()
    simulation.applied, simulation.lose_from = 0, 0
    simulation.watched_step()
    assert simulation.record.promoting
    canary_becomes(simulation, DEAD)
    simulation.lose_from = None
    simulation.settle()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.FAILED, ONE)


def test_a_target_that_is_made_again_with_the_revision_that_failed_is_not_tried_again() -> None:
    """workloads:CHG-04, CHG-01, DEP-05: it is told, and a primary that is lost afterwards is restored, not made from it."""
    simulation = failed()
    assert simulation.target
    simulation.target = replace(simulation.target, uid="t-2", replicas=2, available=2)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert any("made again with the revision that has failed" in text for text in simulation.messages)
    simulation.primary = None
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.primary_revision == ONE
