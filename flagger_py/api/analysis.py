"""`spec.analysis`: the strategy, its checks, hooks and alerts."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from flagger_py.api.base import ApiModel, Bool, Int32, Number
from flagger_py.api.matches import UserMatch
from flagger_py.api.references import ObjectRef, RequiredName, RequiredText
from flagger_py.api.schema import Schema

FLAGGER_DURATION = "^[0-9]+(m|s)"
SUCCESS_RATE = "request-success-rate"
REQUEST_DURATION = "request-duration"
BUILT_IN_METRICS = (SUCCESS_RATE, REQUEST_DURATION)


class HookType(StrEnum):
    """When a webhook is called. In a Canary the empty string means `rollout` (engine:DEF-12)."""

    CONFIRM_ROLLOUT = "confirm-rollout"
    PRE_ROLLOUT = "pre-rollout"
    ROLLOUT = "rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    CONFIRM_PROMOTION = "confirm-promotion"
    POST_ROLLOUT = "post-rollout"
    ROLLBACK = "rollback"
    EVENT = "event"


class Severity(StrEnum):
    """How much an alert matters; an alert sends what is at least as severe as its own."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class ThresholdRange(ApiModel):
    """Inclusive bounds of a metric's value."""

    min: Number | None = None
    max: Number | None = None


class Metric(ApiModel):
    """A check: a built-in one, a MetricTemplate, or an inline query."""

    name: RequiredName = ""
    interval: str = ""
    threshold: Number | None = None
    """Deprecated: a minimum for `request-success-rate`, a maximum for everything else."""
    threshold_range: ThresholdRange | None = None
    query: str = ""
    template_ref: ObjectRef | None = None
    template_variables: dict[str, str] = Field(default_factory=dict)

    @property
    def is_built_in(self) -> bool:
        return self.name in BUILT_IN_METRICS and self.template_ref is None and not self.query


class Alert(ApiModel):
    """Who is told about this Canary, and from which severity on."""

    name: RequiredName = ""
    severity: Annotated[str, Schema(enum=("", *Severity))] = ""
    provider_ref: Annotated[ObjectRef, Schema(required=True)] = ObjectRef()


class Webhook(ApiModel):
    """A hook: a URL that is asked or told at one point of the rollout."""

    name: RequiredName = ""
    type: Annotated[str, Schema(enum=("", *HookType))] = ""
    url: RequiredText = ""
    mute_alert: Bool = False
    timeout: str = ""
    """Of one attempt."""
    retries: Int32 = 0
    """Attempts after the first."""
    disable_tls: Annotated[Bool, Field(alias="disableTLS")] = False
    """Skip the check of the server's certificate."""
    metadata: dict[str, str] = Field(default_factory=dict)


class SessionAffinity(ApiModel):
    """A cookie that keeps a user on the version that answered first."""

    cookie_name: RequiredText = ""
    primary_cookie_name: str = ""
    max_age: Annotated[Int32, Schema(default=86400)] = 0
    domain: str = ""
    path: str = ""
    http_only: Bool = False
    partitioned: Bool = False
    secure: Bool = False
    same_site: Annotated[str, Schema(enum=("Strict", "Lax", "None"))] = ""


class Analysis(ApiModel):
    """How a new version is released and judged. Numbers are percent or counts; 0 means "not given"."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("interval", "threshold", "iterations"),
        ("interval", "threshold", "stepWeight"),
        ("interval", "threshold", "stepWeights"),
    )

    interval: str = ""
    threshold: Int32 = 0
    iterations: Int32 = 0
    step_weight: Int32 = 0
    step_weights: Annotated[tuple[Int32, ...], Schema(max_items=100)] = ()
    max_weight: Int32 = 0
    step_weight_promotion: Int32 = 0
    mirror: Bool = False
    mirror_weight: Int32 = 0
    primary_ready_threshold: Int32 | None = None
    canary_ready_threshold: Int32 | None = None
    match: Annotated[tuple[UserMatch, ...], Schema(max_items=32)] = ()
    metrics: Annotated[tuple[Metric, ...], Schema(max_items=50)] = ()
    alerts: Annotated[tuple[Alert, ...], Schema(max_items=20)] = ()
    webhooks: Annotated[tuple[Webhook, ...], Schema(max_items=50)] = ()
    session_affinity: SessionAffinity | None = None
