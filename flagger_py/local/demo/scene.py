"""What can be seen at one moment: what was asked for, and what was measured on real answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flagger_py.api.canary import Canary
from flagger_py.api.rollout_record import Check
from flagger_py.local.traffic import Window


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a frame of the demo shows; percentages and seconds."""

    elapsed: float
    act: str
    """What is going on, in words."""
    phase: str
    asked: int
    """The canary weight that the controller wants."""
    measured: float | None
    """The share of answers that came from the new version since that weight is live; `None` while there is none."""
    versions: Mapping[str, int]
    """Answers of the last seconds by version."""
    rate: float
    success_rate: float | None
    latency: float | None
    """p99 in seconds."""
    failed_checks: int
    threshold: int
    checks: tuple[Check, ...] = ()
    events: Sequence[str] = field(default=())
    """The newest last."""


@dataclass(frozen=True, slots=True)
class Views:
    """What was answered: in the last seconds, and since the present weight is live."""

    lately: Window
    at_weight: Window


def scene(canary: Canary, views: Views, *, elapsed: float, act: str, new_version: str, events: Sequence[str]) -> Scene:
    """The scene of this moment."""
    record = canary.status.rollout
    analysis = canary.spec.analysis
    return Scene(
        elapsed=elapsed,
        act=act,
        phase=str(canary.status.phase) or "-",
        asked=canary.status.canary_weight,
        measured=views.at_weight.share(new_version) if new_version else None,
        versions=dict(sorted(views.lately.versions().items())),
        rate=views.lately.rate,
        success_rate=views.lately.success_rate(),
        latency=views.lately.latency(0.99),
        failed_checks=canary.status.failed_checks,
        threshold=analysis.threshold if analysis else 0,
        checks=record.checks if record else (),
        events=events,
    )
