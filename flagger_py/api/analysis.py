"""`spec.analysis`: the strategy, its checks, hooks and alerts."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from flagger_py.api.base import ApiModel, Bool, Int32, Number, OneOf
from flagger_py.api.matches import UserMatch
from flagger_py.api.references import ObjectRef, RequiredName
from flagger_py.api.schema import Rule, Schema

SUCCESS_RATE = "request-success-rate"
REQUEST_DURATION = "request-duration"
BUILT_IN_METRICS = (SUCCESS_RATE, REQUEST_DURATION)

DURATION = r"^[0-9]+(\.[0-9]+)?(h|m|s)"
"""Everything that Flagger's `^[0-9]+(m|s)` accepts, plus hours and fractions (api:GAP-16); what follows is judged by `validation`."""
HTTP_URL = r"^[hH][tT][tT][pP][sS]?://[^/?#\s]"
COOKIE_TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_|~-]*$"  # noqa: S105 - no password
COOKIE_ATTRIBUTE = r"^[^;\x00-\x1f\x7f]*$"

Duration = Annotated[str, Schema(pattern=DURATION, allowed="a duration such as 30s, 1m30s or 1h", max_length=64)]
Percent = Annotated[Int32, Schema(minimum=0, maximum=100)]
Step = Annotated[Int32, Schema(minimum=1, maximum=100)]


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

    def takes(self, other: "Severity") -> bool:
        """Whether an alert that is sent from this severity on is sent for `other` (metrics:ALR-04)."""
        order = tuple(Severity)
        return order.index(other) >= order.index(self)


class ThresholdRange(ApiModel):
    """Inclusive bounds of a metric's value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.min) || !has(self.max) || self.min <= self.max",
            message="min must not be greater than max",
            source="GAP-20",
        ),
    )

    min: Number | None = None
    max: Number | None = None


class Metric(ApiModel):
    """A check: a built-in one, a MetricTemplate, or an inline query."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.name in {list(BUILT_IN_METRICS)} || has(self.templateRef) || (has(self.query) && self.query != '')",
            message=f"needs a templateRef or a query, or one of the built-in names {', '.join(BUILT_IN_METRICS)}",
            source="GAP-24",
        ),
        Rule(
            cel=f"!(self.name in {list(BUILT_IN_METRICS)}) || has(self.templateRef) || (has(self.query) && self.query != '') || "
            "has(self.threshold) || (has(self.thresholdRange) && (has(self.thresholdRange.min) || has(self.thresholdRange.max)))",
            message="a built-in check needs thresholdRange.min or thresholdRange.max",
            source="GAP-22",
        ),
    )

    name: RequiredName = ""
    interval: Annotated[Duration, Schema(default="1m", source="GAP-18")] = ""
    """The window of the query."""
    threshold: Number | None = None
    """Deprecated: a minimum for `request-success-rate`, a maximum for everything else."""
    threshold_range: ThresholdRange | None = None
    query: str = ""
    """Deprecated inline PromQL."""
    template_ref: ObjectRef | None = None
    template_variables: dict[str, str] = Field(default_factory=dict)
    """Inserted by `{{ variables.key }}`."""

    @property
    def is_built_in(self) -> bool:
        return self.name in BUILT_IN_METRICS and self.template_ref is None and not self.query


class Alert(ApiModel):
    """Who is told about this Canary, and from which severity on."""

    name: RequiredName = ""
    severity: Annotated[str, Schema(enum=("", *Severity), default="info", source="GAP-32")] = ""
    provider_ref: Annotated[ObjectRef, Schema(required=True)] = ObjectRef()


class Webhook(ApiModel):
    """A hook: a URL that is asked or told at one point of the rollout."""

    name: RequiredName = ""
    type: Annotated[str, Schema(enum=("", *HookType))] = ""
    url: Annotated[str, Schema(required=True, pattern=HTTP_URL, allowed="an http or https URL", max_length=2048, source="GAP-29")] = ""
    mute_alert: Bool = False
    timeout: Duration = ""
    """Of one attempt; 10s by default."""
    retries: Int32 = 0
    """Attempts after the first."""
    disable_tls: Annotated[Bool, Field(alias="disableTLS")] = False
    """Skip the check of the server's certificate."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Sent with the payload."""


CookieName = Annotated[str, Schema(pattern=COOKIE_TOKEN, allowed="letters, digits and !#$%&'*+.^_|~-", max_length=128, source="GAP-36")]
CookieAttribute = Annotated[
    str, Schema(pattern=COOKIE_ATTRIBUTE, allowed="text without semicolons and control characters", max_length=1024, source="GAP-37")
]


class SessionAffinity(ApiModel):
    """A cookie that keeps a user on the version that answered first."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.primaryCookieName) || self.primaryCookieName != self.cookieName",
            message="primaryCookieName must differ from cookieName",
            source="GAP-35",
        ),
    )

    cookie_name: Annotated[CookieName, Schema(required=True, min_length=1)] = ""
    primary_cookie_name: CookieName = ""
    max_age: Annotated[Int32, Schema(default=86400, minimum=0, source="GAP-38")] = 0
    """Of the canary's cookie, in seconds."""
    domain: CookieAttribute = ""
    path: CookieAttribute = ""
    http_only: Bool = False
    partitioned: Bool = False
    secure: Bool = False
    same_site: Annotated[str, Schema(enum=("Strict", "Lax", "None"))] = ""


class Analysis(ApiModel):
    """How a new version is released and judged. Numbers are percent or counts; 0 means "not given"."""

    one_of: ClassVar[OneOf] = (
        ("interval", "threshold", "iterations"),
        ("interval", "threshold", "stepWeight"),
        ("interval", "threshold", "stepWeights"),
    )

    interval: Duration = ""
    """The length of a step."""
    threshold: Annotated[Int32, Schema(minimum=0)] = 0
    """How many failed checks roll the run back."""
    on_error: Annotated[str, Schema(enum=("", "fail", "hold"))] = ""
    """What a metric provider that cannot be reached means: a failed check (`fail`, the default), or to wait (`hold`). Not in Flagger."""
    iterations: Annotated[Int32, Schema(minimum=1, source="GAP-03")] = 0
    """The checks of an A/B test or of a blue/green run."""
    step_weight: Annotated[Step, Schema(source="GAP-03")] = 0
    """How much more traffic the canary gets with each step, in percent."""
    step_weights: Annotated[
        tuple[Annotated[Step, Schema(source="GAP-04")], ...],
        Schema(
            min_items=1,
            max_items=100,
            source="GAP-03",
            rules=(
                Rule(
                    cel="self.isSorted() && self.all(w, self.indexOf(w) == self.lastIndexOf(w))",
                    message="must rise strictly",
                    source="GAP-04",
                ),
            ),
        ),
    ] = ()
    """The canary's share of the traffic in each step, in percent."""
    max_weight: Annotated[Percent, Schema(source="GAP-02")] = 0
    """The share at which the canary is promoted; 100 by default."""
    step_weight_promotion: Annotated[Percent, Schema(source="GAP-08")] = 0
    """How much traffic goes back to the primary with each step of the promotion; all at once by default."""
    mirror: Bool = False
    """Copy requests to the canary before it answers any."""
    mirror_weight: Int32 = 0
    """The share of the requests that is copied, in percent."""
    primary_ready_threshold: Annotated[Percent, Schema(source="GAP-53")] | None = None
    canary_ready_threshold: Annotated[Percent, Schema(source="GAP-53")] | None = None
    match: Annotated[tuple[UserMatch, ...], Schema(max_items=32)] = ()
    metrics: Annotated[tuple[Metric, ...], Schema(max_items=50)] = ()
    alerts: Annotated[tuple[Alert, ...], Schema(max_items=20)] = ()
    webhooks: Annotated[tuple[Webhook, ...], Schema(max_items=50)] = ()
    session_affinity: SessionAffinity | None = None
