"""Observe: build the World of one Canary from the caches. Everything that is read here wakes the Canary when it changes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.status import ConditionType
from flagger_py.controller.ports import Ports
from flagger_py.objects.errors import ApiError, Forbidden, NotServed
from flagger_py.rollout.plan import Plan
from flagger_py.rollout.questions import Answer, QuestionKey
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.rollout.turn import UNKNOWN_REVISION
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from flagger_py.rollout.world import ConfigsView, Fault, FirstContact, World
from flagger_py.routers.base import RouterError, UnreadableRoutes
from flagger_py.workloads.base import WorkloadError

log = structlog.get_logger(__name__)

T = TypeVar("T")

ALL_IN_PLACE = ServicesView(canary=True, primary=True, apex=True)
"""Without a target nothing says what the Services should be: they are left as they are."""


class Unobservable(Exception):
    """A part of the World cannot be had; the fault says which and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Situation:
    """What the World holds besides the objects of the Canary."""

    plan: Plan
    answers: Mapping[QuestionKey, Answer] = field(default_factory=dict)
    asking: frozenset[QuestionKey] = frozenset()
    failures: tuple[Fault, ...] = ()
    may_start: bool = True
    frozen: bool = False


async def observe(canary: Canary, ports: Ports, situation: Situation) -> World:
    """The World, or one with the fault that keeps it from being observed. Raises `ApiError` where the API server is the cause."""
    try:
        return await _observe(canary, ports, situation)
    except Unobservable as error:
        return World(canary=canary, plan=situation.plan, faults=(error.fault,))


async def _observe(canary: Canary, ports: Ports, situation: Situation) -> World:
    await _of_workload(ports.workload.require_usable(canary))
    target = await _of_workload(ports.workload.target(canary))
    primary = await _of_workload(ports.workload.primary(canary))
    return World(
        canary=canary,
        plan=situation.plan,
        target=target,
        primary=primary,
        configs=await _configs(canary, ports, target),
        services=await _of_workload(ports.workload.services(canary)) if target else ALL_IN_PLACE,
        scaler=await ports.scalers.view(canary),
        routes=await _routes(canary, ports),
        first_contact=await _first_contact(canary, ports, target, primary),
        answers=situation.answers,
        asking=situation.asking,
        failures=situation.failures,
        may_start=situation.may_start,
        frozen=situation.frozen,
    )


async def _configs(canary: Canary, ports: Ports, target: TargetView | None) -> ConfigsView:
    if not ports.workload.tracks_configs:
        return ConfigsView(None)
    stored, record = canary.status.tracked_configs or {}, canary.status.rollout
    versions = record.config_versions if record else {}
    if target is None:
        return ConfigsView(stored, versions)
    tracked = await _of_workload(ports.workload.configs(canary, stored, versions))
    return ConfigsView(tracked.checksums, tracked.versions)


async def _first_contact(canary: Canary, ports: Ports, target: TargetView | None, primary: PrimaryView | None) -> FirstContact | None:
    """Asked only while the record does not say what the primary carries, because it reads live (design §6)."""
    record = canary.status.rollout
    if target is None or primary is None:
        return None
    if record is not None and (record.promoted_revision != UNKNOWN_REVISION or record.revision == target.revision):
        return None
    return FirstContact(await _of_workload(ports.workload.primary_matches_target(canary)))


async def _of_workload(call: Awaitable[T]) -> T:
    try:
        return await call
    except WorkloadError as error:
        raise Unobservable(Fault(ConditionType.REFERENCES_RESOLVED, type(error).__name__, str(error))) from error
    except (NotServed, Forbidden) as error:
        raise Unobservable(Fault(ConditionType.REFERENCES_RESOLVED, type(error).__name__, error.message, retry=True)) from error


async def _routes(canary: Canary, ports: Ports) -> Routes | Pending:
    try:
        return await of_router(ports.provider, lambda: _readable_routes(canary, ports))
    except RouterFailed as error:
        raise Unobservable(error.fault) from error


async def _readable_routes(canary: Canary, ports: Ports) -> Routes | Pending:
    """Weights that make no sense are mended where it is known which ones are wanted (design §4)."""
    try:
        return await ports.router.get_routes(canary)
    except UnreadableRoutes as error:
        if canary.status.rollout is None or canary.status.rollout.desired is None:
            raise
        return Pending(str(error), is_broken=True)


class RouterFailed(Exception):
    """The router refused or failed; the fault says how."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


async def of_router(provider: str, call: Callable[[], Awaitable[T]]) -> T:
    """Call a router, which may be a stranger's code: whatever it raises is reported on this Canary and hurts no other.

    Raises `RouterFailed`, and `ApiError` where the API server is the cause.
    """
    try:
        return await call()
    except RouterError as error:
        raise RouterFailed(Fault(ConditionType.ROUTING_READY, "Refused", str(error))) from error
    except (NotServed, Forbidden) as error:
        raise RouterFailed(Fault(ConditionType.ROUTING_READY, type(error).__name__, error.message, retry=True)) from error
    except ApiError:
        raise
    except Exception as error:
        log.exception("router_raised", provider=provider)
        message = f"router {provider!r} failed: {type(error).__name__}: {error}"
        raise RouterFailed(Fault(ConditionType.ROUTING_READY, "PluginFailed", message, retry=True)) from error
