"""A/B tests, blue/green, mirroring and session affinity, pass by pass on a simulated cluster (engine:§6)."""

import re
from dataclasses import replace
from typing import Any

import pytest

from flagger_py.api.effective import Strategy
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout.effects import SetTraffic
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, MIRRORED, Affinity, Routes
from flagger_py.rollout.verdicts import CheckResult, HookResult
from tests.unit.rollout.simulation import Simulation, weighted_plan

FAILING = Answer(checks=(CheckResult("request-success-rate", 50.0, ">= 99%", CheckOutcome.FAIL, "Halt"),))


def simulation(strategy: Strategy, **changes: Any) -> Simulation:
    """A settled Canary of this strategy, with version two just released."""
    started = Simulation(plan=weighted_plan(strategy=strategy, **changes)).initialise()
    started.release("v1:two")
    started.settle()
    return started


def timeline(run: Simulation, limit: int = 12) -> list[tuple[Phase, int, object]]:
    """(phase, iterations, routes) after each interval, until the run is settled."""
    seen: list[tuple[Phase, int, object]] = []
    for _ in range(limit):
        seen.append((run.canary.status.phase, run.canary.status.iterations, run.routes))
        if run.canary.status.phase in (Phase.SUCCEEDED, Phase.FAILED):
            return seen
        run.advance()
    raise AssertionError(f"does not end: {seen}")


def analyses(run: Simulation) -> int:
    return sum(question.key.kind is QuestionKind.ANALYSIS for question in run.asked)


def test_an_ab_test_sends_matching_users_for_all_iterations_and_is_promoted() -> None:
    """engine:AB-01, AB-03: iteration 1 without analysis, N analyses."""
    run = simulation(Strategy.AB_TESTING, iterations=3)
    assert timeline(run) == [
        (Phase.PROGRESSING, 1, ALL_CANARY),
        (Phase.PROGRESSING, 2, ALL_CANARY),
        (Phase.PROGRESSING, 3, ALL_CANARY),
        (Phase.FINALISING, 0, ALL_PRIMARY),
        (Phase.SUCCEEDED, 0, ALL_PRIMARY),
    ]
    assert analyses(run) == 3
    assert run.primary_revision == "v1:two"


def test_blue_green_switches_after_its_iterations_and_checks_once_more() -> None:
    """engine:BG-02, BG-03: N+1 analyses."""
    run = simulation(Strategy.BLUE_GREEN, iterations=2)
    assert timeline(run) == [
        (Phase.PROGRESSING, 1, ALL_PRIMARY),
        (Phase.PROGRESSING, 2, ALL_PRIMARY),
        (Phase.PROGRESSING, 3, ALL_CANARY),
        (Phase.FINALISING, 0, ALL_PRIMARY),
        (Phase.SUCCEEDED, 0, ALL_PRIMARY),
    ]
    assert analyses(run) == 3
    assert "Routing all traffic to canary" in run.messages


def test_blue_green_mirrors_during_its_iterations() -> None:
    """engine:MIR-02."""
    run = simulation(Strategy.BLUE_GREEN, iterations=2, mirror=True)
    assert [routes for _, _, routes in timeline(run)][:3] == [MIRRORED, MIRRORED, ALL_CANARY]


def test_without_a_router_users_meet_the_new_version_when_the_primary_rolls() -> None:
    """engine:BG-04: the same counts, no traffic moved."""
    run = simulation(Strategy.BLUE_GREEN, iterations=2, routes_weights=False)
    seen = timeline(run)
    assert {routes for _, _, routes in seen} == {ALL_PRIMARY}
    assert [iterations for _, iterations, _ in seen] == [1, 2, 3, 0, 0]
    assert (analyses(run), run.primary_revision) == (3, "v1:two")


def test_a_weighted_run_mirrors_for_one_step_before_the_first_weight() -> None:
    """engine:MIR-01, ACC-04."""
    run = simulation(Strategy.WEIGHTED, mirror=True)
    assert [routes for _, _, routes in timeline(run)] == [MIRRORED, Routes(80, 20), Routes(60, 40), ALL_PRIMARY, ALL_PRIMARY]


def test_the_mirror_does_not_use_up_the_traffic_gate() -> None:
    """engine:HAZ-23: the gate is asked before the first real traffic."""

    def answer(question: Question) -> Answer:
        return Answer(hooks=(HookResult("gate", question.key.kind is not QuestionKind.CONFIRM_TRAFFIC_INCREASE),))

    run = Simulation(plan=weighted_plan(mirror=True, hooks=frozenset({QuestionKind.CONFIRM_TRAFFIC_INCREASE})), answer=answer).initialise()
    run.release("v1:two")
    run.settle()
    assert run.routes == MIRRORED
    run.advance()
    run.advance()
    assert run.routes == MIRRORED


def test_the_promotion_gate_of_blue_green_is_asked_before_the_switch_and_before_the_promotion() -> None:
    """engine:BG-02, HAZ-24: the gate has a state of its own, and the iterations do not run back."""
    is_open = False

    def answer(question: Question) -> Answer:
        return Answer(hooks=(HookResult("gate", is_open or question.key.kind is not QuestionKind.CONFIRM_PROMOTION),))

    plan = weighted_plan(strategy=Strategy.BLUE_GREEN, iterations=1, hooks=frozenset({QuestionKind.CONFIRM_PROMOTION}))
    run = Simulation(plan=plan, answer=answer).initialise()
    run.release("v1:two")
    run.settle()
    for _ in range(3):
        run.advance()
        assert (run.canary.status.phase, run.canary.status.iterations, run.routes) == (Phase.WAITING_PROMOTION, 1, ALL_PRIMARY)
    is_open = True
    run.advance()
    assert (run.canary.status.phase, run.routes) == (Phase.PROGRESSING, ALL_CANARY)
    is_open = False
    run.advance()
    assert (run.canary.status.phase, run.routes) == (Phase.WAITING_PROMOTION, ALL_CANARY)
    is_open = True
    for _ in range(3):
        run.advance()
    assert run.canary.status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("strategy", [Strategy.AB_TESTING, Strategy.BLUE_GREEN])
def test_a_bad_version_is_rolled_back(strategy: Strategy) -> None:
    run = simulation(strategy, iterations=3)
    run.answer = lambda question: FAILING if question.key.kind is QuestionKind.ANALYSIS else Answer()
    assert timeline(run)[-1] == (Phase.FAILED, 0, ALL_PRIMARY)
    assert run.primary_revision == "v1:one"


DEAD = Dead("progress deadline exceeded")
FOR_EVERYONE = Routes(0, 100, everyone=True)


def test_a_failed_promotion_of_an_ab_test_leaves_nobody_on_the_broken_primary() -> None:
    """engine:ST-17, HAZ-19, routers:CTR-15: the canary serves those outside the match too, until the primary has recovered."""
    run = simulation(Strategy.AB_TESTING, iterations=1, has_match=True)
    run.new_primary_readiness = DEAD
    assert timeline(run) == [(Phase.PROGRESSING, 1, ALL_CANARY), (Phase.FAILED, 0, FOR_EVERYONE)]
    run.release("v1:three")
    run.settle()
    assert (run.canary.status.phase, run.routes) == (Phase.PROGRESSING, FOR_EVERYONE)
    run.new_primary_readiness = Ready()
    assert timeline(run)[-1] == (Phase.SUCCEEDED, 0, ALL_PRIMARY)
    assert run.primary_revision == "v1:three"


@pytest.mark.parametrize("stages", [0, 50], ids=["at once", "in stages"])
def test_a_recovered_primary_gets_everyone_back_who_does_not_match(stages: int) -> None:
    """engine:HAZ-19, WGT-10: with stages, those who match follow in stages."""
    run = simulation(Strategy.AB_TESTING, iterations=1, has_match=True, step_weight_promotion=stages)
    run.new_primary_readiness = DEAD
    timeline(run)
    assert run.primary
    run.primary = replace(run.primary, readiness=Ready())
    run.settle()
    assert run.routes == (Routes(50, 50) if stages else ALL_PRIMARY)
    assert timeline(run)[-1][0] is Phase.SUCCEEDED


def test_a_canary_that_is_not_ready_is_not_given_everyone() -> None:
    """engine:HAZ-25: the same weights for more requests are more traffic."""
    run = simulation(Strategy.AB_TESTING, iterations=1, has_match=True)
    run.new_primary_readiness = DEAD
    timeline(run)
    assert run.target
    run.routes = ALL_CANARY  # somebody has edited them
    run.target = replace(run.target, readiness=NotReady("1 of 2 pods available"))
    run.settle()
    assert run.routes == ALL_CANARY
    run.target = replace(run.target, readiness=Ready())
    run.settle()
    assert run.routes == FOR_EVERYONE
    assert "Routes of web.test stand at 0/100 instead of 0/100 for everyone, setting them again" in run.messages


def affinity_of(run: Simulation) -> Affinity:
    """The cookies of the traffic that was asked for last."""
    return next(
        effect.traffic.affinity for decision in reversed(run.decisions) for effect in decision.effects if isinstance(effect, SetTraffic)
    )


def test_the_canary_cookie_lasts_for_the_run_and_is_expired_after_it() -> None:
    """routers:SA-01, SA-03, SA-09, SA-13; engine:SES-02..04, workloads:ST-09: stored before they are routed."""
    run = simulation(Strategy.WEIGHTED, cookie="canary")
    first = affinity_of(run)
    assert re.fullmatch(r"canary=[a-zA-Z]{10}", first.canary)
    assert run.canary.status.session_affinity_cookie == first.canary
    run.advance()
    assert affinity_of(run) == first
    timeline(run)
    assert affinity_of(run) == Affinity(previous=first.canary)
    assert run.canary.status.previous_session_affinity_cookie == first.canary
    run.release("v1:three")
    run.settle()
    assert affinity_of(run).canary not in ("", first.canary)


def test_the_primary_cookie_changes_with_each_weight_and_goes_with_the_run() -> None:
    """routers:SA-08: whoever is pinned to the primary may move to the canary when the weight rises."""
    run = simulation(Strategy.WEIGHTED, cookie="canary", primary_cookie="primary")
    first = affinity_of(run).primary
    run.advance()
    second = affinity_of(run).primary
    assert re.fullmatch(r"primary=[a-zA-Z]{10}", first)
    assert first != second
    timeline(run)
    assert affinity_of(run).primary == ""


def test_cookies_are_derived_so_that_a_replay_pins_nobody_anew() -> None:
    """engine:HAZ-30: they are stored before they are routed."""
    run = simulation(Strategy.WEIGHTED, cookie="canary", primary_cookie="primary")
    before = affinity_of(run)
    run.routes = ALL_PRIMARY  # the route write was lost
    run.settle()
    assert affinity_of(run) == before


def test_a_nameless_primary_cookie_of_flagger_is_left_alone() -> None:
    """routers:SA-08, CTR-22."""
    run = Simulation(plan=weighted_plan(cookie="canary")).initialise()
    status = run.canary.status.model_copy(update={"primary_session_affinity_cookie": "=gauYwDVBhf"})
    run.canary = run.canary.model_copy(update={"status": status})
    run.release("v1:two")
    run.settle()
    assert affinity_of(run).primary == ""
    assert run.canary.status.primary_session_affinity_cookie == "=gauYwDVBhf"


def test_iterations_that_are_lowered_in_the_middle_end_the_run() -> None:
    """engine:AB-02: a count beyond the iterations is no reason to be stuck."""
    run = simulation(Strategy.AB_TESTING, iterations=5)
    run.advance()
    run.advance()
    run.plan = replace(run.plan, iterations=2)
    assert timeline(run)[-1][0] is Phase.SUCCEEDED
