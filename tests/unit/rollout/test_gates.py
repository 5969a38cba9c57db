"""Gates, hooks and counters (engine:§7, §8, §10)."""

from dataclasses import replace

import pytest

from flagger_py.api.status import Phase
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import ALL_PRIMARY
from tests.unit.rollout.simulation import weighted_plan
from tests.unit.rollout.situations import (
    DEAD,
    EVERY_HOOK,
    NOT_READY,
    THREE,
    TWO,
    asked,
    canary_becomes,
    initialised,
    saying,
    started,
)


def test_a_closed_traffic_gate_keeps_the_weight_while_checks_go_on() -> None:
    """engine:GATE-02, ST-23, ISS-06: told once, and pre-rollout hooks are not called again."""
    simulation = started(saying(confirm_traffic_increase=False), hooks=EVERY_HOOK)
    for _ in range(3):
        simulation.advance()
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 0)
    assert asked(simulation, QuestionKind.PRE_ROLLOUT) == 1
    assert asked(simulation, QuestionKind.CONFIRM_TRAFFIC_INCREASE) == 4
    simulation.answer = saying()
    simulation.advance()
    assert simulation.weight == 20
    simulation.answer = saying(confirm_traffic_increase=False)
    for _ in range(3):
        simulation.advance()
    assert simulation.weight == 20
    assert asked(simulation, QuestionKind.ANALYSIS) == 3
    simulation.answer = saying(confirm_traffic_increase=False, analysis=False)
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is Phase.FAILED
    closed = {notice.key for decision in simulation.decisions for notice in decision.notices if "traffic increase" in notice.message}
    assert len(closed) == 2, "each time that it closed"


def test_a_closed_promotion_gate_waits_with_the_traffic_where_it_is_and_is_polled_each_interval() -> None:
    """engine:GATE-03, ST-24, ST-25, ST-26, STS-11, HAZ-24, ISS-03, ANL-14, workloads:ST-02: no counter is abused for it."""
    simulation = started(saying(confirm_promotion=False), hooks=EVERY_HOOK)
    for _ in range(4):
        simulation.advance()
    status = simulation.status
    assert (status.phase, status.canary_weight, status.iterations) == (Phase.WAITING_PROMOTION, 40, 0)
    assert asked(simulation, QuestionKind.CONFIRM_PROMOTION) == 3
    simulation.crash()
    simulation.answer = saying()
    simulation.advance()
    simulation.advance()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, TWO)


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        pytest.param({"analysis": False}, Phase.FAILED, id="engine:ANL-14, ST-22 checks fail"),
        pytest.param({"rollback": True}, Phase.FAILED, id="engine:ST-18 a rollback hook"),
    ],
)
def test_behind_the_promotion_gate_a_run_can_still_end(said: dict[str, bool], ending: Phase) -> None:
    """Checks and rollback hooks are asked as before."""
    simulation = started(saying(confirm_promotion=False), hooks=EVERY_HOOK)
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is Phase.WAITING_PROMOTION
    simulation.answer = saying(confirm_promotion=False, **said)
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is ending
    assert simulation.routes == ALL_PRIMARY


def test_further_steps_behind_the_promotion_gate_are_taken() -> None:
    """engine:SPC-01: the spec has got a higher maxWeight meanwhile."""
    simulation = started(saying(confirm_promotion=False), hooks=EVERY_HOOK)
    simulation.advance()
    simulation.advance()
    simulation.plan = replace(simulation.plan, steps=(20, 40, 60), max_weight=60)
    simulation.answer = saying()
    simulation.advance()
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 60)


@pytest.mark.parametrize("kind", ["confirm_rollout", "confirm_traffic_increase"])
def test_a_gate_that_takes_longer_than_an_interval_is_heard(kind: str) -> None:
    """engine:HOOK-12: the poll under way is not given up for the next one."""
    simulation = started(saying(**{kind: False}), hooks=EVERY_HOOK)
    simulation.answer = saying(**{kind: None})
    simulation.advance(10)
    under_way = dict(simulation.asking)
    simulation.advance(10)
    simulation.advance(10)
    assert simulation.asking == under_way
    simulation.answer = saying()
    simulation.settle()
    assert simulation.weight == 20


def test_a_rollback_hook_that_takes_longer_than_an_interval_is_heard() -> None:
    """engine:HOOK-11, HOOK-12, ISS-08."""
    simulation = started(saying(rollback=None), hooks=EVERY_HOOK)
    simulation.advance(10)
    simulation.advance(10)
    simulation.advance(10)
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 20), "no step without its answer"
    assert asked(simulation, QuestionKind.ROLLBACK) == 1
    simulation.answer = saying(rollback=True)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED


def test_gates_are_asked_again_after_a_crash_and_never_answered_from_another_step() -> None:
    """design §5: at least once."""
    simulation = started(hooks=EVERY_HOOK)
    simulation.now += simulation.plan.interval
    simulation.watched_step()
    stale = dict(simulation.answers)
    simulation.settle()
    assert simulation.weight == 40
    assert not set(stale) & set(simulation.answers)


def test_failed_checks_count_once_each_and_stay_below_the_threshold_until_it_ends_the_run() -> None:
    """engine:ANL-01, ANL-10, ANL-11, STS-10, ST-22: traffic does not move meanwhile; a success takes nothing back."""
    simulation = started(saying(analysis=False), threshold=3)
    simulation.advance()
    simulation.crash()
    simulation.settle()
    assert (simulation.status.failed_checks, simulation.weight) == (1, 20)
    simulation.answer = saying()
    simulation.advance()
    assert (simulation.status.failed_checks, simulation.weight) == (1, 40)
    simulation.answer = saying(analysis=False)
    simulation.advance()
    assert (simulation.status.failed_checks, simulation.weight) == (2, 40)
    simulation.advance()
    assert (simulation.phase(), simulation.status.failed_checks) == (Phase.FAILED, 0)


def test_pre_rollout_failures_share_the_counter_and_are_repeated_once_an_interval() -> None:
    """engine:ST-20, ANL-12."""
    simulation = started(saying(pre_rollout=False), hooks=EVERY_HOOK)
    assert (simulation.status.failed_checks, simulation.weight) == (1, 0)
    simulation.advance(9)
    assert asked(simulation, QuestionKind.PRE_ROLLOUT) == 1
    simulation.advance(1)
    assert simulation.phase() is Phase.FAILED
    assert simulation.routes == ALL_PRIMARY


def test_the_first_step_makes_no_check() -> None:
    """engine:ST-21, ANL-13, WGT-06: k steps, k checks."""
    simulation = started(hooks=EVERY_HOOK)
    assert (simulation.weight, asked(simulation, QuestionKind.ANALYSIS)) == (20, 0)
    for _ in range(4):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert asked(simulation, QuestionKind.ANALYSIS) == 2


def test_not_ready_pods_and_closed_gates_count_as_no_failure() -> None:
    """engine:ANL-12, ST-14."""
    simulation = started(saying(confirm_traffic_increase=False), hooks=EVERY_HOOK)
    canary_becomes(simulation, NOT_READY)
    simulation.advance(40)
    canary_becomes(simulation, Ready())
    simulation.advance()
    assert simulation.status.failed_checks == 0


def test_skipped_analysis_asks_the_confirm_rollout_gate_only() -> None:
    """engine:SKIP-01, ACC-09, ACC-10, ST-31."""
    simulation = initialised(skip_analysis=True, hooks=EVERY_HOOK)
    simulation.release(TWO)
    simulation.settle()
    simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    kinds = {question.key.kind for question in simulation.asked} - {QuestionKind.AVAILABILITY}
    assert kinds == {QuestionKind.CONFIRM_ROLLOUT, QuestionKind.POST_ROLLOUT}


def test_a_dead_canary_is_rolled_back_although_the_analysis_is_skipped() -> None:
    """engine:SKIP-01, ACC-09: the primary is not touched."""
    simulation = initialised(skip_analysis=True)
    simulation.release(TWO)
    simulation.watched_step()
    canary_becomes(simulation, DEAD)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.primary_revision != TWO


def test_skipping_that_is_switched_on_in_a_run_promotes_it() -> None:
    """engine:SKIP-03, ST-31: unless a newer revision is there."""
    simulation = started()
    simulation.plan = replace(simulation.plan, skip_analysis=True)
    simulation.settle()
    simulation.advance()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, TWO)
    simulation.release(THREE)
    simulation.settle()
    simulation.advance()
    assert simulation.primary_revision == THREE


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        pytest.param({"max_weight": 20}, [0, 0], id="engine:SPC-01 maxWeight lowered to where the traffic is"),
        pytest.param({"steps": (10, 15, 30), "max_weight": 30}, [30, 0], id="engine:HAZ-22 other steps"),
        pytest.param({"threshold": 1}, [40, 0], id="engine:SPC-01 threshold lowered without a failure"),
        pytest.param({"interval": weighted_plan().interval * 3}, [20, 20], id="engine:SPC-02 interval made longer"),
        pytest.param({"step_weight_promotion": 10}, [40, 30], id="engine:SPC-01 a staged promotion"),
    ],
)
def test_edits_of_the_spec_count_from_the_next_pass_on(changes: dict[str, object], seen: list[int]) -> None:
    """engine:SPC-01: no run is started or restarted by them."""
    simulation = started()
    run = simulation.record.run
    simulation.plan = replace(simulation.plan, **changes)  # type: ignore[arg-type]  # names are checked by replace itself
    weights = []
    for _ in range(2):
        simulation.advance()
        weights.append(simulation.weight)
    assert (weights, simulation.record.run) == (seen, run)
