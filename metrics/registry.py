"""The metric providers that are installed, by `provider.type` of a MetricTemplate.

Nothing falls back to Prometheus (deviates from metrics:TPL-06).
"""

from flagger_py.metrics.base import MetricProvider
from flagger_py.objects.plugins import BrokenPlugin, Origin, Plugins, UnknownPlugin

GROUP = "flagger_py.metrics"


class UnknownProvider(UnknownPlugin):
    """No installed distribution offers a provider of this type."""


class BrokenProvider(BrokenPlugin):
    """The provider of this type is installed, but cannot be used."""


_PROVIDERS: Plugins[MetricProvider] = Plugins(
    GROUP,
    MetricProvider,  # type: ignore[type-abstract]  # the base that plug-ins are checked against is abstract on purpose
    "metric provider",
    unknown=UnknownProvider,
    broken=BrokenProvider,
)


def names() -> tuple[str, ...]:
    """The provider types on offer, sorted."""
    return _PROVIDERS.names()


def load(provider_type: str) -> type[MetricProvider]:
    """The class of a provider type. Raises `UnknownProvider` or `BrokenProvider`."""
    return _PROVIDERS.load(provider_type)


def origin(provider_type: str) -> Origin:
    """The distribution and version that a provider comes from. Raises `UnknownProvider` or `BrokenProvider`."""
    return _PROVIDERS.origin(provider_type)
