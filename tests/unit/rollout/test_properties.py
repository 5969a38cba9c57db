"""What must hold for every input (design §3): random interleavings of users, pods, faults, crashes, commands, a deletion, and time."""

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flagger_py.api.analysis import Severity
from flagger_py.api.commands import Verb
from flagger_py.api.metadata import COMMAND, FINALIZER
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.api.status import Phase
from flagger_py.rollout.questions import Answer, Question, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes
from flagger_py.rollout.verdicts import CheckResult, HookResult
from tests.unit.rollout.simulation import weighted_plan
from tests.unit.rollout.watched import Watched

SETTLED = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED)
REVISIONS = st.sampled_from(["v1:one", "v1:two", "v1:three"])
READINESS: st.SearchStrategy[Readiness] = st.sampled_from([Ready(), NotReady("0 of 2 pods available"), Dead("ProgressDeadlineExceeded")])
NO_HOOKS = (QuestionKind.ANALYSIS, QuestionKind.AVAILABILITY, QuestionKind.ALERT)
ALL_HOOKS = frozenset(kind for kind in QuestionKind if kind not in NO_HOOKS)
FAILED_CHECK = CheckResult("request-success-rate", 1.0, ">= 99", CheckOutcome.FAIL, "Halt")


class Rollouts(RuleBasedStateMachine):
    """A weighted Canary with every hook and with alerts, driven at random."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome = "pass"
        self.alerted: set[datetime] = set()
        self.commands = 0
        self.simulation = Watched(plan=weighted_plan(hooks=ALL_HOOKS, alerts_from=Severity.INFO), answer=self._answer)

    @initialize(start=st.sampled_from(["new", "initialised", "started", "started"]), revert=st.booleans())
    def stands_at(self, start: str, *, revert: bool) -> None:
        """Most of what can happen needs a run under way."""
        self.simulation.plan = replace(self.simulation.plan, revert_on_deletion=revert)
        if start != "new":
            self.simulation.settle()
        if start == "started":
            self.simulation.release("v1:two")
            self.simulation.settle()

    def _answer(self, question: Question) -> Answer | None:
        kind = question.key.kind
        if self.outcome == "silent":
            return None
        passed = self.outcome == "pass"
        if kind is QuestionKind.ROLLBACK:
            return Answer(hooks=(HookResult("abort", self.outcome == "abort"),))
        if kind in (QuestionKind.ANALYSIS, QuestionKind.AVAILABILITY):
            return Answer(checks=() if passed else (FAILED_CHECK,))
        return Answer(hooks=(HookResult(kind.value, passed),))

    @rule(outcome=st.sampled_from(["pass", "pass", "fail", "silent", "abort"]))
    def hooks_and_metrics_say(self, outcome: str) -> None:
        self.outcome = outcome

    @rule(revision=REVISIONS)
    def release(self, revision: str) -> None:
        if self.simulation.target and self.simulation.target.revision != revision:
            self.simulation.release(revision)

    @rule(checksum=st.sampled_from(["a", "b"]))
    def change_config(self, checksum: str) -> None:
        self.simulation.configure(checksum)

    @rule(readiness=READINESS)
    def canary_becomes(self, readiness: Readiness) -> None:
        if self.simulation.target:
            available = self.simulation.target.replicas if isinstance(readiness, Ready) else 0
            self.simulation.target = replace(self.simulation.target, readiness=readiness, available=available)

    @rule(readiness=READINESS)
    def primary_becomes(self, readiness: Readiness) -> None:
        self.simulation.new_primary_readiness = readiness
        if self.simulation.primary:
            self.simulation.primary = replace(self.simulation.primary, readiness=readiness)

    @rule(weight=st.integers(0, 100))
    def somebody_edits_the_route(self, weight: int) -> None:
        if isinstance(self.simulation.routes, Routes):
            self.simulation.routes = Routes(100 - weight, weight)

    @rule()
    def somebody_deletes_the_primary(self) -> None:
        if self.simulation.status.phase in SETTLED:
            self.simulation.primary = None

    @precondition(lambda self: self.simulation.status.rollout and self.simulation.status.rollout.run)
    @rule(verb=st.sampled_from(Verb), names_run=st.sampled_from([True, True, True, False]))
    def a_person_commands(self, verb: Verb, *, names_run: bool) -> None:
        """The annotation stays until the next one."""
        self.commands += 1
        body = {"id": str(self.commands), "verb": verb.value, "run": self.simulation.record.run if names_run else ""}
        self.simulation.edit(annotations={COMMAND: json.dumps(body)})
        self._pass()

    @rule(revert=st.booleans())
    def somebody_wants_it_reverted_on_deletion(self, *, revert: bool) -> None:
        self.simulation.plan = replace(self.simulation.plan, revert_on_deletion=revert)

    @precondition(lambda self: FINALIZER in self.simulation.canary.metadata.finalizers)
    @rule(is_late=st.booleans())
    def somebody_deletes_the_canary(self, *, is_late: bool) -> None:
        """Rarely, because nothing comes after it."""
        if is_late and self.commands > 2 and not self.simulation.canary.metadata.deletion_timestamp:
            self.simulation.delete()

    @rule(skip=st.booleans(), threshold=st.integers(1, 3))
    def somebody_edits_the_spec(self, skip: bool, threshold: int) -> None:
        self.simulation.plan = replace(self.simulation.plan, skip_analysis=skip, threshold=threshold)

    @rule(seconds=st.sampled_from([1, 5, 10, 25, 70]))
    def time_goes_by(self, seconds: int) -> None:
        self.simulation.now += seconds * (self.simulation.plan.interval / 10)

    @rule(passes=st.integers(1, 4))
    def passes(self, passes: int) -> None:
        for _ in range(passes):
            self._pass()

    @rule(kept=st.integers(0, 2))
    def a_pass_crashes_after_some_effects(self, kept: int) -> None:
        self.simulation.applied = 0
        self.simulation.lose_from = kept
        self._pass()
        self.simulation.lose_from = None
        self.simulation.crash()

    def _pass(self) -> None:
        if self.simulation.gone:
            return
        self.simulation.watched_step()
        self._note_alerts()

    @invariant()
    def failed_checks_are_below_the_threshold_or_the_run_ends(self) -> None:
        status = self.simulation.status
        if status.phase is Phase.PROGRESSING and status.rollout and status.rollout.outcome is None:
            assert status.failed_checks <= 3

    @invariant()
    def what_is_paused_is_a_run_under_way(self) -> None:
        status = self.simulation.status
        if status.rollout and status.rollout.paused_since:
            assert status.phase in (Phase.PROGRESSING, Phase.WAITING_PROMOTION)
            assert status.rollout.outcome is None
            assert not status.rollout.promoting

    @invariant()
    def a_command_is_obeyed_or_refused(self) -> None:
        status = self.simulation.status
        if status.rollout and status.rollout.command:
            assert status.rollout.command.result == "done" or status.rollout.command.result.startswith("refused: ")

    @invariant()
    def a_run_that_failed_was_told_of(self) -> None:
        """engine:HAZ-14: whatever the cause, and in the patch that decided it."""
        status = self.simulation.status
        if status.rollout and status.rollout.outcome and status.rollout.outcome.result in ("failed", "promotionFailed"):
            assert status.rollout.outcome.at in self.alerted, status.rollout.outcome

    def _note_alerts(self) -> None:
        outbox = self.simulation.status.rollout.outbox if self.simulation.status.rollout else ()
        assert len({entry.id for entry in outbox}) == len(outbox) <= 16
        self.alerted |= {entry.at for entry in outbox if entry.severity in ("error", "warn")}

    @precondition(lambda self: self.simulation.status.phase is not Phase.NONE)
    @rule()
    def all_heals(self) -> None:
        """The newest revision is promoted in the end, whatever came before; a Canary that is deleted goes, and users are served."""
        simulation = self.simulation
        self.outcome = "pass"
        self._resume()
        for _ in range(60):
            self.canary_becomes(Ready())
            self.primary_becomes(Ready())
            self._pass()
            simulation.now += simulation.plan.interval / 2
        if simulation.canary.metadata.deletion_timestamp:
            assert simulation.gone
            return
        assert simulation.status.phase in SETTLED, simulation.decisions[-1].reason
        assert simulation.target
        assert simulation.record.revision == simulation.target.revision
        assert dict(simulation.status.tracked_configs or {}) == dict(simulation.checksums or {})
        if simulation.status.phase is not Phase.FAILED:
            assert simulation.record.promoted_revision == simulation.target.revision
            assert simulation.primary_revision == simulation.target.revision
        assert simulation.routes == ALL_PRIMARY

    def _resume(self) -> None:
        record = self.simulation.status.rollout
        if record and record.paused_since:
            self.simulation.edit(annotations={COMMAND: json.dumps({"id": "resume", "verb": "resume", "run": record.run})})
        else:
            self.simulation.edit(annotations={})


TestRollouts = pytest.mark.timeout(120)(Rollouts.TestCase)
TestRollouts.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(HypothesisPhase.explicit, HypothesisPhase.generate, HypothesisPhase.shrink),
)
