"""Whole weighted rollouts, pass by pass, on a simulated cluster."""

from dataclasses import replace

import pytest

from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Pending, Routes
from flagger_py.rollout.verdicts import CheckResult, HookResult
from flagger_py.rollout.world import NOTHING_YET
from tests.unit.rollout.simulation import Simulation, weighted_plan

FAILING = Answer(checks=(CheckResult("request-success-rate", 50.0, ">= 99", CheckOutcome.FAIL, "Halt web.test advancement success rate"),))


def test_a_new_canary_is_initialised_and_its_target_scaled_to_zero() -> None:
    simulation = Simulation().initialise()
    assert simulation.canary.status.phase is Phase.INITIALIZED
    assert simulation.target
    assert simulation.target.replicas == 0
    assert simulation.routes == ALL_PRIMARY
    assert simulation.services.apex


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        pytest.param({}, [20, 40], id="engine:WGT-03 linear steps"),
        pytest.param({"steps": (20, 40, 60), "max_weight": 50}, [20, 40, 60], id="engine:WGT-04 no clamp at maxWeight"),
        pytest.param({"steps": (1, 2, 10, 80), "max_weight": 80}, [1, 2, 10, 80], id="engine:ACC-01 a list"),
        pytest.param({"steps": (50, 100), "max_weight": 100}, [50, 100], id="engine:ACC-01 up to all"),
    ],
)
def test_a_good_version_takes_its_steps_and_is_promoted(changes: dict[str, object], weights: list[int]) -> None:
    simulation = Simulation(plan=weighted_plan(**changes)).initialise()
    simulation.release("v1:two")
    simulation.settle()
    seen = [simulation.weight]
    while simulation.canary.status.phase is Phase.PROGRESSING:
        simulation.advance()
        seen.append(simulation.weight)
    assert seen[: len(weights)] == weights
    assert simulation.primary_revision == "v1:two"
    assert simulation.canary.status.phase is Phase.FINALISING
    assert simulation.weight == 0
    simulation.advance()
    assert simulation.canary.status.phase is Phase.SUCCEEDED
    assert simulation.target
    assert simulation.target.replicas == 0


def test_a_bad_version_is_rolled_back_when_the_threshold_is_reached() -> None:
    """engine:ANL-10, HAZ-40: at once, not a tick later."""
    simulation = Simulation(answer=lambda question: FAILING if question.key.kind is QuestionKind.ANALYSIS else Answer()).initialise()
    simulation.release("v1:bad")
    simulation.settle()
    simulation.advance()
    assert simulation.canary.status.failed_checks == 1
    simulation.advance()
    assert simulation.canary.status.phase is Phase.FAILED
    assert simulation.routes == ALL_PRIMARY
    assert simulation.primary_revision == "v1:one"
    assert simulation.target
    assert simulation.target.replicas == 0


def test_a_settled_canary_decides_nothing() -> None:
    simulation = Simulation().initialise()
    decision = simulation.step()
    assert decision.status is simulation.canary.status
    assert not decision.questions
    assert not decision.notices
    assert decision.wake_at is None


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        pytest.param(Routes(50, 50), "Routes of web.test stand at 50/50 instead of 80/20, setting them again", id="live"),
        pytest.param(
            Pending("the gateway has not seen it", Routes(50, 50)),
            "Routes of web.test stand at 50/50 instead of 80/20, setting them again",
            id="not-even-live-yet",
        ),
        pytest.param(Pending("weights 70 and 10", is_broken=True), "weights 70 and 10; setting them to 80/20 again", id="without-sense"),
    ],
)
def test_routes_that_somebody_edits_are_told_and_set_again(edited: Routes | Pending, told: str) -> None:
    """design §4: the step's clock starts anew, so that no check is made before the weight has been live for a whole interval."""
    simulation = Simulation().initialise()
    simulation.release("v1:two")
    simulation.settle()
    simulation.routes = edited
    decision = simulation.step()
    assert [notice.message for notice in decision.notices] == [told]
    assert simulation.canary.status.rollout
    assert simulation.canary.status.rollout.step_started_at is None
    assert simulation.routes == Routes(80, 20)


def test_a_route_that_the_gateway_has_not_taken_yet_is_no_edit() -> None:
    simulation = Simulation().initialise()
    simulation.release("v1:two")
    simulation.settle()
    simulation.routes = Pending("the gateway has not seen it", Routes(80, 20))
    assert not simulation.step().notices


def test_a_newer_revision_restarts_the_run_from_zero() -> None:
    """engine:RESTART, ACC-06."""
    simulation = Simulation().initialise()
    simulation.release("v1:two")
    simulation.settle()
    simulation.advance()
    assert simulation.weight == 40
    simulation.release("v1:three")
    weights = []
    for _ in range(3):
        simulation.step()
        weights.append(simulation.weight)
    assert 0 in weights
    assert simulation.canary.status.rollout
    assert simulation.canary.status.rollout.revision == "v1:three"


def test_a_revert_during_the_run_cancels_it() -> None:
    """engine:REV-03, workloads:CHG-09."""
    simulation = Simulation().initialise()
    simulation.release("v1:two")
    simulation.settle()
    simulation.release("v1:one")
    simulation.settle()
    assert simulation.canary.status.phase is Phase.SUCCEEDED
    assert simulation.routes == ALL_PRIMARY
    assert simulation.canary.status.rollout
    assert simulation.canary.status.rollout.promoted_revision == "v1:one"


def test_the_failed_revision_set_again_after_a_revert_is_a_new_run() -> None:
    """engine:ACC-11, workloads:CHG-08."""
    simulation = Simulation(answer=lambda question: FAILING if question.key.kind is QuestionKind.ANALYSIS else Answer()).initialise()
    simulation.release("v1:bad")
    simulation.settle()
    simulation.advance()
    simulation.advance()
    simulation.release("v1:one")
    simulation.settle()
    assert simulation.canary.status.phase is Phase.FAILED
    simulation.release("v1:bad")
    simulation.settle()
    assert simulation.canary.status.phase is Phase.PROGRESSING


def test_an_unready_canary_holds_the_step_and_a_dead_one_is_rolled_back() -> None:
    """workloads:RDY-11, RDY-12."""
    simulation = Simulation().initialise()
    simulation.release("v1:two")
    simulation.settle()
    assert simulation.target
    simulation.target = type(simulation.target)("t-1", 9, "v1:two", 2, 0, NotReady("0 of 2 pods available"))
    simulation.advance(30)
    assert simulation.weight == 20
    assert simulation.canary.status.failed_checks == 0
    simulation.advance(61)
    assert simulation.canary.status.phase is Phase.FAILED
    assert simulation.routes == ALL_PRIMARY


def test_a_primary_that_dies_in_the_promotion_leaves_the_canary_serving_and_recovers() -> None:
    """engine:ACC-08, HAZ-19."""
    simulation = Simulation().initialise()
    simulation.new_primary_readiness = Dead("ProgressDeadlineExceeded")
    simulation.release("v1:two")
    simulation.settle()
    for _ in range(3):
        simulation.advance()
    assert simulation.canary.status.phase is Phase.FAILED
    assert simulation.canary.status.canary_weight == 100
    assert simulation.routes == ALL_CANARY
    assert simulation.target
    assert simulation.target.replicas == 2
    assert simulation.primary
    simulation.primary = type(simulation.primary)(2, 2, Ready(), simulation.primary.promotion_id)
    simulation.settle()
    simulation.advance()
    assert simulation.canary.status.phase is Phase.SUCCEEDED
    assert simulation.routes == ALL_PRIMARY


def test_skip_analysis_waits_for_the_primary_before_the_canary_goes() -> None:
    """engine:HAZ-16."""
    simulation = Simulation(plan=weighted_plan(skip_analysis=True)).initialise()
    simulation.new_primary_readiness = NotReady("0 of 2 pods available")
    simulation.release("v1:two")
    simulation.settle()
    assert simulation.canary.status.phase is Phase.PROMOTING
    assert simulation.target
    assert simulation.target.replicas == 2
    assert simulation.primary
    simulation.primary = type(simulation.primary)(2, 2, Ready(), simulation.primary.promotion_id)
    simulation.settle()
    simulation.advance()
    assert simulation.canary.status.phase is Phase.SUCCEEDED


def test_a_staged_promotion_moves_the_traffic_back_in_stages() -> None:
    """engine:ACC-02."""
    simulation = Simulation(plan=weighted_plan(steps=(100,), max_weight=100, step_weight_promotion=50)).initialise()
    simulation.release("v1:two")
    simulation.settle()
    seen = []
    for _ in range(4):
        seen.append((simulation.canary.status.phase, simulation.weight))
        simulation.advance()
    assert seen == [(Phase.PROGRESSING, 100), (Phase.PROMOTING, 50), (Phase.FINALISING, 0), (Phase.SUCCEEDED, 0)]


def test_a_closed_confirm_rollout_gate_waits_and_is_polled_once_an_interval() -> None:
    """engine:GATE-01."""
    is_open = False

    def answer(question: Question) -> Answer:
        return Answer(hooks=(HookResult("gate", is_open or question.key.kind is not QuestionKind.CONFIRM_ROLLOUT),))

    hooks = frozenset({QuestionKind.CONFIRM_ROLLOUT})
    simulation = Simulation(plan=weighted_plan(hooks=hooks), answer=answer).initialise()
    simulation.release("v1:two")
    simulation.settle()
    assert simulation.canary.status.phase is Phase.WAITING
    polls = len(simulation.asked)
    simulation.advance(5)
    assert len(simulation.asked) == polls
    simulation.advance(5)
    assert len(simulation.asked) == polls + 1
    is_open = True
    simulation.advance(10)
    assert simulation.canary.status.phase is Phase.PROGRESSING


def test_another_target_is_initialised_and_a_deleted_primary_restored() -> None:
    """engine:SPC-06, workloads:DEP-05: never from an unverified target."""
    simulation = Simulation().initialise()
    simulation.release("v1:two")
    simulation.primary = None
    simulation.step()
    assert simulation.primary_revision == "v1:one"
    assert simulation.target
    simulation.target = replace(simulation.target, uid="t-2", revision="v1:other", replicas=2, available=2)
    simulation.primary, simulation.services = None, NOTHING_YET
    simulation.settle()
    assert simulation.canary.status.phase is Phase.INITIALIZED
    assert simulation.primary_revision == "v1:other"


def test_a_spec_edit_alone_moves_the_observed_generation() -> None:
    """Flux's kstatus reads an older one as "in progress" for ever (design §5)."""
    simulation = Simulation().initialise()
    metadata = simulation.canary.metadata.model_copy(update={"generation": 7})
    simulation.canary = simulation.canary.model_copy(update={"metadata": metadata})
    simulation.step()
    assert simulation.canary.status.observed_generation == 7
