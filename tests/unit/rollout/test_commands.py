"""Manual commands (design §6, engine:ISS-16): obeyed once, for the run that they name, acknowledged with their effect."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from flagger_py.api.analysis import Severity
from flagger_py.api.commands import Verb
from flagger_py.api.effective import Strategy
from flagger_py.api.metadata import COMMAND
from flagger_py.api.rollout_record import RESULT_LIMIT
from flagger_py.api.status import ConditionType, Phase
from flagger_py.rollout.effects import Effect, Promote, SetTraffic
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.traffic import ALL_PRIMARY
from flagger_py.rollout.world import Fault
from tests.unit.rollout.situations import (
    DEAD,
    EVERY_HOOK,
    NOT_READY,
    THREE,
    TWO,
    asked,
    canary_becomes,
    initialised,
    promoting,
    promotion_failed,
    saying,
    started,
)
from tests.unit.rollout.watched import Watched


def command(simulation: Watched, verb: Verb | str, run: str | None = None, command_id: str = "1") -> str:
    """Annotate the Canary, make one pass, and give the result."""
    body = {"id": command_id, "verb": str(verb), "run": simulation.record.run if run is None else run}
    simulation.edit(annotations={COMMAND: json.dumps(body)})
    simulation.watched_step()
    return result(simulation)


def result(simulation: Watched) -> str:
    stored = simulation.record.command
    return stored.result if stored else ""


def effects(simulation: Watched) -> list[type[Effect]]:
    return [type(effect) for effect in simulation.decisions[-1].effects]


def failed() -> Watched:
    simulation = started(saying(analysis=False))
    simulation.advance()
    simulation.advance()
    assert simulation.phase() is Phase.FAILED
    simulation.answer = saying()
    return simulation


class TestPromote:
    @pytest.mark.parametrize("strategy", Strategy)
    def test_it_skips_the_rest_of_the_analysis(self, strategy: Strategy) -> None:
        simulation = started(strategy=strategy, iterations=5)
        checks = asked(simulation, QuestionKind.ANALYSIS)
        assert command(simulation, Verb.PROMOTE) == "done"
        assert Promote in effects(simulation)
        simulation.settle()
        assert simulation.primary_revision == TWO
        assert asked(simulation, QuestionKind.ANALYSIS) == checks
        simulation.advance()
        assert simulation.phase() is Phase.SUCCEEDED

    def test_it_opens_the_gate_of_the_promotion(self) -> None:
        simulation = started(saying(confirm_promotion=False), hooks=frozenset({QuestionKind.CONFIRM_PROMOTION}))
        simulation.advance()
        simulation.advance()
        assert simulation.phase() is Phase.WAITING_PROMOTION
        assert command(simulation, Verb.PROMOTE) == "done"
        simulation.settle()
        simulation.advance()
        assert simulation.phase() is Phase.SUCCEEDED

    def test_a_canary_that_is_not_ready_is_waited_for(self) -> None:
        simulation = started()
        canary_becomes(simulation, NOT_READY)
        assert command(simulation, Verb.PROMOTE) == "done"
        assert Promote not in effects(simulation)
        assert simulation.record.promoting


class TestAbort:
    @pytest.mark.parametrize("gate", [None, "confirm_traffic_increase", "confirm_promotion"])
    def test_it_rolls_back_whatever_the_run_waits_for(self, gate: str | None) -> None:
        """engine:ISS-05, ISS-07, ISS-08"""
        simulation = started(saying(**({gate: False} if gate else {})), hooks=EVERY_HOOK, alerts_from=Severity.INFO)
        simulation.advance()
        assert command(simulation, Verb.ABORT) == "done"
        assert simulation.record.outcome
        assert simulation.record.outcome.reason == "aborted by command 1"
        assert [entry.severity for entry in simulation.record.outbox if "rolling back" in entry.message] == ["warn"]
        simulation.settle()
        assert (simulation.phase(), simulation.routes) == (Phase.FAILED, ALL_PRIMARY)

    def test_pods_that_do_not_get_ready_do_not_hold_it(self) -> None:
        """engine:HAZ-40"""
        simulation = started()
        canary_becomes(simulation, NOT_READY)
        command(simulation, Verb.ABORT)
        simulation.settle()
        assert simulation.phase() is Phase.FAILED

    def test_the_traffic_is_urgent_and_in_the_same_pass(self) -> None:
        simulation = started()
        command(simulation, Verb.ABORT)
        assert SetTraffic in effects(simulation)


class TestPause:
    def test_the_weight_stays_while_checks_go_on(self) -> None:
        simulation = started(steps=(20, 40, 60), max_weight=60)
        assert command(simulation, Verb.PAUSE) == "done"
        checks = asked(simulation, QuestionKind.ANALYSIS)
        for _ in range(5):
            simulation.advance()
        assert simulation.weight == 20
        assert asked(simulation, QuestionKind.ANALYSIS) == checks + 5
        condition = simulation.status.condition(ConditionType.PROMOTED)
        assert condition
        assert (condition.reason, condition.message) == ("Progressing", "The rollout is paused by hand.")
        assert command(simulation, Verb.RESUME, command_id="2") == "done"
        simulation.advance()
        assert simulation.weight == 40
        condition = simulation.status.condition(ConditionType.PROMOTED)
        assert condition
        assert condition.message == "New revision detected, progressing canary analysis."

    def test_a_bad_version_is_rolled_back_all_the_same(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        simulation.answer = saying(analysis=False)
        simulation.advance()
        simulation.advance()
        assert (simulation.phase(), simulation.record.paused_since) == (Phase.FAILED, None)

    def test_so_is_a_dead_one(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        canary_becomes(simulation, DEAD)
        simulation.settle()
        assert simulation.phase() is Phase.FAILED

    @pytest.mark.parametrize("skip_analysis", [False, True])
    def test_it_holds_the_first_step(self, *, skip_analysis: bool) -> None:
        simulation = initialised(hooks=frozenset({QuestionKind.PRE_ROLLOUT}), skip_analysis=skip_analysis)
        simulation.release(TWO)
        simulation.watched_step()
        assert command(simulation, Verb.PAUSE) == "done"
        for _ in range(3):
            simulation.advance()
        assert (simulation.weight, asked(simulation, QuestionKind.PRE_ROLLOUT), simulation.primary_revision) == (0, 0, "v1:one")
        command(simulation, Verb.RESUME, command_id="2")
        for _ in range(5):
            simulation.advance()
        assert simulation.phase() is Phase.SUCCEEDED

    def test_it_holds_the_promotion_without_asking_its_gate(self) -> None:
        simulation = started(hooks=frozenset({QuestionKind.CONFIRM_PROMOTION}))
        simulation.advance()
        command(simulation, Verb.PAUSE)
        for _ in range(3):
            simulation.advance()
        assert (simulation.weight, asked(simulation, QuestionKind.CONFIRM_PROMOTION)) == (40, 0)
        assert simulation.phase() is Phase.PROGRESSING

    def test_it_survives_a_restart_of_the_controller(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        simulation.crash()
        for _ in range(3):
            simulation.advance()
        assert simulation.weight == 20

    def test_it_ends_with_its_run(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        simulation.release(THREE)
        simulation.settle()
        assert simulation.record.paused_since is None
        for _ in range(4):
            simulation.advance()
        assert simulation.phase() is Phase.SUCCEEDED

    def test_twice_is_as_good_as_once(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        since = simulation.record.paused_since
        simulation.advance(3)
        assert command(simulation, Verb.PAUSE, command_id="2") == "done"
        assert simulation.record.paused_since == since


class TestSkip:
    def test_the_next_weight_comes_at_once(self) -> None:
        simulation = started(steps=(20, 40, 60), max_weight=60)
        assert command(simulation, Verb.SKIP) == "done"
        simulation.settle()
        assert (simulation.weight, simulation.record.step) == (40, 2)

    def test_a_pause_stays(self) -> None:
        simulation = started(steps=(20, 40, 60), max_weight=60)
        command(simulation, Verb.PAUSE)
        command(simulation, Verb.SKIP, command_id="2")
        for _ in range(3):
            simulation.advance()
        assert simulation.weight == 40

    def test_a_closed_gate_is_skipped(self) -> None:
        simulation = started(saying(confirm_traffic_increase=False), hooks=frozenset({QuestionKind.CONFIRM_TRAFFIC_INCREASE}))
        assert simulation.weight == 0
        assert command(simulation, Verb.SKIP) == "done"
        simulation.settle()
        assert (simulation.weight, simulation.record.gate) == (20, None)

    def test_a_failing_pre_rollout_hook_is_skipped(self) -> None:
        simulation = started(saying(pre_rollout=False), hooks=frozenset({QuestionKind.PRE_ROLLOUT}))
        assert command(simulation, Verb.SKIP) == "done"
        simulation.settle()
        assert simulation.weight == 20

    def test_after_the_last_step_comes_the_promotion(self) -> None:
        simulation = started()
        simulation.advance()
        assert command(simulation, Verb.SKIP) == "done"
        simulation.settle()
        assert simulation.primary_revision == TWO

    def test_what_is_not_ready_cannot_be_skipped(self) -> None:
        """No weight is raised for pods that cannot take it."""
        simulation = started()
        canary_becomes(simulation, NOT_READY)
        assert command(simulation, Verb.SKIP) == "refused: canary not ready: 0 of 2 pods available"
        assert simulation.weight == 20


class TestRestart:
    def test_the_revision_runs_again_from_its_first_step(self) -> None:
        simulation = started(hooks=frozenset({QuestionKind.PRE_ROLLOUT, QuestionKind.CONFIRM_ROLLOUT}))
        simulation.advance()
        first, hooks = simulation.record.run, asked(simulation, QuestionKind.PRE_ROLLOUT)
        assert command(simulation, Verb.RESTART) == "done"
        assert simulation.record.run != first
        simulation.settle()
        assert simulation.weight == 20
        assert asked(simulation, QuestionKind.PRE_ROLLOUT) == hooks + 1
        assert asked(simulation, QuestionKind.CONFIRM_ROLLOUT) == 1
        for _ in range(3):
            simulation.advance()
        assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, TWO)


class TestRetry:
    @pytest.mark.parametrize("names_run", [True, False])
    def test_a_failed_revision_is_run_once_more(self, *, names_run: bool) -> None:
        simulation = failed()
        first = simulation.record.run
        assert command(simulation, Verb.RETRY, first if names_run else "") == "done"
        assert simulation.phase() is Phase.PROGRESSING
        assert simulation.record.run != first
        for _ in range(5):
            simulation.advance()
        assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, TWO)
        assert simulation.phase() is Phase.SUCCEEDED, "the annotation stays, and is not obeyed again"

    def test_it_asks_for_approval_as_any_run(self) -> None:
        simulation = failed()
        simulation.plan = replace(simulation.plan, hooks=frozenset({QuestionKind.CONFIRM_ROLLOUT}))
        simulation.answer = saying(confirm_rollout=False)
        command(simulation, Verb.RETRY, "")
        simulation.settle()
        assert simulation.phase() is Phase.WAITING

    def test_the_promoted_revision_needs_none(self) -> None:
        simulation = failed()
        simulation.release("v1:one")
        assert command(simulation, Verb.RETRY) == "refused: the target is at the promoted revision"

    def test_a_frozen_controller_starts_it_later(self) -> None:
        simulation = failed()
        simulation.frozen = True
        assert command(simulation, Verb.RETRY) == "done"
        assert simulation.phase() is Phase.FAILED
        simulation.frozen = False
        simulation.settle()
        assert simulation.phase() is Phase.PROGRESSING

    def test_a_failed_promotion_repairs_itself(self) -> None:
        assert command(promotion_failed(), Verb.RETRY) == "refused: the canary serves until the primary is ready"


class TestRefused:
    @pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.RETRY])
    @pytest.mark.parametrize(
        ("situation", "why"),
        [
            pytest.param(initialised, "no run is under way, it is Initialized", id="settled"),
            pytest.param(failed, "no run is under way, it is Failed", id="failed"),
            pytest.param(lambda: promoting(NOT_READY), "the promotion has begun", id="promoting"),
        ],
    )
    def test_in_a_phase_that_has_nothing_to_change(self, verb: Verb, situation: Callable[[], Watched], why: str) -> None:
        simulation = situation()
        before = simulation.status
        found = command(simulation, verb)
        assert found in {f"refused: {why}", "refused: it is not paused"}
        assert simulation.phase() is before.phase

    @pytest.mark.parametrize("verb", Verb)
    def test_for_another_run(self, verb: Verb) -> None:
        """An order that comes late, or again from a backup, hits nothing else."""
        simulation = started()
        run = simulation.record.run
        assert command(simulation, verb, "older") == f"refused: the run is {run}, not older"
        assert (simulation.weight, simulation.record.paused_since, simulation.record.outcome) == (20, None, None)
        message = f"Manual command {verb} (1) on web.test refused: the run is {run}, not older"
        assert message in simulation.messages

    @pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.RETRY])
    def test_without_a_run(self, verb: Verb) -> None:
        simulation = started()
        assert command(simulation, verb, "") == f"refused: it names no run; the run is {simulation.record.run}"

    def test_while_the_target_is_changed(self) -> None:
        simulation = started()
        simulation.release(THREE)
        assert command(simulation, Verb.PROMOTE) == "refused: the target is changed, a new run begins"
        simulation.settle()
        assert simulation.primary_revision == "v1:one"

    def test_while_the_run_ends(self) -> None:
        simulation = started()
        command(simulation, Verb.ABORT)
        assert command(simulation, Verb.PROMOTE, command_id="2").startswith("refused: the run ends already: aborted")

    def test_a_malformed_one_is_told_and_acknowledged_if_it_has_an_id(self) -> None:
        simulation = started()
        assert command(simulation, "stop").startswith("refused: metadata.annotations[flagger.app/command].verb")
        assert len(result(simulation)) == RESULT_LIMIT
        simulation.edit(annotations={COMMAND: "stop"})
        simulation.watched_step()
        assert simulation.messages[-1].startswith("Manual command refused: metadata.annotations[flagger.app/command] is no JSON")
        assert simulation.weight == 20


class TestOnce:
    def test_it_is_acknowledged_in_the_patch_that_has_its_effect(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        (decision,) = (decision for decision in simulation.decisions if decision.status.rollout and decision.status.rollout.command)
        assert decision.status.rollout
        assert decision.status.rollout.paused_since

    def test_the_annotation_stays_and_is_not_obeyed_again(self) -> None:
        simulation = started()
        command(simulation, Verb.PAUSE)
        annotation = simulation.canary.metadata.annotations
        command(simulation, Verb.RESUME, command_id="2")
        simulation.edit(annotations=annotation)
        simulation.watched_step()
        assert simulation.record.command
        assert simulation.record.command.id == "1", "another id than the last is another command"
        simulation.crash()
        told = sum("obeyed" in text for text in simulation.messages)
        simulation.settle()
        assert sum("obeyed" in text for text in simulation.messages) == told

    def test_a_crash_before_the_effects_loses_nothing(self) -> None:
        simulation = started()
        simulation.edit(annotations={COMMAND: json.dumps({"id": "1", "verb": "abort", "run": simulation.record.run})})
        simulation.applied, simulation.lose_from = 0, 0
        simulation.watched_step()
        simulation.lose_from = None
        simulation.crash()
        simulation.settle()
        assert simulation.phase() is Phase.FAILED

    @pytest.mark.parametrize("held", ["suspended", "frozen", "faulty"])
    def test_while_all_is_held_it_waits(self, held: str) -> None:
        simulation = started()
        simulation.plan = replace(simulation.plan, suspended=held == "suspended")
        simulation.frozen = held == "frozen"
        simulation.faults = (Fault(ConditionType.VALID, "Invalid", "no"),) if held == "faulty" else ()
        assert command(simulation, Verb.ABORT) == ""
        simulation.plan, simulation.frozen, simulation.faults = replace(simulation.plan, suspended=False), False, ()
        simulation.watched_step()
        assert result(simulation) == "done"


def test_an_initialising_canary_refuses() -> None:
    simulation = Watched(answer=saying(), target=None)
    simulation.watched_step()
    simulation = Watched(answer=saying(), new_primary_readiness=NOT_READY)
    simulation.settle()
    assert command(simulation, Verb.PROMOTE, "") == "refused: no run is under way, it is Initializing"
    assert command(simulation, Verb.RETRY, "", "2") == "refused: nothing has failed, it is Initializing"
