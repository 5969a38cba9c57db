"""What validation has to know besides the object."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from flagger_py.api.capabilities import Capabilities
from flagger_py.api.effective import MINIMUM_INTERVAL
from flagger_py.api.providers import traffic_provider


def flagger_capabilities(provider: str) -> Capabilities | None:
    """What Flagger's provider of this name can do; `None` for a name that Flagger does not know."""
    found = traffic_provider(provider)
    return found.capabilities if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The command line and the installed plug-ins, as far as validation depends on them."""

    provider: str = ""
    """The flag `-mesh-provider`; rules that depend on the provider are left out where neither it nor `spec.provider` is given."""
    capabilities: Callable[[str], Capabilities | None] = flagger_capabilities
    """What the router of a provider can do; `None` where it is not known."""
    routers: frozenset[str] = frozenset()
    """The names of installed routers, built-in ones included."""
    metric_providers: frozenset[str] = frozenset()
    """The types of installed metric providers."""
    notifiers: frozenset[str] = frozenset()
    """The types of installed notifiers."""
    minimum_interval: timedelta = MINIMUM_INTERVAL
    """The flag `-minimum-interval`."""
    no_cross_namespace_refs: bool = False
    """The flag `-no-cross-namespace-refs`."""
