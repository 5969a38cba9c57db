"""When a step is over: clocks across restarts, skew, routes that are not live, deadlines, suspension and freeze (design §4, engine:§8)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flagger_py.api.rollout_record import DesiredRoutes, RolloutRecord
from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.conditions import find
from flagger_py.rollout.effects import SetTraffic
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import ALL_PRIMARY, Pending, Routes
from flagger_py.rollout.world import Fault
from tests.unit.rollout.simulation import SECOND
from tests.unit.rollout.situations import (
    DEAD,
    EVERY_HOOK,
    NOT_READY,
    TWO,
    asked,
    canary_becomes,
    initialised,
    primary_becomes,
    saying,
    scale_target,
    started,
)
from tests.unit.rollout.watched import Watched

NOT_TAKEN = Pending("HTTPRoute test/web: parent gateway has not seen generation 3 yet")


def checks(simulation: Watched) -> int:
    return asked(simulation, QuestionKind.ANALYSIS)


@pytest.mark.parametrize("ahead", [timedelta(seconds=30), timedelta(days=2)], ids=["seconds", "days"])
def test_a_clock_that_was_ahead_delays_a_step_by_one_interval_at_most(ahead: timedelta) -> None:
    """engine:RST-04, design §4: the remaining time after a restart is 0 to one interval."""
    simulation = started()
    simulation.now -= ahead
    simulation.settle()
    simulation.advance(10)
    assert simulation.weight == 40


def test_a_clock_that_was_ahead_delays_no_deadline_and_no_poll_of_a_gate() -> None:
    """engine:RST-04, workloads:RDY-10."""
    simulation = started(saying(confirm_traffic_increase=False), hooks=EVERY_HOOK)
    polls = asked(simulation, QuestionKind.CONFIRM_TRAFFIC_INCREASE)
    canary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.now -= timedelta(days=1)
    simulation.crash()
    simulation.settle()
    canary_becomes(simulation, Ready())
    simulation.settle()
    simulation.advance(10)
    assert asked(simulation, QuestionKind.CONFIRM_TRAFFIC_INCREASE) > polls
    canary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.now -= timedelta(days=1)
    simulation.settle()
    simulation.advance(61)
    assert simulation.phase() is Phase.FAILED


def test_no_check_is_made_before_an_edited_weight_has_been_live_again_for_an_interval() -> None:
    """design §4: the clock stops in status before the repair."""
    simulation = started()
    simulation.advance(9)
    simulation.routes = Routes(100, 0)
    decision = simulation.watched_step()
    assert decision.status.rollout
    assert decision.status.rollout.step_started_at is None
    assert any(isinstance(effect, SetTraffic) for effect in decision.effects)
    simulation.settle()
    simulation.advance(9)
    assert (simulation.weight, checks(simulation)) == (20, 0)
    simulation.advance(1)
    assert checks(simulation) == 1
    assert any("instead of 80/20" in message for message in simulation.messages)


def test_an_edit_that_cannot_be_repaired_yet_is_written_once() -> None:
    """A pass that wakes itself by what it writes would spin: the canary is not ready, so that its weight cannot be raised again."""
    simulation = started()
    canary_becomes(simulation, NOT_READY)
    simulation.routes = Routes(100, 0)
    simulation.settle()
    simulation.now += SECOND
    decision = simulation.watched_step()
    assert decision.status is simulation.status
    assert decision.retry


def test_a_dead_canary_is_noticed_although_somebody_keeps_editing_the_routes() -> None:
    """engine:RB-01."""
    simulation = started()
    simulation.routes = Routes(50, 50)
    canary_becomes(simulation, DEAD)
    simulation.watched_step()
    assert simulation.record.outcome


def test_no_check_is_made_before_the_gateway_has_taken_the_weight_for_an_interval() -> None:
    """routers:GW-15."""
    simulation = started()
    simulation.routes, simulation.is_gateway_slow = NOT_TAKEN, True
    simulation.settle()
    simulation.advance(25)
    assert (simulation.phase(), checks(simulation)) == (Phase.PROGRESSING, 0)
    simulation.routes, simulation.is_gateway_slow = Routes(80, 20), False
    simulation.settle()
    simulation.advance(9)
    assert checks(simulation) == 0
    simulation.advance(1)
    assert checks(simulation) == 1


def test_no_check_is_made_before_a_weight_that_was_routed_late_has_been_live_for_an_interval() -> None:
    """design §3: the API server answered slowly between the status and the route. Found by the crash suite."""
    simulation = started()
    simulation.routes_changed_at = simulation.now + SECOND
    simulation.advance(10)
    assert (simulation.weight, checks(simulation)) == (20, 0)
    simulation.advance(1)
    assert checks(simulation) == 1


def test_a_staged_promotion_keeps_each_stage_for_an_interval_although_it_was_routed_late() -> None:
    """design §3, engine:WGT-10."""
    simulation = started(step_weight_promotion=30)
    simulation.advance()
    simulation.advance()
    assert (simulation.phase(), simulation.weight) == (Phase.PROMOTING, 10)
    simulation.routes_changed_at = simulation.now + SECOND
    simulation.advance(10)
    assert simulation.weight == 10
    simulation.advance(1)
    assert simulation.weight == 0


def test_a_gateway_that_is_quick_costs_no_status_write() -> None:
    """design §9: one status patch per step."""
    simulation = started()
    before = simulation.status
    simulation.routes, simulation.is_gateway_slow = NOT_TAKEN, True
    simulation.watched_step()
    simulation.routes = Routes(80, 20)
    simulation.watched_step()
    assert simulation.status is before


@pytest.mark.parametrize("version", ["canary", "primary"])
def test_missing_routes_are_made_only_for_versions_that_are_ready(version: str) -> None:
    """A route that somebody deleted: nothing is sent to pods that are not ready."""
    simulation = started()
    simulation.routes = Pending("HTTPRoute test/web does not exist yet")
    (canary_becomes if version == "canary" else primary_becomes)(simulation, NOT_READY)
    assert not any(isinstance(effect, SetTraffic) for effect in simulation.watched_step().effects)
    (canary_becomes if version == "canary" else primary_becomes)(simulation, Ready())
    simulation.settle()
    assert simulation.weight == 20


def test_a_canary_that_recovers_before_its_deadline_starts_a_new_deadline() -> None:
    """workloads:RDY-04, RDY-11, engine:ST-14."""
    simulation = started(steps=tuple(range(10, 100, 10)), max_weight=90)
    for _ in range(3):
        canary_becomes(simulation, NOT_READY)
        simulation.settle()
        simulation.advance(25)
        assert simulation.phase() is Phase.PROGRESSING
        canary_becomes(simulation, Ready())
        simulation.settle()
    canary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.crash()
    simulation.advance(60)
    assert simulation.phase() is Phase.FAILED


def test_a_primary_that_is_not_ready_holds_a_run_and_one_that_stays_so_does_not() -> None:
    """engine:ST-16, HAZ-12, workloads:RDY-12: after its deadline the ready canary goes on."""
    simulation = started()
    primary_becomes(simulation, NOT_READY)
    simulation.settle()
    simulation.advance(59)
    assert simulation.weight == 20
    simulation.new_primary_readiness = Ready()
    simulation.advance(2)
    for _ in range(4):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED


def test_a_primary_without_pods_gets_no_traffic_back() -> None:
    """workloads:RDY-06: zero pods are not ready in a run."""
    simulation = started()
    assert simulation.primary
    simulation.primary = replace(simulation.primary, replicas=0, available=0)
    canary_becomes(simulation, DEAD)
    simulation.settle()
    assert simulation.weight == 20


def test_suspension_keeps_everything_where_it_is_and_is_told_once() -> None:
    """engine:SUS-01, SUS-02, ST-33: no compensation for the time that went by."""
    simulation = started(hooks=EVERY_HOOK)
    simulation.plan = replace(simulation.plan, suspended=True)
    before, asked_before = simulation.status, len(simulation.asked)
    for _ in range(5):
        simulation.routes = Routes(70, 30)
        simulation.advance()
    assert (simulation.status, simulation.routes, len(simulation.asked)) == (before, Routes(70, 30), asked_before)
    keys = {notice.key for decision in simulation.decisions for notice in decision.notices if "suspended" in notice.message}
    assert len(keys) == 1
    simulation.plan = replace(simulation.plan, suspended=False)
    simulation.settle()
    assert simulation.routes == Routes(80, 20)
    simulation.advance()
    assert simulation.weight == 40


def test_a_canary_that_is_created_suspended_begins_when_it_is_resumed() -> None:
    """engine:SUS-03."""
    simulation = Watched(answer=saying())
    simulation.plan = replace(simulation.plan, suspended=True)
    simulation.settle()
    assert simulation.primary is None
    simulation.plan = replace(simulation.plan, suspended=False)
    simulation.settle()
    assert simulation.phase() is Phase.INITIALIZED


def test_a_frozen_controller_holds_runs_and_starts_none() -> None:
    """design §6: one switch."""
    running, idle = started(), initialised()
    idle.release(TWO)
    for simulation in (running, idle):
        simulation.frozen = True
        before = simulation.status
        simulation.advance(100)
        assert simulation.status == before
        simulation.frozen = False
        simulation.settle()
    assert running.weight == 40
    assert idle.phase() is Phase.PROGRESSING


def test_a_start_that_must_wait_for_others_is_looked_at_again() -> None:
    """design §6, ISS-18."""
    simulation = initialised()
    simulation.may_start = False
    simulation.release(TWO)
    decision = simulation.watched_step()
    assert decision.retry
    assert simulation.phase() is Phase.INITIALIZED
    simulation.may_start = True
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING


def test_an_invalid_spec_holds_a_run_where_it_is() -> None:
    """engine:HAZ-04, VAL-25: told as a condition; it goes when the spec is mended."""
    simulation = started()
    simulation.faults = (Fault(ConditionType.VALID, "Invalid", "spec.analysis.threshold: -1"),)
    simulation.advance(100)
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 20)
    condition = find(simulation.status, ConditionType.VALID)
    assert condition
    assert (condition.status, condition.reason) == ("False", "Invalid")
    simulation.faults = ()
    simulation.settle()
    assert find(simulation.status, ConditionType.VALID) is None


def test_a_failed_effect_is_told_as_a_condition_and_held_against_nothing() -> None:
    """style: a failed effect is an observation of the next pass."""
    simulation = started()
    simulation.failures = (Fault(ConditionType.ROUTING_READY, "Forbidden", "httproutes: forbidden", retry=True),)
    simulation.watched_step()
    assert find(simulation.status, ConditionType.ROUTING_READY)
    simulation.failures = ()
    simulation.advance()
    assert find(simulation.status, ConditionType.ROUTING_READY) is None
    assert simulation.weight == 40


def test_what_is_settled_is_kept_in_place() -> None:
    """engine:ST-05: an edited route is told and repaired, without any run."""
    simulation = initialised()
    simulation.routes = Routes(50, 50)
    simulation.settle()
    assert simulation.routes == ALL_PRIMARY
    assert simulation.record.desired == DesiredRoutes(primary=100, canary=0)
    assert simulation.record.run == RolloutRecord().run
    scale_target(simulation, 0)
    assert simulation.watched_step().status is simulation.status


@pytest.mark.parametrize(("ahead", "seconds"), [(0, 2), (1, 1), (86400, 0), (-86400, 0)])
def test_the_first_weight_waits_until_gateways_can_have_heard_of_the_pods(ahead: int, seconds: int) -> None:
    """Seen on real Contour and Envoy: requests answered 503, because the weight was there before the endpoints."""
    simulation = initialised()
    simulation.canary_ready_since = simulation.now - timedelta(seconds=ahead)
    simulation.release(TWO)
    simulation.settle()
    if seconds:
        assert (simulation.weight, simulation.decisions[-1].wake_at) == (0, simulation.now + timedelta(seconds=seconds))
        simulation.advance(seconds)
    assert simulation.weight == 20


def test_no_later_weight_waits_for_it() -> None:
    simulation = started()
    simulation.canary_ready_since = simulation.now + timedelta(seconds=9)
    simulation.advance(10)
    assert simulation.weight == 40
