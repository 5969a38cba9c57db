"""A turn: the working copy of one decision. Pure from outside (`decide` makes it and drops it); inside it collects what the phases say."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from flagger_py.api.rollout_record import MESSAGE_LIMIT, RolloutRecord, UnreadySince
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.rollout import conditions
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.effects import Effect
from flagger_py.rollout.identity import configs_digest, flagger_hash, run_id
from flagger_py.rollout.notices import Notice, Severity
from flagger_py.rollout.questions import Question, QuestionKey
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes
from flagger_py.rollout.views import PrimaryView, TargetView
from flagger_py.rollout.world import World

RUN_PHASES: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})
"""The canary has pods, and may have traffic."""
UNKNOWN_REVISION: Final = "adopted"
"""Stands for what the primary carries where its hash cannot be computed: it was made by Flagger and differs from the target."""


class Turn:
    """What the world is, what the status will be, and what follows."""

    def __init__(self, world: World, now: datetime) -> None:
        self.world = world
        self.plan = world.plan
        self.now = now
        self.status: CanaryStatus = world.canary.status
        self.record: RolloutRecord = self.status.rollout or RolloutRecord()
        self.effects: list[Effect] = []
        self.notices: list[Notice] = []
        self.questions: list[Question] = []
        self.consulted: set[QuestionKey] = set()
        self.wake_at: datetime | None = None
        self.retry = False
        self.reason = ""
        self.skips_step = False
        """A person wants the next step now; false again once it is taken."""

    # what is there

    @property
    def target(self) -> TargetView:
        """The target, where the caller knows that it exists."""
        if self.world.target is None:
            raise ValueError(f"{self.plan.target_name} does not exist")
        return self.world.target

    @property
    def canary_replicas(self) -> int:
        """Wanted pods of the canary; 0 for a kind that has none."""
        target = self.world.target
        return target.replicas if target and target.has_pods else 0

    @property
    def primary(self) -> PrimaryView | None:
        return self.world.primary

    @property
    def phase(self) -> Phase:
        return self.status.phase

    @property
    def desired(self) -> Routes:
        """The traffic that the stored status wants. A canary that serves in the primary's place serves everyone (engine:HAZ-19)."""
        wanted = self.record.desired
        if wanted is None:
            return ALL_PRIMARY
        is_for_everyone = self.plan.has_match and self.record.serving_canary and wanted.canary > 0
        return Routes(wanted.primary, wanted.canary, wanted.mirrored, everyone=is_for_everyone)

    @property
    def is_new_revision(self) -> bool:
        """The target or its configs are not those of the record (engine:STS-08, workloads:CFG-11)."""
        return self.world.target is not None and (self.target.revision != self.record.revision or self.configs_changed)

    @property
    def configs_changed(self) -> bool:
        live, stored = self.world.configs.checksums, self.status.tracked_configs
        if live is None or (stored is None and self.record.revision):
            return False  # tracking off, or switched on just now (workloads:CFG-14)
        return dict(live) != dict(stored or {})

    @property
    def is_restart_due(self) -> bool:
        """The canary's pods run, and have still to start anew for this run (workloads:CHG-06)."""
        target = self.world.target
        return self.record.restart_pods and target is not None and not target.is_at_zero and target.restarted_for != self.occasion

    @property
    def occasion(self) -> str:
        """What the canary's pods start anew for: this run, with these configs."""
        return f"{self.record.run}.{self.stored_configs_digest}"

    @property
    def stored_checksums(self) -> Mapping[str, str]:
        """The config checksums of the run."""
        return self.status.tracked_configs or {}

    @property
    def stored_configs_digest(self) -> str:
        """The digest of the configs of the run."""
        return configs_digest(self.status.tracked_configs)

    @property
    def is_revert(self) -> bool:
        """The target is set back to what serves users well (engine:REV-03); not so where the canary does."""
        return self.is_promoted_revision and not self.record.serving_canary

    @property
    def is_promoted_revision(self) -> bool:
        """The target is set to what the primary already carries."""
        if self.record.promoted_revision == UNKNOWN_REVISION:
            return self.world.first_contact is not None and self.world.first_contact.matches_target
        return self.target.revision == self.record.promoted_revision and self.world.configs.digest == self.record.promoted_configs

    # the clock of the step

    @property
    def step_age(self) -> timedelta:
        """Time since the step's clock was started; a whole interval where it was not."""
        started = self.record.step_started_at
        return self.now - started if started else self.plan.interval

    def mend_clocks(self) -> None:
        """A stored time that lies in the future (another machine's clock) counts as now, so that nothing waits for longer than it may."""
        since = self.record.unready_since
        clocks = since.model_copy(update={name: self._past(getattr(since, name)) for name in type(since).model_fields})
        gate = self.record.gate and self.record.gate.model_copy(update={"since": self._past(self.record.gate.since)})
        hold = self.record.hold and self.record.hold.model_copy(update={"since": self._past(self.record.hold.since)})
        mended = {"step_started_at": self._past(self.record.step_started_at), "unready_since": clocks, "gate": gate, "hold": hold}
        if any(getattr(self.record, name) != value for name, value in mended.items()):
            self.update(**mended)

    def _past(self, moment: datetime | None) -> datetime | None:
        return min(moment, self.now) if moment else None

    def interval_is_over(self) -> bool:
        """Whether the step has lasted a whole interval; if not, the turn wakes when it has."""
        remaining = self.plan.interval - self.step_age
        if remaining <= timedelta(0):
            return True
        self.wake(self.now + remaining)
        return False

    def polls_since(self, since: datetime | None) -> int:
        """How many whole intervals have passed, for what is asked once per interval; the turn wakes for the next."""
        start = since or self.now
        polls = (self.now - start) // self.plan.interval
        self.wake(start + (polls + 1) * self.plan.interval)
        return polls

    # readiness by our own clock

    # what changes

    def update(self, **fields: Any) -> None:
        """Change fields of `status.rollout`."""
        self.record = self.record.model_copy(update=fields)

    def set_status(self, **fields: Any) -> None:
        """Change Flagger's fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def enter(self, phase: Phase, message: str = "") -> None:
        """Go to a phase, with its `Promoted` condition."""
        self.status = conditions.promoted(self.status.model_copy(update={"phase": phase}), self.plan.target_kind, self.now, message)

    def new_run_id(self, started_at: datetime) -> str:
        return run_id(self.world.canary.metadata.uid, self.record.revision, started_at)

    def restart_clocks(self) -> None:
        self.update(unready_since=UnreadySince())

    # what follows

    def do(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def tell(self, severity: Severity, message: str, key: str) -> None:
        """Tell people once: `key` says which happening of this run it is."""
        scope = self.record.run or self.record.revision
        self.notices.append(Notice(severity, message[: 4 * MESSAGE_LIMIT], f"{scope}/{key}"))

    @property
    def checksum(self) -> str:
        """A hook's `checksum`: the revision under test and its configs (design §6)."""
        revision = self.world.target.revision if self.world.target else self.record.revision
        return flagger_hash(revision, self.world.configs.digest)

    def wake(self, at: datetime) -> None:
        if at > self.now and (self.wake_at is None or at < self.wake_at):
            self.wake_at = at

    def hold(self, reason: str) -> None:
        """Stay as it is, and say why."""
        self.reason = self.reason or reason

    def decision(self) -> Decision:
        """What the turn came to; `lastTransitionTime` moves only with something else (engine:STS-04)."""
        return Decision(
            status=self._final_status(),
            effects=tuple(self.effects),
            questions=tuple(self.questions),
            consulted=frozenset(self.consulted),
            notices=tuple(self.notices),
            wake_at=self.wake_at,
            retry=self.retry,
            reason=self.reason,
        )

    def _final_status(self) -> CanaryStatus:
        old, generation = self.world.canary.status, self.world.canary.metadata.generation
        if old.observed_generation == generation and self._with_record(self.status) == old:
            return old
        self._note_progress_of_target()
        changes = {"last_transition_time": self.now, "observed_generation": generation}
        return self._with_record(self.status).model_copy(update=changes)

    def _with_record(self, status: CanaryStatus) -> CanaryStatus:
        return status if self.record == (status.rollout or RolloutRecord()) else status.model_copy(update={"rollout": self.record})

    def _note_progress_of_target(self) -> None:
        """What alone is no reason to write, but goes with any other write: the target is scaled, and its pods have started anew."""
        target, record = self.world.target, self.record
        if target is not None and target.restarted_for == self.occasion:
            self.update(restart_pods=False)
        if target is not None and (target.uid, target.revision) == (record.target_uid, record.revision):
            self.update(target_generation=target.generation)
