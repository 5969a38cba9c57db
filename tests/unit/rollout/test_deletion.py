"""A Canary with `revertOnDeletion` is deleted (engine:§12, workloads:§1.5): what is put back, in which order, and what lets it go."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from flagger_py.api.metadata import FINALIZER, SKIP_REVERT
from flagger_py.api.rollout_record import Deletion
from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.decide import decide
from flagger_py.rollout.deletion import DEADLINE, LONGEST_DRAIN, PREPARATION
from flagger_py.rollout.effects import AddFinalizer, Effect, RemoveFinalizer, RestoreApex, RestoreTarget, RevertRoutes
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.views import Awaited, Lost, RestorationView
from flagger_py.rollout.world import Fault
from tests.unit.rollout.simulation import Simulation
from tests.unit.rollout.situations import (
    DEAD,
    NOT_READY,
    TWO,
    canary_becomes,
    initialised,
    primary_becomes,
    promoting,
    promotion_failed,
    saying,
    started,
)
from tests.unit.rollout.watched import Watched

REVERT = {"revert_on_deletion": True}


def effects(simulation: Simulation) -> list[type[Effect]]:
    """Of the last pass."""
    return [type(effect) for effect in simulation.decisions[-1].effects]


def order(simulation: Simulation) -> list[type[Effect]]:
    """Each kind of effect since the deletion, in the order in which it was first decided."""
    since = next(number for number, decision in enumerate(simulation.decisions) if decision.status.phase is Phase.TERMINATING)
    return list(dict.fromkeys(type(effect) for decision in simulation.decisions[since:] for effect in decision.effects))


def waits(simulation: Watched, seconds: float = 10, passes: int = 8) -> None:
    """Time goes by, and passes are made until all is quiet, or the Canary is gone."""
    simulation.now += timedelta(seconds=seconds)
    for _ in range(passes):
        if not simulation.gone:
            simulation.watched_step()


def deleted(simulation: Watched) -> Watched:
    """Somebody has deleted it, and the gateway has been told what is coming."""
    simulation.delete()
    waits(simulation, 0)
    waits(simulation, PREPARATION.total_seconds())
    return simulation


class TestFinalizer:
    def test_it_is_there_while_the_wish_is(self) -> None:
        """engine:FIN-01, workloads:FIN-01"""
        simulation = initialised(**REVERT)
        assert simulation.canary.metadata.finalizers == (FINALIZER,)
        simulation.plan = replace(simulation.plan, revert_on_deletion=False)
        simulation.settle()
        assert simulation.canary.metadata.finalizers == ()
        assert simulation.phase() is Phase.INITIALIZED

    def test_it_is_put_on_before_anything_is_changed(self) -> None:
        """engine:FIN-01"""
        simulation = Watched(plan=initialised(**REVERT).plan, answer=saying())
        simulation.step()
        assert effects(simulation)[0] is AddFinalizer

    @pytest.mark.parametrize("held", [{"suspended": True}, {}], ids=["suspended", "frozen"])
    def test_what_holds_rollouts_does_not_hold_it(self, held: dict[str, bool]) -> None:
        """engine:SUS-01"""
        simulation = started()
        simulation.frozen = not held
        simulation.plan = replace(simulation.plan, revert_on_deletion=True, **held)  # type: ignore[arg-type]  # names of Plan
        simulation.step()
        assert effects(simulation) == [AddFinalizer]

    def test_a_spec_that_cannot_be_trusted_changes_nothing_about_it(self) -> None:
        simulation = initialised(**REVERT)
        simulation.plan = replace(simulation.plan, revert_on_deletion=False)
        simulation.faults = (Fault(ConditionType.VALID, "Invalid", "spec.analysis: no"),)
        simulation.settle()
        assert simulation.canary.metadata.finalizers == (FINALIZER,)

    def test_a_right_that_is_missing_holds_no_rollout(self) -> None:
        """It is told, and tried again."""
        simulation = initialised()
        simulation.plan = replace(simulation.plan, revert_on_deletion=True)
        simulation.forbidden = frozenset({AddFinalizer})
        simulation.release(TWO)
        for _ in range(20):
            waits(simulation)
        assert simulation.phase() is Phase.SUCCEEDED
        assert simulation.status.condition(ConditionType.REFERENCES_RESOLVED)

    def test_without_it_nothing_is_put_back(self) -> None:
        """workloads:FIN-02"""
        simulation = initialised()
        simulation.edit(finalizers=("example.com/others",))
        assert deleted(simulation).decisions[-1].effects == ()

    def test_the_wish_taken_back_while_deleting_lets_it_go_at_once(self) -> None:
        """engine:FIN-07"""
        simulation = initialised(**REVERT)
        simulation.plan = replace(simulation.plan, revert_on_deletion=False)
        assert deleted(simulation).gone
        assert effects(simulation) == [RemoveFinalizer]


def failed() -> Watched:
    simulation = started(saying(analysis=False), **REVERT)
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is Phase.FAILED
    return simulation


def with_finalizer(simulation: Watched) -> Watched:
    simulation.plan = replace(simulation.plan, revert_on_deletion=True)
    simulation.settle()
    return simulation


PHASES: dict[str, Callable[[], Watched]] = {
    "Initialized": lambda: initialised(**REVERT),
    "Waiting": lambda: started(saying(confirm_rollout=False), hooks=frozenset({QuestionKind.CONFIRM_ROLLOUT}), **REVERT),
    "Progressing": lambda: started(**REVERT),
    "Promoting": lambda: promoting(NOT_READY, **REVERT),
    "Failed": failed,
    "promotion failed": lambda: with_finalizer(promotion_failed()),
}


class TestOrder:
    @pytest.mark.parametrize("phase", PHASES)
    def test_from_every_phase_users_are_served_until_the_primary_goes(self, phase: str) -> None:
        """engine:FIN-02, ISS-10, workloads:ST-05, routers:UPS-15; `Watched` looks at each step of it."""
        simulation = deleted(PHASES[phase]())
        assert simulation.phase() is Phase.TERMINATING
        assert simulation.status.conditions[0].message == "Canary is being deleted, waiting for the primary's connections to end."
        assert not simulation.gone, "the primary's connections end first"
        waits(simulation)
        assert simulation.gone
        expected = [RestoreTarget, RestoreApex, RevertRoutes, RemoveFinalizer]
        assert order(simulation) == (expected if RestoreTarget in order(simulation) else expected[1:])
        assert simulation.target
        assert simulation.target.replicas == 2
        assert "Terminating canary web.test" in simulation.messages
        assert "Terminated canary web.test" in simulation.messages

    def test_before_anything_was_changed_it_goes_at_once(self) -> None:
        simulation = Watched(plan=initialised(**REVERT).plan, answer=saying())
        simulation.edit(finalizers=(FINALIZER,))
        assert deleted(simulation).gone
        assert RestoreTarget not in order(simulation)

    def test_the_target_gets_as_many_pods_as_the_primary_has(self) -> None:
        """workloads:FIN-07"""
        simulation = started(**REVERT)
        assert simulation.primary
        simulation.primary = replace(simulation.primary, replicas=7, available=7)
        deleted(simulation)
        assert simulation.target
        assert simulation.target.replicas == 7

    def test_an_autoscaler_that_leaves_it_fewer_has_the_last_word(self) -> None:
        simulation = started(**REVERT)
        assert simulation.primary
        simulation.primary = replace(simulation.primary, replicas=7, available=7)
        simulation.forbidden = frozenset({RestoreTarget})
        deleted(simulation)
        assert effects(simulation) == [RestoreTarget]
        for _ in range(4):
            waits(simulation)
        assert simulation.gone

    def test_unready_pods_get_no_traffic(self) -> None:
        """engine:ACC-12, workloads:FIN-05: it waits as long as the primary serves, and says so."""
        simulation = initialised(**REVERT)
        simulation.delete()
        simulation.step()
        canary_becomes(simulation, DEAD)
        waits(simulation)
        waits(simulation, 2 * DEADLINE.total_seconds())
        assert not simulation.gone
        assert simulation.services.apex
        assert [text for text in simulation.messages if text.startswith("The deletion of web.test waits: web.test is not ready")]
        canary_becomes(simulation, Ready())
        for _ in range(3):
            waits(simulation)
        assert simulation.gone

    def test_routes_wait_for_the_apex_and_the_primary_for_the_gateway(self) -> None:
        """engine:ISS-10, routers:UPS-15"""
        simulation = started(**REVERT)
        simulation.restoration = RestorationView(routes=Awaited("parent gateway has not seen generation 2 yet"))
        deleted(simulation)
        waits(simulation)
        assert not simulation.gone
        assert "routes: parent gateway" in simulation.decisions[-1].reason
        simulation.restoration = RestorationView()
        waits(simulation)
        waits(simulation)
        assert simulation.gone

    def test_the_gateway_is_told_what_is_coming_before_requests_go_there(self) -> None:
        """routers:UPS-15: Envoy answers 503 while it does not know a Service yet to which it is to send."""
        simulation = started(**REVERT)
        simulation.delete()
        waits(simulation, 0)
        assert simulation.decisions[-1].effects == (RevertRoutes(only_prepare=True),)
        assert simulation.decisions[-1].wake_at == simulation.now + PREPARATION
        assert not simulation.reverted
        waits(simulation, PREPARATION.total_seconds())
        assert simulation.reverted

    def test_the_drain_is_an_interval_and_no_longer_than_half_a_minute(self) -> None:
        """engine:FIN-05"""
        simulation = started(interval=timedelta(minutes=10), **REVERT)
        deleted(simulation)
        waits(simulation, LONGEST_DRAIN.total_seconds() - 1)
        assert not simulation.gone
        waits(simulation, 1)
        assert simulation.gone

    def test_a_revision_that_was_not_promoted_is_told(self) -> None:
        """workloads:FIN-11: the target's template is its user's."""
        simulation = deleted(started(**REVERT))
        assert "web.test is at a revision that was not promoted; all users get it once the Canary is gone" in simulation.messages

    def test_the_rollout_stands_still(self) -> None:
        """engine:HAZ-08, FIN-06, workloads:FIN-12: nothing leads back to the primary, no hook is asked, no primary is restored."""
        simulation = started(saying(confirm_promotion=False), hooks=frozenset({QuestionKind.CONFIRM_PROMOTION}), **REVERT)
        asked = len(simulation.asked)
        simulation.primary = None
        deleted(simulation)
        waits(simulation)
        assert len(simulation.asked) == asked
        assert simulation.primary is None

    def test_a_crash_after_any_effect_loses_nothing(self) -> None:
        """engine:FIN-08"""
        for kept in range(4):
            simulation = initialised(**REVERT)
            simulation.delete()
            for _ in range(12):
                simulation.applied, simulation.lose_from = 0, kept
                waits(simulation, 4, passes=1)
                simulation.lose_from = None
                waits(simulation, 4, passes=1)
            assert simulation.gone

    def test_what_another_process_saw_earlier_counts(self) -> None:
        """The stage and its time stand in the record."""
        simulation = deleted(started(**REVERT))
        assert simulation.record.deletion == Deletion(stage="drain", since=simulation.now)
        simulation.crash()
        waits(simulation)
        assert simulation.gone


class TestHalfGone:
    def test_what_does_not_exist_is_restored(self) -> None:
        """engine:ISS-09, FIN-04, workloads:FIN-10: uninstalled together with everything else."""
        simulation = initialised(**REVERT)
        simulation.target = simulation.primary = None
        simulation.restoration = RestorationView()
        assert deleted(simulation).gone

    def test_without_a_primary_nothing_is_waited_for(self) -> None:
        simulation = initialised(**REVERT)
        simulation.primary = None
        canary_becomes(simulation, NOT_READY)
        assert deleted(simulation).gone

    @pytest.mark.parametrize(
        "view",
        [
            pytest.param(RestorationView(routes=Lost("HTTPRoute is not served")), id="the CRD of the router is removed"),
            pytest.param(RestorationView(apex=Lost("services is forbidden")), id="a right is missing"),
            pytest.param(RestorationView(routes=Awaited("the gateway is gone")), id="nobody accepts the route"),
        ],
    )
    def test_what_cannot_be_put_back_is_told_after_a_while_and_the_rest_is_done(self, view: RestorationView) -> None:
        """engine:FIN-08"""
        simulation = started(**REVERT)
        simulation.restoration = view
        simulation.delete()
        waits(simulation, 0)
        waits(simulation, DEADLINE.total_seconds() - 1)
        assert not simulation.gone
        waits(simulation, 1)
        assert simulation.gone
        assert effects(simulation) == [RestoreTarget, RestoreApex, RevertRoutes, RemoveFinalizer]
        told = next(text for text in simulation.messages if "is let go, because nothing has moved for 5 minutes" in text)
        assert next(part.reason for part in (view.apex, view.routes) if isinstance(part, Lost | Awaited)) in told

    def test_everything_lost(self) -> None:
        simulation = started(**REVERT)
        simulation.lose_sight("deployments is forbidden")
        deleted(simulation)
        assert simulation.decisions[-1].retry
        waits(simulation, DEADLINE.total_seconds())
        assert simulation.gone

    @pytest.mark.parametrize("effect", [RestoreTarget, RestoreApex, RevertRoutes])
    def test_an_effect_that_is_refused_is_told_and_given_up_in_the_end(self, effect: type[Effect]) -> None:
        """engine:FIN-08"""
        simulation = initialised(**REVERT)
        simulation.forbidden = frozenset({effect})
        deleted(simulation)
        waits(simulation)
        condition = simulation.status.condition(ConditionType.REFERENCES_RESOLVED)
        assert condition
        assert condition.message == f"{effect.__name__} is forbidden"
        waits(simulation, DEADLINE.total_seconds())
        waits(simulation, 2 * DEADLINE.total_seconds())
        assert simulation.gone
        assert any("is let go" in text and f"{effect.__name__} is forbidden" in text for text in simulation.messages)

    def test_an_unready_target_beside_an_unready_primary_is_not_waited_for_without_end(self) -> None:
        simulation = initialised(**REVERT)
        primary_becomes(simulation, NOT_READY)
        simulation.delete()
        simulation.step()
        canary_becomes(simulation, NOT_READY)
        waits(simulation, DEADLINE.total_seconds() - 1)
        assert not simulation.gone
        waits(simulation, 1)
        assert simulation.gone

    def test_the_annotation_lets_it_go_at_once(self) -> None:
        """engine:FIN-08"""
        simulation = initialised(**REVERT)
        simulation.edit(annotations={SKIP_REVERT: "true"})
        assert deleted(simulation).gone
        assert effects(simulation) == [RemoveFinalizer]
        assert any(f"the annotation {SKIP_REVERT} asks for it; not put back: " in text for text in simulation.messages)

    def test_an_old_deletion_is_not_given_up_before_it_was_tried(self) -> None:
        """No controller ran for an hour."""
        simulation = initialised(**REVERT)
        simulation.edit(deletion_timestamp=simulation.now - timedelta(hours=1))
        waits(simulation, 0)
        assert not simulation.gone
        waits(simulation)
        waits(simulation)
        assert not any("is let go" in text for text in simulation.messages)
        assert simulation.gone

    def test_the_crd_of_flagger_stores_no_record_and_holds_nothing(self) -> None:
        """design §5"""
        simulation = initialised(**REVERT)
        simulation.faults = (Fault(ConditionType.CRD_CURRENT, "OtherCrd", "status.rollout is dropped"),)
        pruned = simulation.status.model_copy(update={"rollout": None})
        simulation.canary = simulation.canary.model_copy(update={"status": pruned})
        assert deleted(simulation).gone
        assert simulation.status.rollout is None
        assert (simulation.services.apex, simulation.reverted) == (False, True)


def test_a_take_over_in_the_middle_of_flaggers_deletion_goes_on() -> None:
    """engine:FIN-02: Flagger has set its phase and no more."""
    simulation = initialised(**REVERT)
    status = simulation.status.model_copy(update={"phase": Phase.TERMINATING, "rollout": None})
    simulation.canary = simulation.canary.model_copy(update={"status": status})
    deleted(simulation)
    waits(simulation)
    assert simulation.gone
    assert order(simulation) == [RestoreTarget, RestoreApex, RevertRoutes, RemoveFinalizer]


def test_of_a_second_canary_on_the_target_nothing_is_its_own() -> None:
    """api:GAP-60: what is there belongs to the older one."""
    simulation = initialised(**REVERT)
    simulation.edit(deletion_timestamp=simulation.now)
    decision = decide(replace(simulation.world(), restoration=None), simulation.now)
    assert decision.effects == (RemoveFinalizer(),)
