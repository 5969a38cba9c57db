"""Which alerts a rollout puts into its outbox, and what becomes of them (metrics:ALR-11, engine:§11.2)."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from flagger_py.api.analysis import Severity
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.rollout_record import MESSAGE_LIMIT, OUTBOX_LIMIT, CheckOutcome, OutboxEntry, RolloutRecord
from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.outbox import post
from flagger_py.rollout.plan import Plan, plan_of
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.readiness import Dead, Ready
from flagger_py.rollout.turn import Turn
from flagger_py.rollout.verdicts import CheckResult, HookResult
from flagger_py.rollout.world import Fault
from tests.unit.rollout.simulation import START, Simulation, manifest, weighted_plan

SENT = Answer(hooks=(HookResult("chat", passed=True),))
TOO_SLOW = CheckResult("latency", 0.7, "<= 0.5", CheckOutcome.FAIL, "Halt web.test advancement latency 0.70 > 0.5")
CHECKS = (QuestionKind.ANALYSIS, QuestionKind.AVAILABILITY)


def record(simulation: Simulation) -> RolloutRecord:
    assert simulation.canary.status.rollout
    return simulation.canary.status.rollout


def posted(simulation: Simulation) -> list[OutboxEntry]:
    """Every alert that was ever due, in order."""
    stored = (decision.status.rollout for decision in simulation.decisions)
    entries = chain.from_iterable(found.outbox for found in stored if found)
    return list({entry.id: entry for entry in entries if entry.kind == QuestionKind.ALERT}.values())


def told(simulation: Simulation) -> list[tuple[str, str]]:
    return [(entry.severity, entry.message) for entry in posted(simulation)]


def start(answer: Answer | None = None, **plan: Any) -> Simulation:
    """An initialised Canary with alerts, whose checks and hooks get this answer, and alerts are always sent."""

    def answered(question: Question) -> Answer | None:
        return SENT if question.key.kind is QuestionKind.ALERT else answer or Answer()

    simulation = Simulation(plan=weighted_plan(**{"alerts_from": Severity.INFO, **plan}), answer=answered).initialise()
    simulation.decisions.clear()
    return simulation


def run(simulation: Simulation, *, intervals: int = 4) -> Simulation:
    """Release a version and let it take its course."""
    simulation.release("v1:two")
    simulation.settle()
    for _ in range(intervals):
        simulation.advance()
    return simulation


STARTED = ("info", "New revision detected, progressing canary analysis.")


def test_an_initialised_canary_tells_what_it_is_about() -> None:
    simulation = Simulation(plan=weighted_plan(alerts_from=Severity.INFO)).initialise()
    (entry,) = posted(simulation)
    assert (entry.severity, entry.message) == ("info", "New Deployment detected, initialization completed.")
    assert (entry.phase, entry.details) == (Phase.INITIALIZED, True)


def test_a_promotion_tells_its_begin_and_its_end() -> None:
    simulation = run(start())
    assert told(simulation) == [STARTED, ("info", "Canary analysis completed successfully, promotion finished.")]
    assert [(entry.phase, entry.details) for entry in posted(simulation)] == [(Phase.PROGRESSING, True), (Phase.SUCCEEDED, False)]


def test_a_skipped_analysis_is_told_as_such() -> None:
    assert told(run(start(skip_analysis=True))) == [STARTED, ("info", "Canary analysis was skipped, promotion finished.")]


def test_a_rollback_is_told_once_with_what_failed() -> None:
    """engine:HAZ-14, ISS-01"""
    simulation = run(start(Answer(checks=(TOO_SLOW,))))
    assert simulation.canary.status.phase is Phase.FAILED
    message = "Canary analysis failed, rolling back: failed checks threshold reached 2: latency 0.70 > 0.5"
    assert told(simulation) == [STARTED, ("error", message)]
    assert (posted(simulation)[-1].phase, posted(simulation)[-1].details) == (Phase.FAILED, False)


def test_a_failed_hook_is_named_too() -> None:
    refused = Answer(hooks=(HookResult("load", passed=False, message="no route"),))
    (_, (_, message)) = told(run(start(refused, threshold=1, has_metrics=False)))
    assert message.endswith("failed checks threshold reached 1: rollout check load failed no route")


def test_a_canary_that_never_gets_ready_is_an_alert() -> None:
    """engine:HAZ-14: Flagger rolls back without a word."""
    simulation = start()
    simulation.release("v1:two")
    simulation.step()
    assert simulation.target
    simulation.target = replace(simulation.target, readiness=Dead("ImagePullBackOff"), available=0)
    simulation.settle()
    assert told(simulation) == [STARTED, ("error", "Canary analysis failed, rolling back: canary web.test not ready: ImagePullBackOff")]


def test_a_rollback_by_hand_is_a_warning() -> None:
    simulation = start(hooks=frozenset({QuestionKind.ROLLBACK}))
    simulation.answer = lambda question: SENT if question.key.kind not in CHECKS else Answer()
    run(simulation, intervals=2)
    assert told(simulation) == [STARTED, ("warn", "Canary analysis failed, rolling back: manual rollback by webhook")]


def test_a_revert_ends_the_run_without_a_failure_alert() -> None:
    """engine:REV-03"""
    simulation = run(start(), intervals=0)
    simulation.release("v1:one")
    simulation.settle()
    assert told(simulation) == [
        STARTED,
        ("info", "Canary analysis cancelled: the target was set back to the promoted revision"),
    ]


def test_a_newer_revision_in_the_middle_is_no_alert_of_its_own() -> None:
    """engine:RESTART"""
    simulation = run(start(), intervals=0)
    simulation.release("v1:three")
    simulation.settle()
    assert told(simulation) == [STARTED]


@pytest.mark.parametrize("routes_weights", [True, False])
def test_a_failed_promotion_is_told_once(routes_weights: bool) -> None:
    """engine:FAILED-PROMOTION; without a router that moves traffic no version may be left that serves."""
    simulation = start(routes_weights=routes_weights)
    simulation.new_primary_readiness = Dead("CrashLoopBackOff")
    run(simulation, intervals=6)
    errors = [message for severity, message in told(simulation) if severity == "error"]
    assert len(errors) == 1
    assert errors[0].startswith("Promotion failed, primary not ready: CrashLoopBackOff")
    assert simulation.primary
    simulation.primary = replace(simulation.primary, readiness=Ready())
    for _ in range(4):
        simulation.advance()
    assert simulation.canary.status.phase is Phase.SUCCEEDED
    assert told(simulation)[-1] == ("info", "Canary analysis completed successfully, promotion finished.")


GATES = {
    QuestionKind.CONFIRM_ROLLOUT: ("Canary is waiting for approval to start: gate ask is closed.", Phase.WAITING),
    QuestionKind.CONFIRM_TRAFFIC_INCREASE: (
        "Canary is waiting for approval of the traffic increase: gate ask is closed.",
        Phase.PROGRESSING,
    ),
    QuestionKind.CONFIRM_PROMOTION: ("Canary is waiting for approval of the promotion: gate ask is closed.", Phase.WAITING_PROMOTION),
}


def gated(kind: QuestionKind, **plan: Any) -> Simulation:
    simulation = start(hooks=frozenset({kind}), **plan)

    def answered(question: Question) -> Answer:
        is_gate = question.key.kind is kind
        return Answer(hooks=(HookResult("ask", passed=False),)) if is_gate else SENT if question.key.kind not in CHECKS else Answer()

    simulation.answer = answered
    return run(simulation, intervals=8)


@pytest.mark.parametrize(("kind", "said"), GATES.items(), ids=GATES)
def test_a_gate_that_stays_closed_is_told_once(kind: QuestionKind, said: tuple[str, Phase]) -> None:
    """engine:GATE-02, engine:HAZ-28, metrics:ALR-11: Flagger repeats the one for the traffic increase each tick."""
    warnings = [entry for entry in posted(gated(kind)) if entry.severity == "warn"]
    assert [(entry.message, entry.phase) for entry in warnings] == [said]


@pytest.mark.parametrize("kind", GATES)
def test_a_muted_gate_is_no_alert(kind: QuestionKind) -> None:
    """engine:HOOK-09: the event is recorded all the same"""
    simulation = gated(kind, muted_gates=frozenset({(kind, "ask")}))
    assert "warn" not in [severity for severity, _ in told(simulation)]
    assert any("waiting for" in message for message in simulation.messages)


@pytest.mark.parametrize(("lowest", "severities"), [(None, []), (Severity.INFO, ["info", "error"]), (Severity.ERROR, ["error"])])
def test_what_nobody_wants_to_be_told_costs_no_write(lowest: Severity | None, severities: list[str]) -> None:
    """metrics:ALR-03, metrics:ALR-04"""
    assert [severity for severity, _ in told(run(start(Answer(checks=(TOO_SLOW,)), alerts_from=lowest)))] == severities


def test_an_alert_stands_in_the_status_that_decides_it() -> None:
    """engine:HAZ-27: a process that ends after this write loses nothing"""
    simulation = run(start(Answer(checks=(TOO_SLOW,)), threshold=1), intervals=0)
    simulation.now += simulation.plan.interval
    simulation.step()
    decision = simulation.step()
    assert decision.status.rollout
    assert decision.status.rollout.outcome
    assert [entry.severity for entry in decision.status.rollout.outbox] == ["error"]


def test_an_unsent_alert_delays_no_rollback_and_is_asked_for_again_after_a_crash() -> None:
    """engine:HAZ-27, engine:HAZ-39"""
    simulation = start()
    simulation.answer = lambda question: {QuestionKind.ALERT: None, QuestionKind.ANALYSIS: Answer(checks=(TOO_SLOW,))}.get(
        question.key.kind, Answer()
    )
    run(simulation)
    assert simulation.canary.status.phase is Phase.FAILED
    assert len(record(simulation).outbox) == 2
    simulation.crash()
    before = len(simulation.asked)
    simulation.settle()
    assert [question.key.kind for question in simulation.asked[before:]] == [QuestionKind.ALERT, QuestionKind.ALERT]
    simulation.answer = lambda _: SENT
    simulation.settle()
    assert record(simulation).outbox == ()


def test_an_alert_that_no_receiver_takes_is_an_event() -> None:
    simulation = start()
    simulation.answer = lambda question: Answer(hooks=(HookResult("chat", passed=False, message="hooks.example: HTTP 404"),))
    simulation.release("v1:two")
    simulation.settle()
    assert "Alert chat was not sent: hooks.example: HTTP 404" in simulation.messages
    assert record(simulation).outbox == ()


@pytest.mark.parametrize("hold", ["suspended", "frozen", "routing fault"])
def test_what_is_due_is_told_while_the_canary_is_held(hold: str) -> None:
    simulation = start()
    simulation.answer = lambda _: None
    simulation.release("v1:two")
    simulation.settle()
    assert record(simulation).outbox
    simulation.plan = replace(simulation.plan, suspended=hold == "suspended")
    simulation.frozen = hold == "frozen"
    if hold == "routing fault":
        simulation.faults = (Fault(ConditionType.ROUTING_READY, "NotServed", "no HTTPRoute here"),)
    simulation.answer = lambda _: SENT
    simulation.settle()
    assert record(simulation).outbox == ()
    assert simulation.canary.status.phase is Phase.PROGRESSING


def test_an_entry_waits_while_the_spec_cannot_be_read() -> None:
    """Nobody could say who is to be told."""
    simulation = start()
    simulation.answer = lambda _: None
    simulation.release("v1:two")
    simulation.settle()
    simulation.faults = (Fault(ConditionType.VALID, "Invalid", "spec.analysis: wrong"),)
    simulation.answer = lambda _: SENT
    simulation.settle()
    assert record(simulation).outbox
    simulation.faults = ()
    simulation.settle()
    assert record(simulation).outbox == ()


def test_a_full_outbox_loses_the_oldest_and_counts_them() -> None:
    """design:§5"""
    turn = Turn(start().world(), START)
    for number in range(OUTBOX_LIMIT + 3):
        post(turn, QuestionKind.ALERT, f"id-{number}", message="text")
    stored = turn.decision().status.rollout
    assert stored
    assert [entry.id for entry in stored.outbox] == [f"id-{number}" for number in range(3, OUTBOX_LIMIT + 3)]
    assert stored.outbox_overflow == 3
    assert "3 notifications of web.test were given up unsent: the outbox is full" in [notice.message for notice in turn.notices]


def test_a_long_cause_is_cut() -> None:
    simulation = run(start(Answer(checks=(replace(TOO_SLOW, message="x" * 2000),)), threshold=1))
    assert len(posted(simulation)[-1].message) == MESSAGE_LIMIT


def plan_with(*alerts: str, has_global_notifier: bool = False) -> Plan:
    spec = manifest().model_dump(by_alias=True, exclude_unset=True, mode="json")
    spec["spec"]["analysis"]["alerts"] = [
        {"name": f"a{number}", "severity": severity, "providerRef": {"name": "p"}} for number, severity in enumerate(alerts)
    ]
    spec["spec"]["analysis"]["webhooks"] = [
        {"name": "quiet", "type": "confirm-promotion", "url": "http://gate", "muteAlert": True},
        {"name": "loud", "type": "confirm-promotion", "url": "http://gate"},
        {"name": "load", "url": "http://load", "muteAlert": True},
    ]
    canary = Canary.model_validate(spec)
    return plan_of(
        canary,
        minimum_interval=timedelta(seconds=10),
        capabilities=Capabilities(weights=True),
        has_global_notifier=has_global_notifier,
    )


@pytest.mark.parametrize(
    ("alerts", "has_global", "lowest"),
    [
        ((), False, None),
        ((), True, Severity.INFO),
        (("error",), True, Severity.ERROR),
        (("error", "warn"), False, Severity.WARN),
        (("error", ""), False, Severity.INFO),
    ],
)
def test_the_plan_knows_the_lowest_severity_that_somebody_takes(alerts: tuple[str, ...], has_global: bool, lowest: Severity | None) -> None:
    """metrics:ALR-03, metrics:ALR-04, api:API-12, api:API-13"""
    assert plan_with(*alerts, has_global_notifier=has_global).alerts_from is lowest


def test_the_plan_knows_the_muted_gates() -> None:
    """engine:HOOK-09"""
    assert plan_with().muted_gates == {(QuestionKind.CONFIRM_PROMOTION, "quiet")}


@pytest.mark.parametrize(("alert", "sent"), [("info", "info warn error"), ("warn", "warn error"), ("error", "error")])
def test_the_severity_filter(alert: str, sent: str) -> None:
    """metrics:ALR-04"""
    assert [message for message in Severity if Severity(alert).takes(message)] == sent.split()
