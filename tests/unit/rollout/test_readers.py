"""How Argo CD and Flux read our status, at every moment of a rollout (design §5). Their rules are restated here in our words."""

from collections.abc import Iterator
from typing import Any

from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.verdicts import CheckResult
from flagger_py.rollout.world import Fault
from tests.unit.rollout.simulation import Simulation

FAILING = Answer(checks=(CheckResult("request-success-rate", 50.0, ">= 99%", CheckOutcome.FAIL, "Halt"),))
HEALTH = {
    "Failed": "Degraded",
    "Progressing": "Progressing",
    "Promoting": "Progressing",
    "Finalising": "Progressing",
    "Succeeded": "Healthy",
    "Initialized": "Healthy",
}


def argo_health(status: dict[str, Any]) -> tuple[str, str]:
    """Argo CD: compares `canaryWeight` with a number, joins every condition's message, and goes by the phase."""
    weight = [f"Canary Weight: {status['canaryWeight']} %"] if status["canaryWeight"] > 0 else []
    messages = [condition["message"] for condition in status["conditions"]]
    return HEALTH.get(status["phase"], "Unknown"), " --- ".join([status["phase"], *weight, *messages])


def flux_is_current(manifest: dict[str, Any]) -> bool:
    """Flux (kstatus): an older generation or a `Reconciling`, `Stalled` or not true `Ready` condition is no end."""
    conditions = {condition["type"]: condition["status"] for condition in manifest["status"]["conditions"]}
    is_observed = bool(manifest["status"]["observedGeneration"] == manifest["metadata"]["generation"])
    return is_observed and conditions.get("Ready", "True") == "True" and not conditions.keys() & {"Reconciling", "Stalled"}


def statuses(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """Every status that a good and then a bad rollout writes."""

    def answer(question: Question) -> Answer:
        return (
            FAILING
            if question.key.kind is QuestionKind.ANALYSIS and simulation.target and simulation.target.revision == "v1:bad"
            else Answer()
        )

    simulation.answer = answer
    simulation.settle()
    for revision in ("v1:two", "v1:bad"):
        simulation.release(revision)
        for _ in range(8):
            simulation.advance()
    for decision in simulation.decisions:
        yield decision.status.to_manifest()


def test_argo_cd_reads_every_status_without_an_error() -> None:
    seen = {argo_health(status)[0] for status in statuses(Simulation())}
    assert seen == {"Unknown", "Progressing", "Healthy", "Degraded"}


def test_flux_waits_for_nothing_that_we_do_not_write() -> None:
    simulation = Simulation()
    for status in statuses(simulation):
        assert flux_is_current({"metadata": {"generation": simulation.canary.metadata.generation}, "status": status})


def test_the_promoted_condition_stays_first_and_every_condition_has_a_message() -> None:
    simulation = Simulation().initialise()
    simulation.faults = (Fault(ConditionType.VALID, "Invalid", "spec.analysis.threshold: -1: must be at least 0"),)
    simulation.step()
    written = simulation.canary.status
    assert written.phase is Phase.INITIALIZED
    assert [condition.type for condition in written.conditions] == ["Promoted", "Valid"]
    assert argo_health(written.to_manifest())[1].endswith("spec.analysis.threshold: -1: must be at least 0")
