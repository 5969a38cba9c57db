"""A turn: the working copy of one decision. Pure from outside (`decide` makes it and drops it); inside it collects what the phases say."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from flagger_py.api.rollout_record import MESSAGE_LIMIT, DesiredRoutes, OutboxEntry, RolloutRecord, UnreadySince, newest_that_fit
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.rollout import conditions
from flagger_py.rollout.decision import Decision
from flagger_py.rollout.effects import Effect, EnsureApex, EnsureServices, NudgeRoutes, RestorePrimary, ScaleTargetUp, SetTraffic
from flagger_py.rollout.identity import configs_digest, cookie_value, flagger_hash, run_id
from flagger_py.rollout.notices import Notice, Severity
from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind
from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.rollout.traffic import ALL_PRIMARY, Affinity, Pending, Routes, Traffic, asked
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
        return self.world.target.replicas if self.world.target else 0

    @property
    def primary(self) -> PrimaryView | None:
        return self.world.primary

    @property
    def phase(self) -> Phase:
        return self.status.phase

    @property
    def desired(self) -> Routes:
        """The traffic that the stored status wants."""
        wanted = self.record.desired
        return Routes(wanted.primary, wanted.canary, wanted.mirrored) if wanted else ALL_PRIMARY

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

    def drift(self) -> str:
        """How the routes differ from what is wanted because somebody has edited them; empty where nobody has."""
        live, wanted = self.world.routes, self.desired
        again = f"{wanted.primary}/{wanted.canary}"
        if isinstance(live, Pending) and live.is_broken:
            return f"{live.reason}; setting them to {again} again"
        asks = asked(live)
        if asks is None or asks == wanted:
            return ""
        return f"Routes of {self.plan.canary_name} stand at {asks.primary}/{asks.canary} instead of {again}, setting them again"

    # the clock of the step

    @property
    def step_age(self) -> timedelta:
        """Time since the step's clock was started; a whole interval where it was not."""
        started = self.record.step_started_at
        return self.now - started if started else self.plan.interval

    def mend_clocks(self) -> None:
        """A stored time that lies in the future (another machine's clock) counts as now, so that nothing waits for longer than it may."""
        since = self.record.unready_since
        clocks = since.model_copy(update={"primary": self._past(since.primary), "canary": self._past(since.canary)})
        gate = self.record.gate and self.record.gate.model_copy(update={"since": self._past(self.record.gate.since)})
        mended = {"step_started_at": self._past(self.record.step_started_at), "unready_since": clocks, "gate": gate}
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

    def judge_canary(self) -> Readiness:
        """The target's readiness, `Dead` after `progressDeadlineSeconds` (workloads:RDY-04). Without a pod it is not (HAZ-25)."""
        if self.world.target is not None and self.canary_replicas == 0 and self.desired.canary == 0:
            self._note_unready("canary", None)  # not started yet, and nobody misses it: its deadline begins with its pods
            return NotReady("no pod of the canary is wanted yet")
        return self._judge("canary", self._seen_canary())

    def _seen_canary(self) -> Readiness:
        target = self.world.target
        if target is None:
            return Dead(f"{self.plan.target_kind} {self.plan.target_name} does not exist")
        if target.replicas < 1 or (isinstance(target.readiness, Ready) and target.available < 1):
            return NotReady("no pod of the canary is available")
        return target.readiness

    @property
    def is_canary_ready(self) -> bool:
        return isinstance(self._seen_canary(), Ready)

    @property
    def is_primary_ready(self) -> bool:
        return isinstance(self._seen_primary(), Ready)

    def judge_primary(self) -> Readiness:
        """The primary's readiness, likewise; the deadline starts when it is first seen unready (workloads:RDY-10)."""
        return self._judge("primary", self._seen_primary())

    def _seen_primary(self) -> Readiness:
        primary = self.primary
        if primary is None:
            return NotReady("the primary does not exist")
        if self.phase in RUN_PHASES and isinstance(primary.readiness, Ready) and primary.available < 1:
            return NotReady("no pod of the primary is available")
        return primary.readiness

    def _judge(self, version: str, seen: Readiness) -> Readiness:
        since = getattr(self.record.unready_since, version)
        if isinstance(seen, Ready):
            self._note_unready(version, None)
            return seen
        if since is None:
            since = self.now
            self._note_unready(version, since)
        deadline = since + self.plan.progress_deadline
        if isinstance(seen, Dead):
            self.retry = True
            return seen
        if self.now >= deadline:
            self.retry = True
            return Dead(f"{seen.reason} for more than {int(self.plan.progress_deadline.total_seconds())}s (progressDeadlineSeconds)")
        self.wake(deadline)
        return seen

    def _note_unready(self, version: str, since: datetime | None) -> None:
        if getattr(self.record.unready_since, version) != since:
            clocks = self.record.unready_since.model_copy(update={version: since})
            self.update(unready_since=clocks)

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

    def want(self, routes: Routes) -> None:
        """Change the traffic that is wanted, publish its weight (engine:STS-11), and start the step's clock."""
        desired = DesiredRoutes(primary=routes.primary, canary=routes.canary, mirrored=routes.mirrored)
        self.update(desired=desired, step_started_at=self.now)
        self.set_status(canary_weight=routes.canary)
        if self.plan.cookie:
            self._pin_sessions(routes)

    def _pin_sessions(self, routes: Routes) -> None:
        """The cookies of this traffic, stored before it is routed (routers:SA-03, SA-09, SA-13).

        The canary's cookie lasts for the run. The primary's changes with each weight, so that its users are shared out anew (SA-08).
        """
        uid, run, current = self.world.canary.metadata.uid, self.record.run, self.status.session_affinity_cookie
        if routes.canary == 0:
            previous = current or self.status.previous_session_affinity_cookie
            cookies = {"session_affinity_cookie": "", "previous_session_affinity_cookie": previous}
        else:
            cookies = {"session_affinity_cookie": current or f"{self.plan.cookie}={cookie_value(uid, run)}"}
        if self.plan.primary_cookie:
            value = f"{self.plan.primary_cookie}={cookie_value(uid, run, routes.canary, 'primary')}" if routes.canary else ""
            cookies["primary_session_affinity_cookie"] = value
        self.set_status(**cookies)

    @property
    def affinity(self) -> Affinity:
        """The cookies that the stored status wants; a primary cookie without a name is Flagger's, and matches nothing (SA-08)."""
        if not self.plan.cookie:
            return Affinity()
        return Affinity(
            canary=self.status.session_affinity_cookie,
            previous=self.status.previous_session_affinity_cookie,
            primary=self.status.primary_session_affinity_cookie if self.plan.primary_cookie else "",
        )

    def record_revision(self, **fields: Any) -> None:
        """Make the target as it is now the revision of the record, with its configs."""
        configs = self.world.configs
        self.update(
            revision=self.target.revision,
            target_uid=self.target.uid,
            target_generation=self.target.generation,
            config_versions=dict(configs.versions),
            **fields,
        )
        self.set_status(tracked_configs=None if configs.checksums is None else dict(configs.checksums))

    def record_promoted(self) -> None:
        """Make the target as it is now the revision of the record, and what the primary carries."""
        self.record_revision(promoted_revision=self.target.revision, promoted_configs=self.world.configs.digest)

    def rebase_moved_hash(self) -> None:
        """Another hash of an unchanged object: our algorithm or a server default moved, not the workload (workloads:CHG-02)."""
        record, target = self.record, self.world.target
        if target is None or record.revision in ("", UNKNOWN_REVISION, target.revision):
            return
        if (record.target_uid, record.target_generation) == (target.uid, target.generation):
            is_promoted = record.promoted_revision == record.revision
            self.update(revision=target.revision, promoted_revision=target.revision if is_promoted else record.promoted_revision)

    def publish_hashes(self) -> None:
        """Write both of Flagger's hashes in its form, so that Flagger started again runs the current revision once (design §6)."""
        promoted = flagger_hash(self.record.promoted_revision, self.record.promoted_configs)
        self.set_status(last_applied_spec=promoted, last_promoted_spec=promoted)

    def new_run_id(self, started_at: datetime) -> str:
        return run_id(self.world.canary.metadata.uid, self.record.revision, started_at)

    def restart_clocks(self) -> None:
        self.update(unready_since=UnreadySince())

    # what follows

    def do(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def route(self, *, urgent: bool = False) -> None:
        """Keep or bring the routes to what is wanted, unless that gives more traffic to a version that is not Ready.

        Routes that are missing or that the backend has not taken over carry nothing yet, as far as is known.
        """
        live, wanted = self.world.routes, self.desired
        primary, canary = (live.primary, live.canary) if isinstance(live, Routes) else (0, 0)
        waits_for_primary = wanted.primary > primary and not self.is_primary_ready
        waits_for_canary = wanted.canary > canary and not self.is_canary_ready
        if waits_for_primary or waits_for_canary:
            self.hold(f"the routes wait for the {'primary' if waits_for_primary else 'canary'} to be ready")
            self.retry = True
            return
        self.do(SetTraffic(Traffic(wanted, self.affinity), urgent=urgent))
        self._follow_gateway()

    def _follow_gateway(self) -> None:
        """A gateway that has not taken over the routes for an interval is told of and asked to look again (routers:GW-15)."""
        live, since = self.world.routes, self.record.unready_since.routes
        if self.phase not in RUN_PHASES:
            return
        if isinstance(live, Routes):
            self._note_unready("routes", None)
        elif since is None:
            if self.record.step_started_at is None:  # the step's clock was stopped for it: it is more than a moment
                self._note_unready("routes", self.now)
                self.wake(self.now + self.plan.interval)
        elif self.now - since < self.plan.interval:
            self.wake(since + self.plan.interval)
        else:
            text = f"Routing of {self.plan.canary_name} waits: {live.reason}"
            self.tell(Severity.WARNING, text, f"gateway-late/{self.record.step}/{since.isoformat()}")
            self.do(NudgeRoutes())

    def keep_services(self) -> None:
        """Repair the three Services where they differ."""
        services = self.world.services
        if not (services.canary and services.primary):
            self.do(EnsureServices())
        if not services.apex:
            self.do(EnsureApex())

    def keep_primary(self) -> None:
        """Restore a primary that was deleted. The last effect of a turn: where it cannot be done, the others have been."""
        if self.primary is None:
            self.do(RestorePrimary())

    def run_canary(self) -> None:
        """See that the canary has pods."""
        if self.world.target is not None and self.target.replicas == 0:
            self.do(ScaleTargetUp())

    def tell(self, severity: Severity, message: str, key: str) -> None:
        """Tell people once: `key` says which happening of this run it is."""
        scope = self.record.run or self.record.revision
        self.notices.append(Notice(severity, message[: 4 * MESSAGE_LIMIT], f"{scope}/{key}"))

    def ask(self, kind: QuestionKind, *, run: str = "", phase: str = "") -> Answer | None:
        """The answer to a question of this step, or `None` while there is none (it is asked then).

        `run` names what is asked outside of a run's steps; `phase` is what hooks are told where that is not the Canary's.
        """
        key = self._key(kind, run)
        if key not in self.world.answers:
            self._ask(key, phase)
        return self._consult(key)

    def poll(self, kind: QuestionKind, number: int, *, run: str = "") -> Answer | None:
        """The latest answer to what is asked again and again; `number` is that of the poll that is due, 0 while none is.

        An answer that says yes is the last word, whenever it comes. While a poll is under way no other is begun, so that a hook
        may take longer than an interval; the answer of the poll before it, if it is still due, stands until then.
        """
        key = self._key(kind, run)
        answered = sorted((known for known in self.world.answers if known.is_poll_of(key)), key=lambda known: known.poll)
        if yes := next((known for known in answered if self.world.answers[known].is_yes(kind)), None):
            return self._consult(yes)
        due = replace(key, poll=number)
        under_way = next((open_ for open_ in self.world.asking if open_.is_poll_of(key)), None)
        if under_way:
            self._consult(under_way)
        elif number and due not in answered:
            self._ask(due)
        return self._consult(due if due in answered else answered[-1]) if answered and number else None

    def _key(self, kind: QuestionKind, run: str) -> QuestionKey:
        return QuestionKey(run, 0, 0, kind) if run else QuestionKey(self.record.run, self.record.step, self.record.check_number, kind)

    def _ask(self, key: QuestionKey, phase: str = "") -> None:
        self.consulted.add(key)
        self.questions.append(Question(key, phase or self.phase, self.checksum, self.record.revision))
        self.hold(f"waiting for the answer to {key.kind}")

    def _consult(self, key: QuestionKey) -> Answer | None:
        self.consulted.add(key)
        return self.world.answers.get(key)

    @property
    def checksum(self) -> str:
        """A hook's `checksum`: the revision under test and its configs (design §6)."""
        revision = self.world.target.revision if self.world.target else self.record.revision
        return flagger_hash(revision, self.world.configs.digest)

    def post(self, kind: str, entry_id: str, **facts: Any) -> None:
        """Put a notification that must not be lost into the outbox; the oldest go first when it is full, and are counted."""
        entry = OutboxEntry(id=entry_id, kind=kind, **{"phase": self.phase, **facts}, at=self.now)
        entries = (*self.record.outbox, entry)
        kept = newest_that_fit(entries)
        self.update(outbox=kept)
        if lost := len(entries) - len(kept):
            self.update(outbox_overflow=self.record.outbox_overflow + lost)
            text = f"{self.record.outbox_overflow} notifications of {self.plan.canary_name} were given up unsent: the outbox is full"
            self.tell(Severity.WARNING, text, f"outbox-overflow/{self.record.outbox_overflow}")

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
        self._note_generation()
        changes = {"last_transition_time": self.now, "observed_generation": generation}
        return self._with_record(self.status).model_copy(update=changes)

    def _with_record(self, status: CanaryStatus) -> CanaryStatus:
        return status if self.record == (status.rollout or RolloutRecord()) else status.model_copy(update={"rollout": self.record})

    def _note_generation(self) -> None:
        """The generation moves when the target is scaled: that alone is no reason to write, but it goes with any other write."""
        target, record = self.world.target, self.record
        if target is not None and (target.uid, target.revision) == (record.target_uid, record.revision):
            self.update(target_generation=target.generation)
