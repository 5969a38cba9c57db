"""What a Canary's fields mean with defaults and limits applied (engine:DEF-01..14). Total: an invalid value gives a usable one."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from flagger_py.api.analysis import Alert, Analysis, HookType, Metric, SessionAffinity, Severity, Webhook
from flagger_py.api.canary import Canary
from flagger_py.api.durations import parse_duration
from flagger_py.api.references import ObjectRef

DEFAULT_INTERVAL = timedelta(seconds=60)
MINIMUM_INTERVAL = timedelta(seconds=10)
DEFAULT_METRIC_INTERVAL = "1m"
DEFAULT_HOOK_TIMEOUT = timedelta(seconds=10)
DEFAULT_PROGRESS_DEADLINE_SECONDS = 600
DEFAULT_COOKIE_MAX_AGE = 86400
TOTAL_WEIGHT = 100
_NO_ANALYSIS = Analysis()


class Strategy(StrEnum):
    """How a new version is tried; the value is the metric label `deployment_strategy` (engine:DEF-13)."""

    WEIGHTED = "canary"
    AB_TESTING = "ab-testing"
    BLUE_GREEN = "blue-green"


def analysis_of(canary: Canary) -> Analysis:
    """The analysis block, or an empty one: a stored Canary may lack it."""
    return canary.spec.analysis or _NO_ANALYSIS


def strategy(canary: Canary) -> Strategy:
    """The strategy that the analysis asks for; weighted where there is none."""
    analysis = analysis_of(canary)
    if analysis.iterations <= 0:
        return Strategy.WEIGHTED
    return Strategy.AB_TESTING if analysis.match else Strategy.BLUE_GREEN


def is_analysis_skipped(canary: Canary) -> bool:
    """Whether new versions are promoted without checks (engine:DEF-14)."""
    return canary.spec.skip_analysis or canary.spec.analysis is None


def interval(canary: Canary, minimum: timedelta = MINIMUM_INTERVAL) -> timedelta:
    """The length of a step: 60 s where unset or no duration, and at least `minimum` (engine:DEF-01)."""
    return max(_duration(analysis_of(canary).interval, DEFAULT_INTERVAL), minimum)


def threshold(canary: Canary) -> int:
    """How many failed checks roll a run back; at least 1 (engine:DEF-02)."""
    return max(analysis_of(canary).threshold, 1)


def primary_ready_threshold(canary: Canary) -> int:
    """The percentage of updated primary pods that have to be available; 0 is honoured (engine:DEF-03)."""
    value = analysis_of(canary).primary_ready_threshold
    return 100 if value is None else value


def canary_ready_threshold(canary: Canary) -> int:
    """The percentage of updated canary pods that have to be available; 0 is honoured (engine:DEF-03)."""
    value = analysis_of(canary).canary_ready_threshold
    return 100 if value is None else value


def progress_deadline(canary: Canary) -> timedelta:
    """How long a version may be unready before the run is rolled back (engine:DEF-04)."""
    seconds = canary.spec.progress_deadline_seconds
    return timedelta(seconds=DEFAULT_PROGRESS_DEADLINE_SECONDS if seconds is None else seconds)


def max_weight(analysis: Analysis) -> int:
    """The canary weight at which the run promotes; not a cap (engine:DEF-06)."""
    if analysis.step_weights:
        return min(TOTAL_WEIGHT, analysis.step_weights[-1])
    return min(TOTAL_WEIGHT, analysis.max_weight) if analysis.max_weight > 0 else TOTAL_WEIGHT


def next_weight(analysis: Analysis, current: int) -> int:
    """The canary weight after one more step, at most 100; `current` itself where no step is given.

    It may go beyond `maxWeight` (20 of 50 gives 20, 40, 60: engine:WGT-04). In a list it is the next larger entry, so that a list
    that was edited in the middle of a run never makes it jump to 100 (engine:HAZ-22, api:GAP-07).
    """
    if analysis.step_weight > 0 or not analysis.step_weights:
        return min(TOTAL_WEIGHT, current + max(analysis.step_weight, 0))
    return min(min((weight for weight in analysis.step_weights if weight > current), default=TOTAL_WEIGHT), TOTAL_WEIGHT)


def weight_steps(analysis: Analysis) -> tuple[int, ...]:
    """Every canary weight of a run from 0 until `max_weight` is reached; empty where no step is given."""
    return tuple(_weights_until_promotion(analysis))


def _weights_until_promotion(analysis: Analysis) -> Iterator[int]:
    weight, end = 0, max_weight(analysis)
    while weight < end and (following := next_weight(analysis, weight)) > weight:
        yield following
        weight = following


def promotion_step(analysis: Analysis) -> int:
    """How much traffic goes back to the primary at a time when it carries the new version; 100 is all at once (engine:DEF-07)."""
    return analysis.step_weight_promotion if 0 < analysis.step_weight_promotion < TOTAL_WEIGHT else TOTAL_WEIGHT


def apex_name(canary: Canary) -> str:
    """The Service that users address, and the routing object (engine:DEF-09)."""
    return (canary.spec.service.name if canary.spec.service else "") or canary.spec.target_ref.name


def primary_service_name(canary: Canary) -> str:
    """The Service of the promoted version."""
    return f"{apex_name(canary)}-primary"


def canary_service_name(canary: Canary) -> str:
    """The Service of the new version."""
    return f"{apex_name(canary)}-canary"


def primary_name(canary: Canary) -> str:
    """The workload that carries the promoted version; named after the target, not after the Service (engine:DEF-09)."""
    return f"{canary.spec.target_ref.name}-primary"


def provider(canary: Canary, flag: str) -> str:
    """The traffic provider: the Canary's, else the one of the command line (engine:PRV-01)."""
    return canary.spec.provider or flag


def port_name(canary: Canary) -> str:
    """The name of the Service's first port (engine:DEF-10)."""
    return (canary.spec.service.port_name if canary.spec.service else "") or "http"


def target_port(canary: Canary) -> int | str:
    """The container port behind the Service: the Service's own port where unset or `0` (engine:DEF-10)."""
    service = canary.spec.service
    if service is None:
        return 0
    return service.port if service.target_port in {None, 0, "0", ""} else service.target_port or service.port


def webhooks(canary: Canary, hook_type: HookType) -> tuple[Webhook, ...]:
    """The hooks of one type, in the order in which they are called; no type means `rollout` (engine:DEF-12)."""
    return tuple(hook for hook in analysis_of(canary).webhooks if (hook.type or HookType.ROLLOUT) == hook_type)


def hook_timeout(webhook: Webhook) -> timedelta:
    """How long one attempt may take: 10 s where unset or no positive duration."""
    given = _duration(webhook.timeout, DEFAULT_HOOK_TIMEOUT)
    return given if given > timedelta() else DEFAULT_HOOK_TIMEOUT


def hook_attempts(webhook: Webhook) -> int:
    """How often a hook is called at most: once, and its retries."""
    return 1 + max(webhook.retries, 0)


def metric_interval(metric: Metric) -> str:
    """The window of a query as text, which templates insert (engine:HAZ-33, api:GAP-18)."""
    return metric.interval or DEFAULT_METRIC_INTERVAL


def metric_window(metric: Metric) -> timedelta:
    """The window of a query as a duration; `1min`, which only Graphite reads, gives the default."""
    return _duration(metric_interval(metric), parse_duration(DEFAULT_METRIC_INTERVAL))


def alert_severity(alert: Alert) -> Severity:
    """From which severity on an alert is sent; unset means `info` (api:API-12, deviates from Flagger, which never sends it)."""
    return Severity(alert.severity) if alert.severity in set(Severity) else Severity.INFO


def cookie_max_age(affinity: SessionAffinity) -> int:
    """How long the canary cookie lives, in seconds (engine:DEF-11)."""
    return affinity.max_age or DEFAULT_COOKIE_MAX_AGE


def namespace_of(ref: ObjectRef, canary: Canary) -> str:
    """Where a MetricTemplate or AlertProvider is looked up (engine:NS-02)."""
    return ref.namespace or canary.namespace


def _duration(text: str, default: timedelta) -> timedelta:
    if not text:
        return default
    try:
        return parse_duration(text)
    except ValueError:
        return default
