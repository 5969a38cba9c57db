"""What this version supports of what Flagger knows: the one table that the controller, `flagger-py validate` and the docs use."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flagger_py.api.providers import ALERT_TYPES, METRIC_PROVIDERS, TRAFFIC_PROVIDERS
from flagger_py.api.references import AUTOSCALER_KINDS


class Area(StrEnum):
    """What a feature is part of."""

    PROVIDER = "Traffic provider"
    TARGET = "Target"
    STRATEGY = "Strategy"
    AUTOSCALER = "Autoscaler"
    METRIC = "Metric provider"
    ALERT = "Alert type"
    OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of the table. `name` is the value in the API where there is one."""

    area: Area
    name: str
    is_supported: bool
    note: str = ""


WEIGHTED = "weighted steps"
SKIP_ANALYSIS = "skipAnalysis"
AB_TESTING = "A/B testing"
BLUE_GREEN = "blue/green"
MIRRORING = "mirroring"
SESSION_AFFINITY = "session affinity"
DEPLOYMENT = "Deployment"
DAEMON_SET = "DaemonSet"
CORE_SERVICE = "Service"
KNATIVE_SERVICE = "Knative Service"
REVERT_ON_DELETION = "revertOnDeletion"

_SUPPORTED_PROVIDERS = {
    "gatewayapi:v1": "",
    "gatewayapi:v1beta1": "",
    "istio": "",
    "contour": "",
    "knative": "for Knative Services only",
    "kubernetes": "blue/green without a switch of traffic: users meet the new version when the primary rolls",
}
_SUPPORTED_TARGETS = {DEPLOYMENT, DAEMON_SET, CORE_SERVICE, KNATIVE_SERVICE}
GENERIC_ALERT = "generic"
_ALERT_NOTES = {"msteams": "connectors and workflows"}
_SUPPORTED_METRICS = {"prometheus": "and the built-in checks and inline queries"}


def _rows() -> Iterator[Feature]:
    for provider in TRAFFIC_PROVIDERS:
        yield Feature(Area.PROVIDER, provider.name, provider.name in _SUPPORTED_PROVIDERS, _SUPPORTED_PROVIDERS.get(provider.name, ""))
    for target in (DEPLOYMENT, DAEMON_SET, CORE_SERVICE, KNATIVE_SERVICE):
        yield Feature(Area.TARGET, target, target in _SUPPORTED_TARGETS)
    for strategy in (WEIGHTED, SKIP_ANALYSIS, AB_TESTING, BLUE_GREEN, MIRRORING, SESSION_AFFINITY):
        yield Feature(Area.STRATEGY, strategy, is_supported=True)
    for autoscaler in AUTOSCALER_KINDS:
        yield Feature(Area.AUTOSCALER, autoscaler, is_supported=True)
    for metric in METRIC_PROVIDERS:
        yield Feature(Area.METRIC, metric.type, metric.type in _SUPPORTED_METRICS, _SUPPORTED_METRICS.get(metric.type, ""))
    for alert in ALERT_TYPES:
        yield Feature(Area.ALERT, alert, is_supported=True, note=_ALERT_NOTES.get(alert, ""))
    yield Feature(Area.ALERT, GENERIC_ALERT, is_supported=True, note="not in Flagger: JSON for any HTTP receiver")
    yield Feature(Area.OTHER, REVERT_ON_DELETION, is_supported=True)


FEATURES = tuple(_rows())


def is_supported(area: Area, name: str) -> bool:
    """Whether this version can do it. False for what the table does not know."""
    return any(feature.is_supported for feature in FEATURES if (feature.area, feature.name) == (area, name))


def is_known(area: Area, name: str) -> bool:
    """Whether Flagger has it, or we have it on top."""
    return any((feature.area, feature.name) == (area, name) for feature in FEATURES)


def supported(area: Area, plugins: Collection[str] = ()) -> str:
    """The names that may be used, for a message: ours and those of installed plug-ins."""
    ours = {feature.name for feature in FEATURES if feature.area == area and feature.is_supported}
    return ", ".join(sorted(ours | set(plugins))) or "none"


def known(area: Area, plugins: Collection[str] = ()) -> str:
    """All names that mean something, for a message."""
    return ", ".join(sorted({feature.name for feature in FEATURES if feature.area == area} | set(plugins)))


def as_markdown() -> str:
    """The table as it stands in `docs/`."""
    rows = [("", "", "supported", "")]
    rows += [(feature.area.value, f"`{feature.name}`", "yes" if feature.is_supported else "not yet", feature.note) for feature in FEATURES]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|---|", *lines[1:]]) + "\n"
