"""What was there before a Canary: how far it is back, and how it is put back. A part of the cluster that is gone hides no other part."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from flagger_py.api import effective
from flagger_py.api.canary import Canary
from flagger_py.controller.observe import RouterFailed, of_router
from flagger_py.controller.ports import Settings, router_of, workload_of
from flagger_py.objects.errors import ApiError, Fenced
from flagger_py.objects.plugins import PluginError
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.effects import RestorationEffect, RestoreApex, RestoreTarget, RevertRoutes
from flagger_py.rollout.views import Back, Lost, Part, PrimaryView, RestorationView, ScalerView, TargetView
from flagger_py.routers.base import Router, RouterError
from flagger_py.workloads.autoscaling.scalers import Scalers
from flagger_py.workloads.base import Workload, WorkloadError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remains:
    """Whom to ask for the objects of a Canary that is being deleted; where there is nobody, why."""

    provider: str
    scalers: Scalers
    workload: Workload | WorkloadError
    router: Router | RouterError


def open_remains(canary: Canary, objects: Objects, settings: Settings) -> Remains:
    """What there is. The spec may be invalid, and the plug-in that it names may be gone."""
    provider = effective.provider(canary, settings.router.provider)
    return Remains(provider, Scalers(objects, settings.workload), _workload(canary, objects, settings), _router(canary, objects, settings))


def _workload(canary: Canary, objects: Objects, settings: Settings) -> Workload | WorkloadError:
    try:
        return workload_of(canary, objects, settings)
    except WorkloadError as error:
        return error


def _router(canary: Canary, objects: Objects, settings: Settings) -> Router | RouterError:
    try:
        return router_of(canary, objects, settings)
    except PluginError as error:
        return RouterError(str(error))


@dataclass(frozen=True, slots=True)
class Seen:
    """What is left of the Canary's objects."""

    target: TargetView | None
    primary: PrimaryView | None
    scaler: ScalerView
    restoration: RestorationView


async def look_at(canary: Canary, remains: Remains) -> Seen:
    """Everything that can be looked at, by the caches; what cannot be says why."""
    workload, router, scaler = remains.workload, remains.router, await remains.scalers.view(canary)
    if isinstance(workload, WorkloadError):
        lost = Lost(str(workload))
        return Seen(None, None, scaler, RestorationView(lost, lost, await _routes(canary, remains.provider, router)))
    target = await _or_lost(lambda: workload.target(canary))
    primary = await _or_lost(lambda: workload.primary(canary))
    lost_workloads = next((view for view in (target, primary) if isinstance(view, Lost)), Back())
    view = RestorationView(
        workloads=lost_workloads,
        apex=await _or_lost(lambda: workload.apex_restoration(canary)),
        routes=await _routes(canary, remains.provider, router),
    )
    return Seen(None if isinstance(target, Lost) else target, None if isinstance(primary, Lost) else primary, scaler, view)


async def _routes(canary: Canary, provider: str, router: Router | RouterError) -> Part:
    if isinstance(router, RouterError):
        return Lost(str(router))
    try:
        return await of_router(provider, lambda: _or_lost(lambda: router.restoration(canary)))
    except RouterFailed as error:
        return Lost(error.fault.message)


async def _or_lost(call: Callable[[], Awaitable[T]]) -> T | Lost:
    try:
        return await call()
    except Fenced:
        raise
    except ApiError as error:
        return Lost(error.message)
    except WorkloadError as error:
        return Lost(str(error))


async def put_back(effect: RestorationEffect, canary: Canary, remains: Remains) -> None:
    """Bring it about. Raises `WorkloadError`, `RouterFailed` and `ApiError`."""
    match effect:
        case RestoreTarget():
            await remains.scalers.resume(canary)
            await _present(remains.workload).restore_target(canary)
        case RestoreApex():
            await _present(remains.workload).restore_apex(canary)
        case RevertRoutes(only_prepare=True):
            await of_router(remains.provider, lambda: _present(remains.router).prepare_finalize(canary))
        case RevertRoutes():
            await of_router(remains.provider, lambda: _present(remains.router).finalize(canary))


def _present(part: T | WorkloadError | RouterError) -> T:
    if isinstance(part, WorkloadError | RouterError):
        raise part
    return part
