"""Autoscalers in decisions: who has the say when, and a primary that is raised before traffic goes back to it (workloads:§4)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flagger_py.api.status import Phase
from flagger_py.rollout.deadlines import LONGEST_RAISE
from flagger_py.rollout.effects import (
    KeepPrimaryScaler,
    PauseScaler,
    RaisePrimary,
    ResumeScaler,
    ScaleTargetToZero,
    ScaleTargetUp,
    SetTraffic,
)
from flagger_py.rollout.readiness import Dead, NotReady, Ready
from flagger_py.rollout.scaling import HOLD
from flagger_py.rollout.traffic import Routes
from flagger_py.rollout.views import CopyState, ReplicaLimits, ScalerView
from tests.unit.rollout.simulation import weighted_plan
from tests.unit.rollout.situations import THREE, TWO, saying
from tests.unit.rollout.watched import Watched

HPA = ScalerView(
    ref="HorizontalPodAutoscaler/web",
    digest="d",
    copy=CopyState.MISSING,
    wanted=ReplicaLimits(2, 10),
    start_replicas=2,
)
KEDA = replace(HPA, ref="ScaledObject/web", is_paused=False)


def scaled(scaler: ScalerView = HPA, **plan: Any) -> Watched:
    """Initialised with an autoscaler; the primary has 6 pods."""
    simulation = Watched(plan=weighted_plan(**plan), answer=saying(), scaler=scaler)
    simulation.settle()
    assert simulation.phase() is Phase.INITIALIZED
    set_primary(simulation, 6)
    return simulation


def set_primary(simulation: Watched, replicas: int) -> None:
    """Its autoscaler does it, within its limits."""
    assert simulation.primary
    simulation.primary = replace(simulation.primary, replicas=replicas, available=replicas, readiness=Ready())


def with_canary(scaler: ScalerView = HPA, **plan: Any) -> Watched:
    """Revision two has its last weight, and the primary was shrunk to 3 pods meanwhile."""
    simulation = scaled(scaler, **plan)
    simulation.release(TWO)
    simulation.settle()
    simulation.advance()
    assert simulation.weight == 40
    set_primary(simulation, 3)
    return simulation


def fail_checks(simulation: Watched, seconds: float = 10) -> None:
    simulation.answer = saying(analysis=False)
    simulation.advance(seconds)
    simulation.advance(seconds)


def effects(simulation: Watched, since: int = 0) -> list[object]:
    return [effect for decision in simulation.decisions[since:] for effect in decision.effects]


def test_the_copy_is_made_before_users_go_to_the_primary() -> None:
    """workloads:AS-03"""
    simulation = scaled()
    kinds = [type(effect).__name__ for effect in effects(simulation)]
    assert kinds.index("CreatePrimary") < kinds.index("KeepPrimaryScaler") < kinds.index("EnsureApex")
    assert simulation.record.autoscaler == "HorizontalPodAutoscaler/web"


def test_a_settled_canary_does_nothing() -> None:
    simulation = scaled()
    before = len(simulation.decisions)
    for _ in range(3):
        simulation.advance(60)
    assert {type(effect) for effect in effects(simulation, before)} <= {SetTraffic}


class TestPause:
    def test_keda_is_paused_after_users_went_to_the_primary_and_before_the_target_goes_to_zero(self) -> None:
        """workloads:GEN-18, AS-04"""
        kinds = [type(effect) for effect in effects(scaled(KEDA))]
        assert kinds.index(SetTraffic) < kinds.index(PauseScaler) < kinds.index(ScaleTargetToZero)

    def test_it_is_resumed_before_the_canary_is_started(self) -> None:
        """workloads:AS-04, DEP-08"""
        simulation = scaled(KEDA)
        before = len(simulation.decisions)
        simulation.release(TWO)
        simulation.settle()
        happened = effects(simulation, before)
        assert happened.index(ResumeScaler()) < happened.index(ScaleTargetUp(2))
        assert simulation.scaler.is_paused is False

    def test_it_is_paused_again_whatever_resumed_it_while_nothing_is_rolled_out(self) -> None:
        simulation = scaled(KEDA)
        simulation.scaler = replace(simulation.scaler, is_paused=False)
        simulation.settle()
        assert simulation.scaler.is_paused is True

    def test_after_a_failed_promotion_the_canary_keeps_its_autoscaler(self) -> None:
        """workloads:AS-04"""
        simulation = with_canary(KEDA)
        simulation.new_primary_readiness = Dead("it exceeded its own progress deadline")
        simulation.advance()
        assert (simulation.phase(), simulation.record.serving_canary) == (Phase.FAILED, True)
        simulation.advance(60)
        assert simulation.scaler.is_paused is False

    def test_a_canary_that_cannot_be_paused_keeps_its_pods(self) -> None:
        """Else KEDA would start them again."""
        simulation = with_canary(KEDA)
        simulation.forbidden = frozenset({PauseScaler})
        fail_checks(simulation)
        start_and_settle(simulation)
        assert simulation.target
        assert (simulation.weight, simulation.target.replicas, simulation.phase()) == (0, 2, Phase.PROGRESSING)
        simulation.forbidden = frozenset()
        simulation.settle()
        assert simulation.phase() is Phase.FAILED


def start_and_settle(simulation: Watched) -> None:
    simulation.start_pods()
    simulation.settle()


class TestRaise:
    def test_a_rollback_waits_for_the_pods_that_the_primary_lacks(self) -> None:
        """engine:HAZ-38, workloads:AS-05"""
        simulation = with_canary()
        fail_checks(simulation)
        assert (simulation.weight, simulation.phase()) == (40, Phase.PROGRESSING)
        assert RaisePrimary(6) in effects(simulation)
        assert simulation.scaler.live.least == 6, "its autoscaler may not take them away again"
        start_and_settle(simulation)
        assert (simulation.weight, simulation.phase()) == (0, Phase.FAILED)

    def test_a_rollback_without_room_waits_for_one_interval(self) -> None:
        """workloads:AS-05"""
        simulation = with_canary()
        fail_checks(simulation)
        simulation.advance(9)
        assert simulation.weight == 40
        simulation.advance(2)
        assert (simulation.weight, simulation.phase()) == (0, Phase.FAILED)

    def test_a_rollback_waits_a_minute_at_most(self) -> None:
        simulation = with_canary()
        simulation.plan = replace(simulation.plan, interval=10 * LONGEST_RAISE, progress_deadline=60 * LONGEST_RAISE)
        fail_checks(simulation, seconds=600)
        assert simulation.weight == 40
        simulation.advance(59)
        assert simulation.weight == 40
        simulation.advance(1)
        assert simulation.weight == 0

    def test_a_canary_without_pods_is_left_at_once(self) -> None:
        simulation = with_canary()
        assert simulation.target
        fail_checks(simulation)
        assert simulation.weight == 40
        simulation.target = replace(simulation.target, available=0, readiness=NotReady("0 of 2 pods available"))
        simulation.settle()
        assert simulation.weight == 0

    def test_a_primary_that_was_not_shrunk_gets_its_traffic_at_once(self) -> None:
        simulation = with_canary()
        set_primary(simulation, 6)
        before = len(simulation.decisions)
        fail_checks(simulation)
        assert simulation.phase() is Phase.FAILED
        assert not [effect for effect in effects(simulation, before) if isinstance(effect, RaisePrimary)]

    def test_never_more_than_its_autoscaler_allows(self) -> None:
        simulation = with_canary()
        simulation.scaler = replace(simulation.scaler, live=ReplicaLimits(2, 5), wanted=ReplicaLimits(2, 5))
        fail_checks(simulation)
        assert RaisePrimary(5) in effects(simulation)
        start_and_settle(simulation)
        assert simulation.phase() is Phase.FAILED

    def test_a_newer_revision_leaves_the_traffic_where_it_is_until_the_primary_has_its_pods(self) -> None:
        """engine:HAZ-41"""
        simulation = with_canary()
        simulation.release(THREE)
        simulation.settle()
        assert (simulation.weight, simulation.phase()) == (40, Phase.PROGRESSING)
        start_and_settle(simulation)
        assert simulation.weight == 20, "it began anew, and has its first weight"

    def test_a_promotion_raises_before_it_shifts(self) -> None:
        """workloads:AS-05"""
        simulation = with_canary()
        simulation.advance()
        assert (simulation.phase(), simulation.weight) == (Phase.PROMOTING, 40)
        start_and_settle(simulation)
        assert (simulation.phase(), simulation.weight) == (Phase.FINALISING, 0)

    def test_the_autoscaler_has_the_say_again_after_five_minutes(self) -> None:
        """workloads:AS-05"""
        simulation = with_canary()
        fail_checks(simulation)
        start_and_settle(simulation)
        assert (simulation.scaler.live.least, simulation.record.hold is None) == (6, False)
        simulation.advance(HOLD.total_seconds())
        assert (simulation.scaler.live.least, simulation.record.hold is None) == (2, True)

    def test_without_an_autoscaler_nothing_is_raised(self) -> None:
        simulation = Watched(plan=weighted_plan(), answer=saying())
        simulation.settle()
        simulation.release(TWO)
        simulation.settle()
        fail_checks(simulation)
        assert simulation.phase() is Phase.FAILED
        assert not [effect for effect in effects(simulation) if isinstance(effect, RaisePrimary | KeepPrimaryScaler)]

    def test_a_primary_at_zero_is_started_for_a_run(self) -> None:
        """workloads:RDY-06, KEDA: least replicas 0."""
        simulation = scaled(replace(KEDA, wanted=ReplicaLimits(0, 10)))
        set_primary(simulation, 0)
        simulation.release(TWO)
        simulation.settle()
        assert simulation.primary
        assert simulation.primary.replicas == 1


class TestCopy:
    def test_in_the_middle_of_a_rollout_only_higher_limits_count(self) -> None:
        """workloads:AS-03"""
        simulation = with_canary()
        before = len(simulation.decisions)
        simulation.scaler = replace(simulation.scaler, copy=CopyState.DIFFERS, wanted=ReplicaLimits(1, 3))
        simulation.settle()
        assert not [effect for effect in effects(simulation, before) if isinstance(effect, KeepPrimaryScaler)]
        simulation.scaler = replace(simulation.scaler, wanted=ReplicaLimits(3, 12))
        simulation.settle()
        assert simulation.scaler.live == ReplicaLimits(3, 12)

    def test_the_promotion_brings_it_in_step(self) -> None:
        """workloads:AS-03"""
        simulation = with_canary()
        simulation.scaler = replace(simulation.scaler, copy=CopyState.DIFFERS)
        simulation.advance()
        start_and_settle(simulation)
        assert simulation.scaler.copy is CopyState.IN_STEP

    @pytest.mark.parametrize(("state", "is_written"), [(CopyState.DATED, False), (CopyState.DIFFERS, True), (CopyState.PAUSED, True)])
    def test_settled(self, state: CopyState, *, is_written: bool) -> None:
        """workloads:AS-03, KEDA-03"""
        simulation = scaled()
        before = len(simulation.decisions)
        simulation.scaler = replace(simulation.scaler, copy=state)
        simulation.settle()
        assert bool([effect for effect in effects(simulation, before) if isinstance(effect, KeepPrimaryScaler)]) is is_written

    def test_a_dated_one_is_renewed_by_the_promotion(self) -> None:
        """workloads:KEDA-04, KEDA-05"""
        simulation = with_canary()
        simulation.scaler = replace(simulation.scaler, copy=CopyState.DATED)
        simulation.advance()
        start_and_settle(simulation)
        assert simulation.scaler.copy is CopyState.IN_STEP


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_traffic_never_goes_back_to_a_shrunk_primary_that_could_be_raised(data: st.DataObject) -> None:
    """workloads:AS-05, engine:HAZ-38, HAZ-41: whatever the autoscaler does, and however the run ends."""
    simulation = scaled(data.draw(st.sampled_from([HPA, KEDA])))
    simulation.release(TWO)
    simulation.settle()
    for _ in range(data.draw(st.integers(1, 12))):
        least = simulation.scaler.live.least
        action = data.draw(st.sampled_from(["shrink", "start", "bad", "good", "time", "release", "grow"]))
        before = simulation.routes
        if action == "shrink":
            set_primary(simulation, data.draw(st.integers(least, 6)) if least < 6 else least)
        elif action == "start":
            simulation.start_pods()
        elif action in ("bad", "good"):
            simulation.answer = saying(analysis=action == "good")
        elif action == "release":
            simulation.release(data.draw(st.sampled_from([TWO, THREE])))
        elif action == "grow" and simulation.target and simulation.target.replicas:
            simulation.target = replace(simulation.target, replicas=5, available=5)
        enough = has_enough(simulation)
        simulation.advance(data.draw(st.sampled_from([0, 1])))
        assert enough or not gained(before, simulation.routes), f"{before} to {simulation.routes}"
        simulation.advance(data.draw(st.sampled_from([0, 5, 10])))
    simulation.answer = saying()
    for _ in range(30):
        simulation.start_pods()
        simulation.advance()
    assert simulation.phase() in (Phase.SUCCEEDED, Phase.FAILED)
    assert simulation.weight == 0
    simulation.advance(HOLD.total_seconds() + 1)
    assert simulation.scaler.live == ReplicaLimits(2, 10)
    assert simulation.scaler.is_paused is not False


def has_enough(simulation: Watched) -> bool:
    """Whether traffic may go back in this pass: the pods are there, or have been waited for."""
    hold, primary, target = simulation.record.hold, simulation.primary, simulation.target
    assert primary
    needed = max(simulation.record.primary_replicas, target.replicas if target else 0)
    is_over = hold is not None and simulation.now >= hold.since + simulation.plan.interval
    return primary.replicas >= needed or is_over or (target is not None and target.available < 1)


def gained(before: object, after: object) -> bool:
    """The primary has got traffic from the canary."""
    return isinstance(before, Routes) and isinstance(after, Routes) and after.canary < before.canary
