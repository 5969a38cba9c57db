"""`analysis.onError: hold`: a metric provider that is away says nothing about the version (design §3, MetricProvider)."""

import pytest

from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.verdicts import CheckResult
from tests.unit.rollout.situations import started
from tests.unit.rollout.watched import Watched


def answering(outcome: CheckOutcome, **plan: object) -> Watched:
    """A run whose check ends so."""

    def answer(question: Question) -> Answer:
        is_analysis = question.key.kind is QuestionKind.ANALYSIS
        return Answer(checks=(CheckResult("errors", None, "", outcome, "Halt: cannot be checked"),) if is_analysis else ())

    return started(answer, **plan)


def test_the_run_waits_and_goes_on_when_the_provider_is_back() -> None:
    simulation = answering(CheckOutcome.UNREACHABLE, holds_on_error=True)
    for _ in range(10):
        simulation.advance()
    assert (simulation.phase(), simulation.weight, simulation.status.failed_checks) == (Phase.PROGRESSING, 20, 0)
    assert "Halt: cannot be checked" in simulation.messages
    assert simulation.record.checks[0].result == "unreachable"
    simulation.answer = lambda question: Answer()
    simulation.advance()
    assert simulation.weight == 40


@pytest.mark.parametrize("outcome", [CheckOutcome.FAIL, CheckOutcome.NO_DATA, CheckOutcome.ERROR])
def test_everything_else_is_a_failed_check_all_the_same(outcome: CheckOutcome) -> None:
    """metrics:EVAL-02."""
    simulation = answering(outcome, holds_on_error=True)
    simulation.advance()
    assert simulation.status.failed_checks == 1


def test_without_the_wish_it_is_a_failed_check_as_in_flagger() -> None:
    simulation = answering(CheckOutcome.UNREACHABLE)
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is Phase.FAILED
