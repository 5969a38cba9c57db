"""Apply: bring about one effect. Nothing here decides anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import assert_never

from flagger_py.api.canary import Canary
from flagger_py.api.status import ConditionType
from flagger_py.controller.finalizer import add_finalizer, remove_finalizer
from flagger_py.controller.observe import RouterFailed, of_router
from flagger_py.controller.ports import Ports
from flagger_py.controller.restoring import Remains, put_back
from flagger_py.objects.errors import ApiError, Conflict, Fenced
from flagger_py.objects.protocol import Objects
from flagger_py.rollout.effects import (
    AddFinalizer,
    Adopt,
    CreatePrimary,
    Effect,
    EnsureApex,
    EnsureServices,
    KeepPrimaryScaler,
    NudgeRoutes,
    PauseScaler,
    Promote,
    PruneConfigs,
    RaisePrimary,
    RemoveFinalizer,
    RemoveFormerScaler,
    RestartPods,
    RestoreApex,
    RestorePrimary,
    RestoreTarget,
    ResumeScaler,
    RevertRoutes,
    RolloutEffect,
    ScalerEffect,
    ScaleTargetToZero,
    ScaleTargetUp,
    SetTraffic,
)
from flagger_py.rollout.world import Fault
from flagger_py.workloads.base import TargetMoved, WorkloadError


class EffectFailed(Exception):
    """An effect could not be brought about. The next pass sees it as an observation and tries again."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Hands:
    """What effects are brought about with: those of a rollout by `ports`, those of a deletion by `remains`."""

    objects: Objects
    ports: Ports | None = None
    remains: Remains | None = None


async def apply(effect: Effect, canary: Canary, hands: Hands) -> None:
    """Bring it about; nothing happens where it is so. Raises `EffectFailed`, `Conflict` and `TargetMoved` (look again); `Fenced`."""
    with _failing_as_fault(effect):
        match effect:
            case AddFinalizer():
                await add_finalizer(hands.objects, canary)
            case RemoveFinalizer():
                await remove_finalizer(hands.objects, canary)
            case RestoreTarget() | RestoreApex() | RevertRoutes():
                if hands.remains is not None:
                    await put_back(effect, canary, hands.remains)
            case ResumeScaler() | PauseScaler() | KeepPrimaryScaler() | RaisePrimary() | RemoveFormerScaler():
                if hands.ports is not None:
                    await _apply_to_scalers(effect, canary, hands.ports)
            case _:
                if hands.ports is not None:
                    await _apply(effect, canary, hands.ports)


@contextmanager
def _failing_as_fault(effect: Effect) -> Iterator[None]:
    try:
        yield
    except (TargetMoved, Conflict, Fenced):
        raise
    except RouterFailed as error:
        raise EffectFailed(error.fault) from error
    except WorkloadError as error:
        raise EffectFailed(Fault(ConditionType.REFERENCES_RESOLVED, type(error).__name__, str(error), retry=True)) from error
    except ApiError as error:
        routing = isinstance(effect, SetTraffic | NudgeRoutes | RevertRoutes)
        condition = ConditionType.ROUTING_READY if routing else ConditionType.REFERENCES_RESOLVED
        raise EffectFailed(Fault(condition, type(error).__name__, error.message, retry=True)) from error


async def _apply(effect: RolloutEffect, canary: Canary, ports: Ports) -> None:  # noqa: C901, PLR0912 - one arm per effect
    workload, router = ports.workload, ports.router
    match effect:
        case Adopt():
            await workload.adopt(canary)
        case EnsureServices():
            await workload.ensure_services(canary)
        case EnsureApex():
            await workload.ensure_apex(canary)
        case CreatePrimary(revision, checksums):
            await workload.create_primary(canary, revision, checksums)
        case RestorePrimary():
            await _restore(canary, ports)
        case Promote(revision, checksums):
            await workload.promote(canary, revision, checksums)
        case SetTraffic(traffic):
            await of_router(ports.provider, lambda: router.set_routes(canary, traffic))
        case NudgeRoutes():
            await of_router(ports.provider, lambda: router.nudge(canary))
        case ScaleTargetUp(replicas):
            await workload.scale_up(canary, replicas)
        case RestartPods(occasion):
            await workload.restart_pods(canary, occasion)
        case ScaleTargetToZero():
            await workload.scale_to_zero(canary)
        case PruneConfigs():
            await workload.prune(canary)
        case _:
            assert_never(effect)


async def _apply_to_scalers(effect: ScalerEffect, canary: Canary, ports: Ports) -> None:
    scalers = ports.scalers
    match effect:
        case ResumeScaler():
            await scalers.resume(canary)
        case PauseScaler():
            await scalers.pause(canary)
        case KeepPrimaryScaler(_, least, whole):
            await scalers.keep_copy(canary, least, whole=whole)
        case RaisePrimary(replicas):
            await ports.workload.raise_primary(canary, replicas)
        case RemoveFormerScaler(former):
            await scalers.remove_former(canary, former)
        case _:
            assert_never(effect)


async def _restore(canary: Canary, ports: Ports) -> None:
    if not await ports.workload.restore_primary(canary):
        name = f"{canary.spec.target_ref.kind} {canary.namespace}/{canary.spec.target_ref.name}-primary"
        message = f"{name} is missing, and no snapshot of what was promoted exists: create it again from a version that is known to be good"
        raise WorkloadError(message)
