"""Brings objects in files to where the controller would bring those of a cluster, with the controller's own workloads and routers."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field, replace

from flagger_py.api import effective
from flagger_py.api.canary import Canary
from flagger_py.cli.file_objects import FileObjects
from flagger_py.controller.observe import RouterFailed, of_router
from flagger_py.objects.errors import ApiError
from flagger_py.objects.knative import KNATIVE_REVISION, KNATIVE_SERVICE, latest_created
from flagger_py.objects.plugins import PluginError
from flagger_py.objects.resource import Ref
from flagger_py.rollout.traffic import Affinity, Routes, Traffic
from flagger_py.routers import registry as routers
from flagger_py.routers.base import Router, RouterSettings
from flagger_py.workloads import registry as workloads
from flagger_py.workloads.autoscaling.scalers import Scalers
from flagger_py.workloads.base import PRIMARY_SUFFIX, Workload, WorkloadError
from flagger_py.workloads.configs import RESOURCES
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import references
from flagger_py.workloads.templated import TemplatedWorkload


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is rendered: these weights, under these flags of the controller."""

    routes: Routes
    workload: WorkloadSettings
    router: RouterSettings
    """`provider` is the flag's; a Canary may name its own."""


@dataclass(slots=True)
class Outcome:
    """What there is to say besides the objects, each text once."""

    failures: dict[str, None] = field(default_factory=dict)
    """What could not be rendered, and why."""
    notes: dict[str, None] = field(default_factory=dict)
    """What was assumed."""


async def render_canary(canary: Canary, objects: FileObjects, wanted: Wanted) -> Outcome:
    """Write all objects of one Canary in the controller's order; one that cannot be written keeps no other from it."""
    outcome = Outcome()
    workload = _workload(canary, objects, wanted, outcome)
    if workload is not None:
        _assume_missing_configs(canary, objects, workload, outcome)
        _assume_revision(canary, objects, outcome)
        await _try(canary, outcome, workload.ensure_services(canary))
        await _try(canary, outcome, _create_primary(canary, workload))
        await _render_scaler(canary, objects, wanted, outcome)
        await _try(canary, outcome, workload.ensure_apex(canary))
    await _set_routes(canary, objects, wanted, outcome)
    if workload is not None:
        await _try(canary, outcome, _scale_target(canary, workload, Scalers(objects, wanted.workload), wanted.routes))
    return outcome


async def _create_primary(canary: Canary, workload: Workload) -> None:
    """Nothing happens where there is a primary: what it carries is promoted, and a different target is a new run."""
    target = await workload.target(canary)
    if target is None:
        return
    configs = await workload.configs(canary, {}, {})
    await workload.create_primary(canary, target.revision, configs.checksums)


async def _render_scaler(canary: Canary, objects: FileObjects, wanted: Wanted, outcome: Outcome) -> None:
    scalers = Scalers(objects, wanted.workload)
    view = await scalers.view(canary)
    if view.problem:
        _fail(canary, outcome, view.problem)
    elif view.ref:
        await _try(canary, outcome, scalers.keep_copy(canary, 0, whole=True))
    if view.remark:
        outcome.notes[view.remark] = None


async def _scale_target(canary: Canary, workload: Workload, scalers: Scalers, routes: Routes) -> None:
    """Canary pods run as long as requests reach them."""
    if routes.canary or routes.mirrored:
        await scalers.resume(canary)
        await workload.scale_up(canary, (await scalers.view(canary)).start_replicas)
    else:
        await scalers.pause(canary)
        await workload.scale_to_zero(canary)


async def _set_routes(canary: Canary, objects: FileObjects, wanted: Wanted, outcome: Outcome) -> None:
    provider = effective.provider(canary, wanted.router.provider)
    if not provider:
        known = ", ".join(routers.names())
        _fail(canary, outcome, f"spec.provider: neither the Canary nor --provider names one; installed are: {known}")
        return
    traffic = Traffic(wanted.routes, _affinity(canary, wanted.routes, outcome))
    try:
        router: Router = routers.load(provider)(objects, replace(wanted.router, provider=provider))
        await of_router(provider, lambda: router.set_routes(canary, traffic))
    except (PluginError, ApiError, RouterFailed) as error:
        _fail(canary, outcome, str(error))


def _workload(canary: Canary, objects: FileObjects, wanted: Wanted, outcome: Outcome) -> Workload | None:
    try:
        return workloads.for_target(canary.spec.target_ref)(objects, wanted.workload)
    except WorkloadError as error:
        _fail(canary, outcome, str(error))
        return None


def _assume_missing_configs(canary: Canary, objects: FileObjects, workload: Workload, outcome: Outcome) -> None:
    """Secrets are rarely kept in files: without this the primary could rarely be rendered."""
    if not workload.tracks_configs:
        return
    for source in _required_configs(canary, objects, workload):
        if objects.peek(source) is None:
            copy = Ref(source.resource, source.namespace, source.name + PRIMARY_SUFFIX)
            objects.assume(source, copy)
            outcome.notes[f"{source} is not in the files: it is taken to exist and to be tracked; its copy {copy} is not shown"] = None


def _assume_revision(canary: Canary, objects: FileObjects, outcome: Outcome) -> None:
    """Knative makes Revisions in a cluster only: without one no primary could be chosen."""
    ref = Ref(KNATIVE_SERVICE, canary.namespace, canary.spec.target_ref.name)
    service = objects.peek(ref) if canary.spec.target_ref.is_knative else None
    if service is None:
        return
    revision = Ref(KNATIVE_REVISION, ref.namespace, latest_created(service) or f"{ref.name}-00001")
    if objects.peek(revision) is None:
        generation = service["metadata"].get("generation", 0)
        objects.report(ref, {"latestCreatedRevisionName": revision.name, "observedGeneration": generation})
        objects.report(revision, {"conditions": [{"type": "Ready", "status": "True"}]})
        outcome.notes[f"{revision} is not in the files: it is taken to exist, to be the newest and to be ready"] = None


def _required_configs(canary: Canary, objects: FileObjects, workload: Workload) -> Iterator[Ref]:
    target = objects.peek(workload.target_ref(canary)) if isinstance(workload, TemplatedWorkload) else None
    if target is not None:
        for reference in references(target["spec"]["template"]["spec"]):
            if not reference.optional:
                yield Ref(RESOURCES[reference.kind], canary.namespace, reference.name)


def _affinity(canary: Canary, routes: Routes, outcome: Outcome) -> Affinity:
    """The session cookies of the Canary's status; made up where a cluster would make new ones."""
    session, status = effective.analysis_of(canary).session_affinity, canary.status
    if session is None:
        return Affinity()
    known = Affinity(status.session_affinity_cookie, status.previous_session_affinity_cookie, status.primary_session_affinity_cookie)
    if not routes.canary or known.canary:
        return known
    outcome.notes[f"{canary}: the values of session cookies are examples"] = None
    primary = f"{session.primary_cookie_name}=exampleABC" if session.primary_cookie_name else ""
    return Affinity(canary=f"{session.cookie_name}=exampleXYZ", primary=known.primary or primary)


async def _try(canary: Canary, outcome: Outcome, call: Awaitable[None]) -> None:
    try:
        await call
    except (WorkloadError, ApiError) as error:
        _fail(canary, outcome, str(error))


def _fail(canary: Canary, outcome: Outcome, reason: str) -> None:
    outcome.failures[reason if reason.startswith(str(canary)) else f"{canary}: {reason}"] = None
