"""The ports of one Canary: its workload, its router, and the objects it reads, each recorded as something that wakes it."""

from dataclasses import dataclass, replace

from flagger_py.api import effective
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.objects.protocol import Objects
from flagger_py.routers import registry as routers
from flagger_py.routers.base import Router, RouterSettings
from flagger_py.workloads import registry as workloads
from flagger_py.workloads.autoscaling.scalers import Scalers
from flagger_py.workloads.base import Workload
from flagger_py.workloads.settings import WorkloadSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """What the flags say to routers and workloads."""

    workload: WorkloadSettings
    router: RouterSettings
    """`provider` is the flag's; a Canary may name its own."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Kept while provider and target kind stay the same, because a router may remember what its backend did not keep."""

    provider: str
    objects: Objects
    workload: Workload
    scalers: Scalers
    router: Router
    capabilities: Capabilities


def open_ports(canary: Canary, objects: Objects, settings: Settings) -> Ports:
    """The ports for what the Canary asks for. Raises `UnknownPlugin`, `BrokenPlugin` and `WorkloadError`."""
    router = router_of(canary, objects, settings)
    provider = router.settings.provider
    return Ports(
        provider=provider,
        objects=objects,
        workload=workload_of(canary, objects, settings),
        scalers=Scalers(objects, settings.workload),
        router=router,
        capabilities=type(router).capabilities(provider),
    )


def router_of(canary: Canary, objects: Objects, settings: Settings) -> Router:
    """The router of the Canary's provider. Raises `UnknownPlugin` and `BrokenPlugin`."""
    provider = effective.provider(canary, settings.router.provider)
    return routers.load(provider)(objects, replace(settings.router, provider=provider))


def workload_of(canary: Canary, objects: Objects, settings: Settings) -> Workload:
    """What handles the kind of the Canary's target. Raises `WorkloadError`."""
    return workloads.for_target(canary.spec.target_ref)(objects, settings.workload)
