"""`status` of a Canary: Flagger's fields with Flagger's meaning, and ours (`observedGeneration`, `rollout`)."""

from enum import StrEnum
from typing import Annotated

from flagger_py.api.base import CompactModel, Int32, Int64, Time
from flagger_py.api.rollout_record import RolloutRecord
from flagger_py.api.schema import Schema


class Phase(StrEnum):
    """Where a Canary stands (engine:STS-02). `Terminated` is known and never written."""

    NONE = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


class ConditionType(StrEnum):
    """The condition types that we write. `Ready`, `Reconciling` and `Stalled` are not among them: Flux would wait on them (design §5)."""

    PROMOTED = "Promoted"
    VALID = "Valid"
    ROUTING_READY = "RoutingReady"
    REFERENCES_RESOLVED = "ReferencesResolved"
    CRD_CURRENT = "CrdCurrent"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(CompactModel):
    """One aspect of the Canary's state. `type` is one of `ConditionType`, or another controller's."""

    type: Annotated[str, Schema(required=True)]
    status: Annotated[str, Schema(required=True)]
    reason: Annotated[str, Schema(required=True)]
    message: str = ""
    last_update_time: Time | None = None
    last_transition_time: Time | None = None


ALWAYS_WRITTEN = frozenset({"phase", "failed_checks", "canary_weight", "iterations", "conditions"})
"""Argo CD compares `canaryWeight` with a number and reads every condition (design §5)."""


class CanaryStatus(CompactModel):
    """Everything that the controller remembers of a Canary."""

    phase: Annotated[Phase, Schema(enum=tuple(Phase))] = Phase.NONE
    failed_checks: Int32 = 0
    canary_weight: Int32 = 0
    iterations: Int32 = 0
    """Becomes -1 on WaitingPromotion of a weighted Canary (engine:STS-04)."""
    tracked_configs: dict[str, str] | None = None
    """`configmap/<name>` or `secret/<name>` to a checksum; `None` where configs are not tracked (engine:CFG-01)."""
    last_applied_spec: str = ""
    last_promoted_spec: str = ""
    last_transition_time: Time | None = None
    """The time of the last write, not of the last change of phase (engine:STS-04)."""
    session_affinity_cookie: str = ""
    primary_session_affinity_cookie: str = ""
    previous_session_affinity_cookie: str = ""
    conditions: tuple[Condition, ...] = ()
    observed_generation: Int64 = 0
    rollout: RolloutRecord | None = None

    @classmethod
    def _is_always_written(cls, name: str) -> bool:
        return name in ALWAYS_WRITTEN

    def condition(self, type_: str) -> Condition | None:
        """The condition of this type, if it is there."""
        return next((condition for condition in self.conditions if condition.type == type_), None)
