"""Targets that have no pods of their own, core Services and Knative Services: nothing is scaled, and nothing waits for pods."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from flagger_py.api.metadata import FINALIZER
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout.effects import Effect, RestoreTarget, ScaleTargetToZero, ScaleTargetUp
from flagger_py.rollout.identity import promotion_id
from flagger_py.rollout.questions import Answer, QuestionKind
from flagger_py.rollout.readiness import NotReady, Ready
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.verdicts import CheckResult
from flagger_py.rollout.views import PrimaryView, TargetView
from tests.unit.rollout.simulation import UID, Simulation, weighted_plan

FAILING = Answer(checks=(CheckResult("request-success-rate", 50.0, ">= 99", CheckOutcome.FAIL, "Halt web.test advancement success rate"),))
SCALING = (ScaleTargetUp, ScaleTargetToZero, RestoreTarget)


@dataclass
class Podless(Simulation):
    """The target is a Service: it has no pods and no generation."""

    target: TargetView | None = field(default_factory=lambda: TargetView("s-1", 0, "v1:one", 0, 0, Ready(), has_pods=False))

    def apply(self, effect: Effect) -> None:
        assert not isinstance(effect, SCALING), "there is nothing to scale"
        super().apply(effect)

    def release(self, revision: str) -> None:
        assert self.target is not None
        self.target = replace(self.target, revision=revision)
        self.settle()

    def _carry(self, revision: str, configs: str) -> None:
        self.primary_revision = revision
        self.primary = PrimaryView(0, 0, self.new_primary_readiness, promotion_id(UID, revision, configs), has_pods=False)

    def phase(self) -> Phase:
        """A call, because type checkers take a property for unchanged."""
        return self.canary.status.phase


def test_it_is_initialised_without_pods() -> None:
    """workloads:SVC-01, KN-06: scale operations and readiness are nothing to wait for."""
    simulation = Podless()
    simulation.settle()
    assert simulation.phase() is Phase.INITIALIZED
    assert simulation.routes == ALL_PRIMARY


@pytest.mark.parametrize(
    ("changes", "primary_weights"),
    [
        pytest.param({"steps": (20, 40, 60), "max_weight": 50}, [80, 60, 40], id="step 20, max 50"),
        pytest.param({"steps": (50, 100), "max_weight": 100}, [50, 0], id="step 50, max 100"),
        pytest.param({"steps": (1, 2, 10, 80), "max_weight": 80}, [99, 98, 90, 20], id="a list"),
    ],
)
def test_a_changed_spec_takes_its_steps_and_is_promoted(changes: dict[str, object], primary_weights: list[int]) -> None:
    """engine:ACC-01, workloads:S17: Progressing, Promoting, Finalising, Succeeded."""
    simulation = Podless(plan=weighted_plan(**changes))
    simulation.settle()
    simulation.release("v1:two")
    seen = [100 - simulation.weight]
    while simulation.phase() is Phase.PROGRESSING:
        simulation.advance()
        seen.append(100 - simulation.weight)
    assert seen[: len(primary_weights)] == primary_weights
    assert (simulation.phase(), simulation.weight, simulation.primary_revision) == (Phase.FINALISING, 0, "v1:two")
    simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED


def test_a_bad_one_is_rolled_back() -> None:
    simulation = Podless(answer=lambda question: FAILING if question.key.kind is QuestionKind.ANALYSIS else Answer())
    simulation.settle()
    simulation.release("v1:bad")
    for _ in range(3):
        simulation.advance()
    assert (simulation.phase(), simulation.routes, simulation.primary_revision) == (Phase.FAILED, ALL_PRIMARY, "v1:one")


def test_a_revision_is_never_taken_for_a_moved_hash() -> None:
    """workloads:CHG-02: a Service has no generation, so nothing says that it is unchanged."""
    simulation = Podless()
    for revision in ("v1:two", "v1:three"):
        simulation.settle()
        simulation.release(revision)
        assert simulation.phase() is Phase.PROGRESSING
        simulation.advance(10)
        simulation.advance(10)
        simulation.advance(10)
        assert simulation.primary_revision == revision
        simulation.advance(10)


def test_a_canary_that_does_not_become_ready_ends_the_run_at_the_deadline() -> None:
    """workloads:KN-05: `progressDeadlineSeconds` counts from when the revision was first seen unready in this run."""
    simulation = Podless()
    simulation.settle()
    assert simulation.target is not None
    simulation.target = replace(simulation.target, readiness=NotReady("revision web-00002 is being deployed"))
    simulation.release("v1:two")
    simulation.advance(59)
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 0)
    simulation.advance(2)
    assert simulation.phase() is Phase.FAILED
    assert any("progressDeadlineSeconds" in text for text in simulation.messages)


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.PROGRESSING, Phase.FINALISING, Phase.SUCCEEDED])
def test_deleted_in_any_phase_nothing_is_scaled(phase: Phase) -> None:
    """workloads:SVC-01, engine:FIN-02: Service targets need nothing back."""
    simulation = Podless(plan=weighted_plan(revert_on_deletion=True))
    simulation.settle()
    if phase is not Phase.INITIALIZED:
        simulation.release("v1:two")
    while simulation.phase() is not phase:
        simulation.advance(10)
    assert FINALIZER in simulation.canary.metadata.finalizers
    simulation.delete()
    for _ in range(10):
        if not simulation.gone:
            simulation.now += timedelta(seconds=5)
            simulation.step()
    assert (simulation.gone, simulation.reverted) == (True, True)
