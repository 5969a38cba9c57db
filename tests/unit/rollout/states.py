"""A moment of a small rollout as a value that can be compared, thawed into a simulation and frozen again.

Time is relative: a tick moves the stored times into the past, so that equal moments of different hours are one state.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel

from flagger_py.api.rollout_record import UnreadySince
from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.rollout.questions import Question, QuestionKey
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from tests.unit.rollout.simulation import START
from tests.unit.rollout.watched import Watched


@dataclass(frozen=True, slots=True)
class State:
    """One moment, as far as it matters for what comes."""

    status: CanaryStatus
    target: TargetView | None
    primary: PrimaryView | None
    primary_revision: str
    snapshots: tuple[tuple[str, str], ...]
    services: ServicesView
    routes: Routes | Pending
    config: str
    configs_of_pods: str | None
    answers: tuple[tuple[QuestionKey, bool], ...]
    asking: tuple[Question, ...]
    troubles_left: int


Key = tuple[object, ...]


def key_of(state: State) -> Key:
    """Hashable, and cheaper than the models in it."""
    return (
        _plain(state.status),
        state.target,
        state.primary,
        state.primary_revision,
        state.snapshots,
        state.services,
        state.routes,
        state.config,
        state.configs_of_pods,
        state.answers,
        tuple(question.key for question in state.asking),
        state.troubles_left,
    )


def _plain(value: object) -> Hashable:
    """Models and dicts as tuples: much cheaper than their JSON."""
    if isinstance(value, BaseModel):
        return tuple([each if type(each) in _LEAVES else _plain(each) for each in vars(value).values()])
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    assert isinstance(value, Hashable)
    return value


_LEAVES = frozenset({str, int, bool, type(None), datetime, tuple, Phase})


def freeze(sim: Watched, troubles_left: int) -> State:
    """The state that a simulation stands at."""
    target = sim.target
    generation = target.generation if target else 0
    return State(
        status=canonical(sim.status, generation),
        target=target and replace(target, generation=2 if target.has_pods else 0),
        primary=sim.primary,
        primary_revision=sim.primary_revision,
        snapshots=sim.snapshots[-3:],
        services=sim.services,
        routes=sim.routes,
        config=(sim.checksums or {}).get("configmap/web", ""),
        configs_of_pods=sim.configs_of_pods if target and target.replicas else None,
        answers=tuple(sorted(((key, answer.is_yes(key.kind)) for key, answer in sim.answers.items()), key=str)),
        asking=tuple(sorted(sim.asking.values(), key=lambda question: str(question.key))),
        troubles_left=troubles_left,
    )


def canonical(status: CanaryStatus, generation: int) -> CanaryStatus:
    """Without what only people read, and with generations told apart only as far as decisions do."""
    changes: dict[str, object] = {"conditions": (), "last_transition_time": None, "last_applied_spec": "", "last_promoted_spec": ""}
    if (record := status.rollout) is not None:
        seen = 2 if record.target_generation == generation else 1
        outcome = record.outcome and record.outcome.model_copy(update={"at": START, "reason": ""})
        said = {"command": None, "paused_since": record.paused_since and START}
        changes["rollout"] = record.model_copy(update={"checks": (), "outcome": outcome, "target_generation": seen, **said})
    return status.model_copy(update=changes)


def aged(status: CanaryStatus, by: timedelta, oldest: timedelta) -> CanaryStatus:
    """The status after some time, as `START` stays the present; what is as old as matters grows no older, but goes to and fro."""
    record = status.rollout
    if record is None:
        return status

    def older(moment: datetime | None) -> datetime | None:
        aged_by = by if moment and moment > START - oldest else -by
        return moment and moment - aged_by

    changes: dict[str, object] = {name: older(getattr(record, name)) for name in ("started_at", "step_started_at")}
    since = record.unready_since
    changes["unready_since"] = UnreadySince(primary=older(since.primary), canary=older(since.canary))
    changes["gate"] = record.gate and record.gate.model_copy(update={"since": older(record.gate.since)})
    return status.model_copy(update={"rollout": record.model_copy(update=changes)})
