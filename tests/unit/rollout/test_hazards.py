"""The ordering hazards of Flagger that the core must not have (engine:§13), by the rule that names each."""

from dataclasses import replace

import pytest

from flagger_py.api.status import Phase
from flagger_py.rollout.deadlines import NEW_POD
from flagger_py.rollout.effects import Promote, ScaleTargetToZero, ScaleTargetUp, SetTraffic
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Routes
from tests.unit.rollout.simulation import weighted_plan
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
    lose_effects,
    primary_becomes,
    promoting,
    promotion_failed,
    saying,
    scale_target,
    started,
)
from tests.unit.rollout.watched import Watched


def test_a_weight_is_stored_before_it_is_routed_and_routed_after_a_crash() -> None:
    """engine:HAZ-01."""
    simulation = started()
    simulation.now += simulation.plan.interval
    simulation.watched_step()
    lose_effects(simulation)
    assert (simulation.status.canary_weight, simulation.weight) == (40, 20)
    simulation.settle()
    assert simulation.weight == 40
    simulation.advance(9)
    assert simulation.phase() is Phase.PROGRESSING, "the weight has not been live for an interval"
    simulation.advance(1)
    assert simulation.phase() is not Phase.PROGRESSING


def test_a_restart_waits_for_what_remains_of_the_step() -> None:
    """engine:HAZ-06, RST-01, RST-04: a crash loop rushes nothing."""
    simulation = started()
    for _ in range(9):
        simulation.crash()
        simulation.advance(1)
    assert simulation.weight == 20
    assert asked(simulation, QuestionKind.ANALYSIS) == 0
    simulation.advance(1)
    assert simulation.weight == 40


def test_the_intent_to_promote_is_stored_first_and_the_primary_rolls_once() -> None:
    """engine:HAZ-09: a crash between the write to the primary and the status is no second promotion, and no rollback of half of one."""
    simulation = started()
    simulation.advance()
    simulation.now += simulation.plan.interval
    simulation.watched_step()
    lose_effects(simulation, kept=0)
    assert simulation.record.promoting
    assert simulation.primary_revision == ONE
    simulation.new_primary_readiness = NOT_READY
    lose_effects(simulation, kept=9)
    assert (simulation.primary_revision, simulation.phase()) == (TWO, Phase.PROGRESSING)
    primary_becomes(simulation, DEAD)
    decision = simulation.watched_step()
    assert simulation.phase() is Phase.PROMOTING
    assert not any(isinstance(effect, Promote) for effect in decision.effects)
    assert SetTraffic not in {type(effect) for effect in decision.effects} or simulation.routes != ALL_PRIMARY


@pytest.mark.parametrize("live", [Routes(100, 0), Routes(70, 30), Routes(0, 100)], ids=str)
def test_a_staged_promotion_goes_on_from_any_weight_on_the_routes(live: Routes) -> None:
    """engine:HAZ-10, WGT-10: also when they were set to 100/0 before the phase was written."""
    simulation = promoting(Ready(), step_weight_promotion=20)
    assert simulation.phase() is Phase.PROMOTING
    simulation.routes = live
    for _ in range(4):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.routes == ALL_PRIMARY


def test_a_revision_set_after_a_failure_is_not_lost_when_its_start_fails() -> None:
    """engine:HAZ-11, ISS-02, workloads:CHG-08."""
    simulation = started(saying(analysis=False))
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is Phase.FAILED
    simulation.answer = saying()
    simulation.release(THREE)
    primary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.crash()
    assert simulation.phase() is Phase.FAILED
    assert simulation.record.revision == TWO, "the new one is recorded when its run is"
    primary_becomes(simulation, Ready())
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING
    assert simulation.record.revision == THREE


def test_a_new_revision_may_repair_a_dead_primary() -> None:
    """engine:HAZ-12, ST-07."""
    simulation = initialised()
    primary_becomes(simulation, DEAD)
    simulation.release(TWO)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING
    assert simulation.weight == 20, "traffic moves to the version that is ready"
    simulation.new_primary_readiness = Ready()
    for _ in range(4):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED


@pytest.mark.parametrize("primary", [NOT_READY, DEAD], ids=["not ready", "dead"])
def test_while_the_first_primary_is_not_ready_neither_target_nor_routes_are_touched(primary: object) -> None:
    """engine:HAZ-13, ST-02, ST-03, workloads:GEN-17."""
    simulation = Watched(answer=saying(), new_primary_readiness=primary)  # type: ignore[arg-type]  # pytest knows objects only
    simulation.settle()
    simulation.advance(100)
    assert simulation.phase() is Phase.INITIALIZING
    assert simulation.target
    assert simulation.target.replicas == 2
    assert not simulation.services.apex
    assert not isinstance(simulation.routes, Routes)


def test_a_newer_revision_replaces_a_first_primary_that_does_not_come_up() -> None:
    """engine:HAZ-13: it serves nobody yet, and nobody has to delete it by hand. One that is adopted is left alone."""
    simulation = Watched(answer=saying(), new_primary_readiness=DEAD)
    simulation.settle()
    simulation.new_primary_readiness = Ready()
    simulation.release(TWO)
    lose_effects(simulation)
    assert (simulation.primary_revision, simulation.record.revision) == (ONE, TWO)
    simulation.settle()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.INITIALIZED, TWO)
    assert not simulation.record.promoting


def test_every_rollback_says_its_cause() -> None:
    """engine:HAZ-14, RB-03."""
    simulation = started()
    canary_becomes(simulation, DEAD)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.record.outcome
    assert "progress deadline" in simulation.record.outcome.reason
    assert any("Rolling back" in message and "progress deadline" in message for message in simulation.messages)


@pytest.mark.parametrize("stages", [0, 20], ids=["one jump", "in stages"])
def test_a_canary_that_dies_after_the_promotion_does_not_undo_it(stages: int) -> None:
    """engine:HAZ-15, ST-15: what the primary carries is promoted, and a revert of it is a new run."""
    simulation = promoting(NOT_READY, step_weight_promotion=stages)
    canary_becomes(simulation, DEAD)
    simulation.settle()
    assert simulation.phase() is Phase.PROMOTING
    primary_becomes(simulation, Ready())
    simulation.settle()
    assert simulation.routes == ALL_PRIMARY, "a dead canary keeps nothing until its stage comes"
    simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.record.promoted_revision == TWO
    canary_becomes(simulation, Ready())
    simulation.release(ONE)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING


def test_a_skipped_analysis_does_not_take_the_canary_away_from_under_a_broken_primary() -> None:
    """engine:HAZ-16, SKIP-04."""
    simulation = initialised(skip_analysis=True)
    simulation.new_primary_readiness = DEAD
    simulation.release(TWO)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.routes == ALL_CANARY
    assert simulation.target
    assert simulation.target.replicas == 2


def test_a_revision_that_comes_right_before_the_promotion_is_not_promoted_untested() -> None:
    """engine:HAZ-17, REV-02, workloads:DEP-06."""
    simulation = started()
    simulation.advance()
    simulation.now += simulation.plan.interval
    simulation.watched_step()
    lose_effects(simulation)
    assert simulation.record.promoting
    simulation.release(THREE)
    simulation.settle()
    assert simulation.primary_revision == ONE
    assert (simulation.record.revision, simulation.record.promoting) == (THREE, False)


def test_after_a_failed_promotion_the_canary_is_the_stable_version() -> None:
    """engine:HAZ-19, ST-17, ISS-13, workloads:RDY-12: the next revision runs, and nothing goes to the broken primary."""
    simulation = promotion_failed()
    simulation.release(THREE)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING
    simulation.advance(5)
    assert simulation.routes == ALL_CANARY
    simulation.new_primary_readiness = Ready()
    for _ in range(3):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.primary_revision == THREE
    assert not simulation.record.serving_canary
    assert simulation.routes == ALL_PRIMARY


def test_a_revision_that_fails_while_the_canary_serves_is_not_called_promoted_when_the_primary_recovers() -> None:
    """engine:HAZ-19: the primary comes back with what it carries, and the failed revision stays failed."""
    simulation = promotion_failed()
    simulation.answer = saying(analysis=False)
    simulation.release(THREE)
    for _ in range(3):
        simulation.advance()
    assert simulation.phase() is Phase.FAILED
    assert simulation.routes == ALL_CANARY
    primary_becomes(simulation, Ready())
    simulation.advance()
    assert simulation.phase() is Phase.FAILED
    assert simulation.routes == ALL_PRIMARY
    assert (simulation.record.revision, simulation.record.promoted_revision, simulation.primary_revision) == (THREE, TWO, TWO)
    assert simulation.target
    assert simulation.target.replicas == 0


def test_a_run_ends_with_the_canary_serving_only_when_it_is_seen_to_serve() -> None:
    """engine:HAZ-19: somebody has sent the traffic to the broken primary by hand. Found by the exhaustive search."""
    simulation = promotion_failed()
    simulation.release(THREE)
    simulation.settle()
    simulation.answer = saying(rollback=True)
    simulation.plan = replace(simulation.plan, hooks=frozenset({QuestionKind.ROLLBACK}))
    simulation.now += simulation.plan.interval
    simulation.watched_step()
    simulation.routes = ALL_PRIMARY
    simulation.watched_step()
    assert simulation.phase() is Phase.PROGRESSING
    simulation.settle()
    assert (simulation.phase(), simulation.routes) == (Phase.FAILED, ALL_CANARY)


def test_a_primary_that_recovers_while_the_canary_drains_gets_its_traffic_back() -> None:
    """engine:HAZ-19: Finalising does not wait for ever for traffic that was sent to the canary meanwhile."""
    simulation = promoting(Ready())
    assert simulation.phase() is Phase.FINALISING
    primary_becomes(simulation, DEAD)
    lose_effects(simulation)
    assert simulation.status.canary_weight == 100
    primary_becomes(simulation, Ready())
    simulation.settle()
    simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.routes == ALL_PRIMARY


def test_a_weight_between_two_steps_goes_to_the_next_one() -> None:
    """engine:HAZ-22, WGT-08, SPC-01: a list edited in the middle of a run is no jump to 100 %."""
    simulation = started(steps=(20, 40, 80), max_weight=80)
    simulation.plan = weighted_plan(steps=(5, 30, 60), max_weight=60)
    seen = []
    while simulation.phase() is Phase.PROGRESSING:
        simulation.advance()
        seen.append(simulation.weight)
    assert seen == [30, 60, 0]


def test_a_target_that_somebody_scales_to_zero_is_scaled_up_and_gets_no_more_traffic_meanwhile() -> None:
    """engine:HAZ-25, WL-02: no pods are not ready pods."""
    simulation = started()
    scale_target(simulation, 0)
    decision = simulation.watched_step()
    assert ScaleTargetUp() in decision.effects
    canary_becomes(simulation, NOT_READY)
    simulation.advance(20)
    assert simulation.weight == 20
    assert simulation.status.failed_checks == 0
    canary_becomes(simulation, Ready())
    simulation.advance()
    assert simulation.weight == 40


def test_users_who_meet_no_pod_do_not_wait_for_the_progress_deadline() -> None:
    """design:§4, workloads:RDY-11: dead pods end the run; Flagger leaves their share of users without service for ten minutes."""
    simulation = started()
    canary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.advance(NEW_POD.total_seconds() - 1)
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 20)
    simulation.advance(1)
    assert (simulation.phase(), simulation.routes) == (Phase.FAILED, ALL_PRIMARY)


def test_one_pod_that_serves_is_enough_to_wait_for_the_others() -> None:
    """workloads:RDY-11: weights are kept while a rolling restart goes on."""
    simulation = started()
    canary_becomes(simulation, NOT_READY)
    assert simulation.target
    simulation.target = replace(simulation.target, available=1)
    simulation.settle()
    simulation.advance(NEW_POD.total_seconds() + 10)
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 20)


def test_a_target_that_is_scaled_to_zero_again_and_again_ends_the_run() -> None:
    """engine:HAZ-25: a run without pods reaches its deadline."""
    simulation = started()
    for _ in range(8):
        simulation.now += simulation.plan.interval
        scale_target(simulation, 0)
        simulation.watched_step()
    scale_target(simulation, 0)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.routes == ALL_PRIMARY


def test_a_crash_before_the_canary_is_started_costs_time_only() -> None:
    """engine:HAZ-28, ACC-18: its deadline begins with its pods, however long no controller runs."""
    simulation = initialised()
    simulation.release(TWO)
    lose_effects(simulation)
    lose_effects(simulation)
    simulation.advance(100)
    simulation.advance()
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 40)


def test_a_run_that_ends_for_want_of_pods_starts_none() -> None:
    """engine:HAZ-25, RB-05: no pods are left over."""
    simulation = started()
    scale_target(simulation, 0)
    simulation.applied, simulation.lose_from = 0, 0
    simulation.watched_step()
    simulation.now += 2 * simulation.plan.progress_deadline
    simulation.lose_from = None
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.target
    assert simulation.target.replicas == 0


def test_pods_that_somebody_starts_while_nothing_is_rolled_out_are_reported_and_left_alone() -> None:
    """engine:HAZ-25."""
    simulation = initialised()
    scale_target(simulation, 3)
    decision = simulation.watched_step()
    assert ScaleTargetToZero() not in decision.effects
    assert decision.status is simulation.status, "nothing to store"
    assert any("scaled to 3 while nothing is rolled out" in message for message in simulation.messages)


def test_the_confirm_rollout_gate_is_told_the_revision_it_is_asked_about() -> None:
    """engine:HAZ-26, HOOK-03: not the one before it."""
    simulation = started(saying(confirm_rollout=False), hooks=EVERY_HOOK)
    gate = next(question for question in simulation.asked if question.key.kind is QuestionKind.CONFIRM_ROLLOUT)
    simulation.answer = saying()
    simulation.advance()
    later = next(question for question in simulation.asked if question.key.kind is QuestionKind.PRE_ROLLOUT)
    assert gate.checksum == later.checksum
    assert gate.revision == ONE, "the old one goes with it"


@pytest.mark.parametrize("passes", [True, False], ids=["promoted", "rolled back"])
def test_post_rollout_hooks_that_were_not_called_before_a_crash_are_called_after_it(passes: bool) -> None:
    """engine:HAZ-27, ST-30, RST-03: with the phase that they are about, even when the next run has begun."""
    simulation = started(saying(analysis=passes, post_rollout=None), hooks=EVERY_HOOK)
    for _ in range(4):
        simulation.advance()
    ended = simulation.phase()
    assert ended is (Phase.SUCCEEDED if passes else Phase.FAILED)
    assert simulation.record.outbox
    simulation.crash()
    simulation.release(THREE)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING
    simulation.answer = saying()
    simulation.settle()
    told = [question.phase for question in simulation.asked if question.key.kind is QuestionKind.POST_ROLLOUT]
    assert len(told) >= 2
    assert set(told) == {ended}
    assert not simulation.record.outbox


def test_a_slow_post_rollout_hook_is_not_called_again_at_each_step_of_the_next_run() -> None:
    """engine:HAZ-27, HAZ-39."""
    simulation = started(saying(post_rollout=None), hooks=EVERY_HOOK)
    for _ in range(4):
        simulation.advance()
    simulation.release(THREE)
    for _ in range(3):
        simulation.advance()
    assert asked(simulation, QuestionKind.POST_ROLLOUT) == 1


def test_what_a_repeated_pass_tells_has_the_same_key() -> None:
    """engine:HAZ-28: so that it is no second Event, while a step of the rollback keeps failing."""
    simulation = started()
    canary_becomes(simulation, DEAD)
    simulation.lose_from = 0
    for _ in range(4):
        simulation.watched_step()
    told = [(notice.key, notice.message) for decision in simulation.decisions for notice in decision.notices if "Rolling" in notice.message]
    assert len(set(told)) == 1
    assert simulation.phase() is Phase.PROGRESSING, "the phase states what has been seen"


def test_a_rollback_is_urgent_and_repeated_until_it_is_seen() -> None:
    """engine:HAZ-37, RB-02."""
    simulation = started()
    canary_becomes(simulation, DEAD)
    for _ in range(3):
        simulation.applied, simulation.lose_from = 0, 0
        decision = simulation.watched_step()
        assert [effect.urgent for effect in decision.effects if isinstance(effect, SetTraffic)] == [True]
        assert decision.retry
    simulation.lose_from = None
    simulation.settle()
    assert simulation.routes == ALL_PRIMARY


@pytest.mark.parametrize("slow", ["analysis", "pre_rollout", "confirm_traffic_increase", "confirm_promotion"])
def test_a_hook_that_never_answers_delays_no_rollback(slow: str) -> None:
    """engine:HAZ-39, HOOK-12: neither of a dead canary, nor by a rollback hook, nor a newer revision."""
    by_death, by_hook, by_release = (started(saying(**{slow: None}), hooks=EVERY_HOOK) for _ in range(3))
    for simulation in (by_death, by_hook, by_release):
        simulation.advance(25)
        assert simulation.phase() is Phase.PROGRESSING
    canary_becomes(by_death, DEAD)
    by_death.settle()
    assert by_death.phase() is Phase.FAILED
    by_hook.answer = saying(rollback=True, **{slow: None})
    by_hook.advance(10)
    assert by_hook.phase() is Phase.FAILED
    by_release.release(THREE)
    by_release.settle()
    assert by_release.record.revision == THREE


def test_a_reached_threshold_rolls_back_although_the_canary_is_not_ready() -> None:
    """engine:HAZ-40, ST-19, ISS-05: a threshold that is lowered counts at once, too."""
    simulation = started(saying(analysis=False), threshold=3)
    simulation.advance()
    assert simulation.status.failed_checks == 1
    canary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.plan = replace(simulation.plan, threshold=1)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED


@pytest.mark.parametrize("held_by", ["unready pods", "a closed gate", "an unready primary"])
def test_rollback_hooks_are_heard_whatever_holds_the_run(held_by: str) -> None:
    """engine:HAZ-40, ISS-08, RB-04."""
    simulation = started(saying(confirm_traffic_increase=held_by != "a closed gate"), hooks=EVERY_HOOK)
    if held_by == "unready pods":
        canary_becomes(simulation, NOT_READY)
    if held_by == "an unready primary":
        primary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.answer = saying(rollback=True, confirm_traffic_increase=False)
    simulation.advance(5)
    assert simulation.record.outcome is None, "asked once in an interval"
    simulation.advance(5)
    primary_becomes(simulation, Ready())
    simulation.settle()
    assert simulation.phase() is Phase.FAILED


def test_a_restart_gives_an_unready_primary_no_traffic() -> None:
    """engine:HAZ-41, ISS-12: the weights stay where they are until it is ready."""
    simulation = started()
    simulation.advance()
    primary_becomes(simulation, NOT_READY)
    simulation.release(THREE)
    simulation.settle()
    assert simulation.record.revision == THREE
    assert simulation.weight == 40
    primary_becomes(simulation, Ready())
    weights = []
    for _ in range(4):
        simulation.watched_step()
        weights.append(simulation.weight)
    assert 0 in weights
    simulation.settle()
    assert simulation.weight == 20
