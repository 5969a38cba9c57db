"""`status.rollout`: what the core has to remember between two passes (design §5)."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from flagger_py.api.base import Bool, CompactModel, Int32, Int64, Number, Time
from flagger_py.api.schema import Schema

RECORD_VERSION = 1
MESSAGE_LIMIT = 256
RESULT_LIMIT = 56
OUTBOX_LIMIT = 16
OUTBOX_BYTES = 2560
"""As JSON, so that a full status stays below 8 KiB (design §5) whatever the messages say."""

Moment = Annotated[Time, Schema(required=True)]
Message = Annotated[str, Schema(max_length=MESSAGE_LIMIT)]


class CheckOutcome(StrEnum):
    """How a check ended. All but `PASS` count as failed (metrics:EVAL-02); what they mean for the reader is not the same."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    """The value is over a bound."""
    NO_DATA = "noData"
    """The query was answered with nothing, or with no number (NaN): the message says which."""
    ERROR = "error"
    """The query could not be asked, or was refused: a missing template or secret, a wrong query, a missing right."""
    UNREACHABLE = "unreachable"
    """The provider is away, or gave no usable answer."""


class DesiredRoutes(CompactModel):
    """The traffic that the run has decided on, in percent."""

    primary: Annotated[Int32, Schema(required=True)]
    canary: Annotated[Int32, Schema(required=True)]
    mirrored: Bool = False


class Gate(CompactModel):
    """The hook that holds the rollout."""

    type: Annotated[str, Schema(required=True)]
    name: Annotated[str, Schema(required=True)]
    step: Annotated[Int32, Schema(required=True)]
    since: Moment


class UnreadySince(CompactModel):
    """Since when a version has been unready, or the gateway behind, without a break."""

    primary: Time | None = None
    canary: Time | None = None
    routes: Time | None = None


class Check(CompactModel):
    """The last check of one metric; `result` is a `CheckOutcome`."""

    name: Annotated[str, Schema(required=True)]
    value: Number | None = None
    bound: str = ""
    result: Annotated[str, Schema(required=True)]
    message: Message = ""
    at: Moment


class Command(CompactModel):
    """The manual command that was obeyed or refused last; its id acknowledges it."""

    id: Annotated[str, Schema(required=True)]
    verb: Annotated[str, Schema(required=True)]
    result: Annotated[str, Schema(required=True)]
    """`done`, or `refused: ` and why; at most `RESULT_LIMIT` characters, the event has the whole reason."""
    at: Moment


class Outcome(CompactModel):
    """How the run ends, written before it is brought about."""

    result: Annotated[str, Schema(required=True)]
    reason: Annotated[str, Schema(required=True)]
    at: Moment


class PrimaryHold(CompactModel):
    """The primary is to have so many pods at least, whatever its autoscaler thinks: traffic goes back to it."""

    replicas: Annotated[Int32, Schema(required=True)]
    available: Int32 = 0
    """How many could serve when it began."""
    since: Moment


class Deletion(CompactModel):
    """How far it has come to put back what was there before: the Canary is being deleted."""

    stage: Annotated[str, Schema(required=True)]
    """What is waited for: `target`, `apex`, `routes` or `drain`."""
    since: Moment


class OutboxEntry(CompactModel):
    """An alert or hook that has still to be sent: facts only, no secret."""

    id: Annotated[str, Schema(required=True)]
    kind: Annotated[str, Schema(required=True)]
    phase: Annotated[str, Schema(required=True)]
    severity: str = ""
    message: Message = ""
    details: Bool = False
    """An alert that shows what the rollout is about: target, threshold, deadline, steps (metrics:ALR-10)."""
    at: Moment


def newest_that_fit(entries: Sequence[OutboxEntry]) -> tuple[OutboxEntry, ...]:
    """The entries that the outbox has room for, the newest at least."""
    kept: list[OutboxEntry] = []
    size = 0
    for entry in reversed(entries):
        size += len(json.dumps(entry.to_manifest(), ensure_ascii=False, separators=(",", ":")).encode())
        if kept and (len(kept) == OUTBOX_LIMIT or size > OUTBOX_BYTES):
            break
        kept.append(entry)
    return tuple(reversed(kept))


class RolloutRecord(CompactModel):
    """The state of the last run. A record of a newer `version` decodes to its version at least; see `is_known`."""

    version: Annotated[Int32, Schema(required=True)] = RECORD_VERSION
    run: str = ""
    """The id of the run, `identity.run_id`."""
    revision: str = ""
    """The target's revision that this run is about."""
    promoted_revision: str = ""
    """The revision that the primary carries."""
    promoted_configs: str = ""
    """`identity.configs_digest` of the configs that the primary carries."""
    target_uid: Annotated[str, Field(alias="targetUID")] = ""
    target_generation: Int64 = 0
    config_versions: dict[str, str] = Field(default_factory=dict)
    """`configmap/<name>` to `uid/resourceVersion`: what `trackedConfigs` was computed from."""
    started_at: Time | None = None
    step: Int32 = 0
    step_started_at: Time | None = None
    check_number: Int32 = 0
    """How many checks were made in this step."""
    desired: DesiredRoutes | None = None
    pre_rollout: Bool = False
    """The pre-rollout hooks have passed for this run."""
    gate: Gate | None = None
    promoting: Bool = False
    """The primary is to get the revision; written before it is touched."""
    serving_canary: Bool = False
    """After a failed promotion the canary is the healthy copy and serves."""
    restart_pods: Bool = False
    """Only configs have changed: the canary's pods, which run already, have to start anew for this run (workloads:CHG-06)."""
    unready_since: UnreadySince = UnreadySince()
    autoscaler: str = ""
    """`Kind/name` of the target's autoscaler, while the primary has a copy of it."""
    primary_replicas: Int32 = 0
    """How many pods carried all traffic when the run began; 0 without an autoscaler."""
    hold: PrimaryHold | None = None
    checks: Annotated[tuple[Check, ...], Schema(max_items=50)] = ()
    command: Command | None = None
    paused_since: Time | None = None
    """A person has paused the run: it holds its next step as a closed gate does."""
    outcome: Outcome | None = None
    deletion: Deletion | None = None
    outbox: Annotated[tuple[OutboxEntry, ...], Schema(max_items=OUTBOX_LIMIT)] = ()
    outbox_overflow: Int32 = 0
    """How many notifications were given up unsent because the outbox was full."""

    @property
    def is_known(self) -> bool:
        """Whether this release understands the record; if not, the Canary is held."""
        return self.version <= RECORD_VERSION

    @classmethod
    def _is_always_written(cls, name: str) -> bool:
        return name == "version"

    @model_validator(mode="wrap")
    @classmethod
    def _keep_newer_version(cls, data: Any, handler: ModelWrapValidatorHandler["RolloutRecord"]) -> "RolloutRecord":
        try:
            return handler(data)
        except ValidationError:
            version = data.get("version") if isinstance(data, dict) else None
            if isinstance(version, int) and version > RECORD_VERSION:
                return cls.model_construct(version=version)
            raise
