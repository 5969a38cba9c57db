"""What a Canary's spec asks for, as effective values (engine:DEF-*). Made once per generation of the Canary."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flagger_py.api import effective
from flagger_py.api.analysis import Analysis, HookType, Severity
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.effective import Strategy
from flagger_py.rollout.questions import QuestionKind

DEFAULT_ITERATIONS: Final = 10
"""Of a Canary that gives step weights to a provider which cannot split traffic, as in Flagger (engine:TICK-29)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The numbers that decisions use; weights in percent."""

    interval: timedelta
    threshold: int
    max_weight: int
    steps: tuple[int, ...] = ()
    """Every canary weight of a run, rising; the last one may lie beyond `max_weight` (engine:WGT-04)."""
    strategy: Strategy = Strategy.WEIGHTED
    iterations: int = 0
    """Of an A/B test or a blue/green run."""
    has_match: bool = False
    """Only some requests meet the canary: `analysis.match`. All others go to the primary, whatever the weights."""
    mirror: bool = False
    """Requests are mirrored to the canary before it gets traffic: for one step, or during the iterations."""
    cookie: str = ""
    """`sessionAffinity.cookieName`; empty without affinity."""
    primary_cookie: str = ""
    step_weight_promotion: int = 0
    """0: one jump back to the primary."""
    progress_deadline: timedelta
    skip_analysis: bool = False
    suspended: bool = False
    revert_on_deletion: bool = False
    hooks: frozenset[QuestionKind] = frozenset()
    """The stages that have at least one webhook."""
    muted_gates: frozenset[tuple[QuestionKind, str]] = frozenset()
    """Stage and name of the hooks whose closing is no alert (engine:HOOK-09)."""
    alerts_from: Severity | None = None
    """The lowest severity that somebody is told of; `None`: nobody is told of anything."""
    has_analysis: bool = True
    """Rollout hooks or metrics exist; without any, an analysis always passes (engine:ANL-09)."""
    has_metrics: bool = True
    holds_on_error: bool = False
    """A metric provider that cannot be reached holds the run, and is no failed check (`analysis.onError: hold`)."""
    routes_weights: bool = True
    """The router moves traffic; False for provider `kubernetes`, whose apex always selects the primary."""
    canary_name: str = ""
    """`<name>.<namespace>` of the Canary: the subject of most events (engine:EVT-05)."""
    target_name: str = ""
    """`<targetRef.name>.<namespace>`."""
    target_kind: str = "Deployment"

    def next_weight(self, current: int) -> int:
        """The next larger step; `current` after the last. A weight between two steps never jumps to 100 (engine:WGT-01, HAZ-22)."""
        return next((weight for weight in self.steps if weight > current), current)


def plan_of(canary: Canary, *, minimum_interval: timedelta, capabilities: Capabilities, has_global_notifier: bool = False) -> Plan:
    """The plan of a valid Canary."""
    analysis = effective.analysis_of(canary)
    strategy = _strategy(canary, capabilities)
    hooks = frozenset(QuestionKind(kind) for kind in HookType if kind in _STAGES and effective.webhooks(canary, kind))
    has_rollout_hooks = bool(effective.webhooks(canary, HookType.ROLLOUT))
    promotion_step = effective.promotion_step(analysis)
    affinity = analysis.session_affinity if strategy is Strategy.WEIGHTED else None  # else everybody changes at once (api:GAP-33)
    return Plan(
        strategy=strategy,
        iterations=max(analysis.iterations, 0) or DEFAULT_ITERATIONS,
        has_match=bool(analysis.match) and capabilities.weights,
        mirror=analysis.mirror and (capabilities.mirror_iterations if analysis.iterations else capabilities.mirror_weighted),
        cookie=affinity.cookie_name if affinity and capabilities.session_affinity else "",
        primary_cookie=affinity.primary_cookie_name if affinity and capabilities.primary_cookie else "",
        interval=effective.interval(canary, minimum_interval),
        threshold=effective.threshold(canary),
        max_weight=effective.max_weight(analysis),
        steps=effective.weight_steps(analysis),
        step_weight_promotion=promotion_step if promotion_step < effective.TOTAL_WEIGHT else 0,
        progress_deadline=effective.progress_deadline(canary),
        skip_analysis=effective.is_analysis_skipped(canary),
        suspended=canary.spec.suspend,
        revert_on_deletion=canary.spec.revert_on_deletion,
        hooks=hooks,
        muted_gates=frozenset(_muted(canary)),
        alerts_from=_alerts_from(analysis, has_global_notifier=has_global_notifier),
        has_analysis=has_rollout_hooks or bool(analysis.metrics),
        has_metrics=bool(analysis.metrics),
        holds_on_error=analysis.on_error == "hold",
        routes_weights=capabilities.weights,
        canary_name=f"{canary.metadata.name}.{canary.namespace}",
        target_name=f"{canary.spec.target_ref.name}.{canary.namespace}",
        target_kind=canary.spec.target_ref.kind,
    )


def _strategy(canary: Canary, capabilities: Capabilities) -> Strategy:
    """What the analysis asks for; where traffic cannot be split, all that is left is blue/green (engine:TICK-29, BG-04)."""
    return effective.strategy(canary) if capabilities.weights else Strategy.BLUE_GREEN


_STAGES = frozenset(kind.value for kind in QuestionKind)


def _muted(canary: Canary) -> Iterator[tuple[QuestionKind, str]]:
    for kind in HookType:
        for hook in effective.webhooks(canary, kind):
            if hook.mute_alert and kind in _STAGES:
                yield QuestionKind(kind), hook.name


def _alerts_from(analysis: Analysis, *, has_global_notifier: bool) -> Severity | None:
    """A Canary with alerts of its own never uses the global notifier, which takes everything (metrics:ALR-03)."""
    if not analysis.alerts:
        return Severity.INFO if has_global_notifier else None
    wanted = {effective.alert_severity(alert) for alert in analysis.alerts}
    return next(severity for severity in Severity if severity in wanted)
