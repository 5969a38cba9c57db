"""A config that changes alone, in the middle of a run: pods read their environment once, so they start anew (workloads:CHG-06)."""

from dataclasses import replace

import pytest

from flagger_py.api.status import Phase
from flagger_py.rollout.effects import RestartPods, ScaleTargetToZero
from flagger_py.rollout.readiness import Dead, NotReady, Ready
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes
from tests.unit.rollout.situations import NOT_READY, THREE, TWO, canary_becomes, primary_becomes, saying
from tests.unit.rollout.watched import Watched

BLUE = {"configmap/web": "blue"}


def at_first_weight() -> Watched:
    """A run of a new template that sends 20 % to the canary."""
    simulation = Watched(answer=saying(), checksums=BLUE)
    simulation.settle()
    simulation.release(TWO)
    simulation.settle()
    simulation.advance(2)
    assert simulation.routes == Routes(80, 20)
    simulation.decisions.clear()
    return simulation


def restarts(simulation: Watched) -> list[RestartPods]:
    return [effect for decision in simulation.decisions for effect in decision.effects if isinstance(effect, RestartPods)]


def test_the_pods_start_anew_once_the_traffic_is_off_them_and_the_run_starts_again() -> None:
    """workloads:CHG-06"""
    simulation = at_first_weight()
    run = simulation.record.run
    simulation.now = simulation.now.replace(microsecond=1)
    simulation.configure("green")
    simulation.watched_step()
    assert simulation.routes == ALL_PRIMARY
    assert not restarts(simulation), "they serve users until then"
    simulation.watched_step()
    (restart,) = restarts(simulation)
    assert simulation.record.run != run
    assert restart.occasion.startswith(simulation.record.run)
    simulation.settle()
    assert len(restarts(simulation)) == 1
    simulation.advance(2)
    assert simulation.routes == Routes(80, 20)
    assert not simulation.record.restart_pods, "what is done is forgotten with the next write"
    for _ in range(4):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.target
    assert simulation.target.restarted_for == ""


def test_no_step_is_taken_before_they_have() -> None:
    """workloads:CHG-06, engine:HAZ-09: not in another process either."""
    simulation = at_first_weight()
    simulation.forbidden = frozenset({RestartPods})
    simulation.configure("green")
    for _ in range(3):
        simulation.advance()
        simulation.crash()
    assert simulation.routes == ALL_PRIMARY
    assert simulation.decisions[-1].reason == "canary not ready: its pods have still to start anew with the changed configs"
    simulation.forbidden = frozenset()
    simulation.settle()
    simulation.advance(2)
    assert simulation.routes == Routes(80, 20)


def test_pods_that_cannot_be_restarted_are_rolled_back_at_the_deadline() -> None:
    """workloads:RDY-04"""
    simulation = at_first_weight()
    simulation.forbidden = frozenset({RestartPods})
    simulation.configure("green")
    for _ in range(8):
        simulation.advance()
    assert simulation.phase() is Phase.FAILED


def test_another_change_starts_them_anew_again_and_setting_it_back_cancels_nothing_of_the_template() -> None:
    """workloads:CHG-04: the template is still a new one."""
    simulation = at_first_weight()
    for colour in ("green", "red", "blue"):
        simulation.configure(colour)
        simulation.settle()
        assert simulation.phase() is Phase.PROGRESSING
    assert len({restart.occasion for restart in restarts(simulation)}) == len(restarts(simulation)) == 3


def test_a_run_of_configs_alone_that_are_set_back_is_cancelled_without_a_restart() -> None:
    """engine:REV-03, workloads:CHG-04"""
    simulation = Watched(answer=saying(), checksums=BLUE)
    simulation.settle()
    simulation.configure("green")
    simulation.settle()
    simulation.configure("blue")
    simulation.settle()
    assert simulation.phase() is Phase.SUCCEEDED
    assert not restarts(simulation), "they started with the run, and went with it"


@pytest.mark.parametrize("same_name", [True, False], ids=["the same config", "a config of a new name"])
def test_with_a_new_template_pods_start_by_themselves_but_may_have_read_what_has_changed_since(*, same_name: bool) -> None:
    """workloads:CHG-06: of two changes at once nobody knows which was first."""
    simulation = at_first_weight()
    simulation.release(THREE)
    simulation.checksums = {"configmap/web" if same_name else "configmap/web-7d9f": "green"}
    simulation.configs_of_pods = None if not same_name else simulation.configs_of_pods
    simulation.settle()
    assert len(restarts(simulation)) == same_name


def test_an_unready_primary_gets_no_traffic_for_it() -> None:
    """engine:HAZ-12: the pods start anew under the weight that they have, as for a new template."""
    simulation = at_first_weight()
    primary_becomes(simulation, NOT_READY)
    simulation.configure("green")
    simulation.settle()
    assert simulation.routes == Routes(80, 20)
    assert len(restarts(simulation)) == 1


@pytest.mark.parametrize("readiness", [NOT_READY, Dead("crash loop")], ids=["not ready", "dead"])
def test_a_change_may_be_the_repair_of_pods_that_do_not_start(readiness: NotReady | Dead) -> None:
    """workloads:CHG-06: a newer revision supersedes a stuck one."""
    simulation = Watched(answer=saying(), checksums=BLUE)
    simulation.settle()
    simulation.release(TWO)
    simulation.settle()
    canary_becomes(simulation, readiness)
    simulation.configure("green")
    simulation.watched_step()
    simulation.watched_step()
    assert len(restarts(simulation)) == 1
    canary_becomes(simulation, Ready())
    simulation.settle()
    simulation.advance(2)
    assert simulation.routes == Routes(80, 20)


def test_changes_while_the_primary_is_promoted_restart_nothing() -> None:
    """workloads:CHG-07: they get a run of their own afterwards."""
    simulation = at_first_weight()
    simulation.new_primary_readiness = NOT_READY
    for _ in range(2):
        simulation.advance()
    assert simulation.phase() is Phase.PROMOTING
    simulation.configure("green")
    simulation.settle()
    assert not restarts(simulation)
    primary_becomes(simulation, Ready())
    for _ in range(3):
        simulation.advance()
    assert simulation.phase() is Phase.PROGRESSING
    assert not restarts(simulation), "the pods went at the end of the run, and others start"
    assert any(isinstance(effect, ScaleTargetToZero) for decision in simulation.decisions for effect in decision.effects)


def test_a_target_that_runs_between_rollouts_has_old_configs() -> None:
    """workloads:DEP-10: somebody keeps its pods alive."""
    simulation = Watched(answer=saying(), checksums=BLUE)
    simulation.settle()
    assert simulation.target
    simulation.target = replace(simulation.target, replicas=2, available=2)
    simulation.configs_of_pods = None
    simulation.configure("green")
    simulation.settle()
    assert len(restarts(simulation)) == 1
