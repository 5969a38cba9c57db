"""Knative Service targets: which Revision is the canary, which one the primary, and when they are ready."""

from typing import Any

import pytest

from flagger_py.objects.knative import KNATIVE_REVISION, KNATIVE_SERVICE, PRIMARY_REVISION, project_revision, project_service
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.readiness import NotReady, Ready
from flagger_py.rollout.views import ServicesView
from flagger_py.workloads.base import TargetMissing, TargetMoved, WorkloadError
from flagger_py.workloads.knative import KnativeWorkload, revision_of
from flagger_py.workloads.settings import WorkloadSettings
from tests.unit.workloads.build import NAMESPACE, make_canary
from tests.unit.workloads.memory import MemoryObjects

TARGET = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
CANARY = make_canary(targetRef=TARGET, provider="knative")
FIRST, SECOND = "web-00001", "web-00002"
WEB = Ref(KNATIVE_SERVICE, NAMESPACE, "web")


class KnativeObjects(MemoryObjects):
    """With Knative's kinds, one of which has the name of a core one."""

    def put(self, manifest: Manifest) -> Manifest:
        ref = Ref.of(KNATIVE_REVISION if manifest["kind"] == "Revision" else KNATIVE_SERVICE, manifest)
        self._version += 1
        self.stored[ref] = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(self._version)}}
        return self.stored[ref]


def make_service(latest: str = FIRST, *, primary: str = "", observed: int = 1, traffic: list[Manifest] | None = None) -> Manifest:
    metadata: Manifest = {"name": "web", "namespace": NAMESPACE, "uid": "uid-web", "generation": 1, "annotations": {"theirs": "1"}}
    if primary:
        metadata["annotations"][PRIMARY_REVISION] = primary
    return {
        "apiVersion": KNATIVE_SERVICE.api_version,
        "kind": "Service",
        "metadata": metadata,
        "spec": {"template": {"spec": {}}, "traffic": traffic or []},
        "status": {"observedGeneration": observed, "latestCreatedRevisionName": latest},
    }


def make_revision(name: str, status: str = "True", **condition: Any) -> Manifest:
    return {
        "apiVersion": KNATIVE_REVISION.api_version,
        "kind": "Revision",
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1, "labels": {"serving.knative.dev/service": "web"}},
        "spec": {},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": status, **condition}]},
    }


def workload_of(*manifests: Manifest) -> tuple[KnativeWorkload, KnativeObjects]:
    objects = KnativeObjects(manifests)
    return KnativeWorkload(objects, WorkloadSettings()), objects


def chosen(objects: KnativeObjects) -> str | None:
    name: str | None = objects.stored[WEB]["metadata"]["annotations"].get(PRIMARY_REVISION)
    return name


async def test_the_revision_is_the_name_of_the_newest_one() -> None:
    """workloads:KN-06: without a generation, because a newer template may not have been seen yet."""
    workload, _ = workload_of(make_service(), make_revision(FIRST))
    target = await workload.target(CANARY)
    assert target is not None
    assert (target.revision, target.generation, target.has_pods, target.readiness) == (revision_of(FIRST), 0, False, Ready())
    assert revision_of(FIRST) != revision_of(SECOND)


@pytest.mark.parametrize(
    ("manifests", "reason"),
    [
        pytest.param([make_service(observed=0)], "generation 1 is not observed yet", id="workloads:KN-05 the status lags"),
        pytest.param([make_service(latest="")], "has no Revision yet", id="workloads:KN-03 no revision"),
        pytest.param([make_service()], "Revision web-00001 does not exist", id="the revision is not there"),
        pytest.param(
            [make_service(), make_revision(FIRST, "Unknown", reason="Deploying")], "Revision web-00001: Deploying", id="it starts"
        ),
        pytest.param(
            [make_service(), make_revision(FIRST, "False", reason="ImagePull", message="no such image")],
            "ImagePull: no such image",
            id="it cannot start",
        ),
    ],
)
async def test_a_canary_that_is_not_ready_says_why_and_is_never_dead_by_itself(manifests: list[Manifest], reason: str) -> None:
    """workloads:KN-05: Knative sets no deadline; the Canary's counts."""
    target = await workload_of(*manifests)[0].target(CANARY)
    assert target is not None
    assert isinstance(target.readiness, NotReady)
    assert reason in target.readiness.reason


async def test_the_primary_is_the_revision_that_the_annotation_names() -> None:
    """workloads:KN-02, KN-05."""
    workload, _ = workload_of(make_service(SECOND, primary=FIRST), make_revision(FIRST, "False", reason="Evicted"), make_revision(SECOND))
    primary = await workload.primary(CANARY)
    assert primary is not None
    assert primary.readiness == NotReady("Revision web-00001: Evicted")
    assert not await workload.primary_matches_target(CANARY)


@pytest.mark.parametrize(
    "manifests", [[], [make_service()], [make_service(primary="gone")]], ids=["no service", "no annotation", "a revision that is gone"]
)
async def test_otherwise_there_is_no_primary(manifests: list[Manifest]) -> None:
    assert await workload_of(*manifests)[0].primary(CANARY) is None


async def test_the_first_ready_revision_becomes_the_primary() -> None:
    """workloads:KN-03, S11."""
    workload, objects = workload_of(make_service(), make_revision(FIRST))
    await workload.create_primary(CANARY, revision_of(FIRST), {})
    assert (chosen(objects), objects.stored[WEB]["metadata"]["annotations"]["theirs"]) == (FIRST, "1")


async def test_a_chosen_primary_is_kept() -> None:
    """workloads:KN-03, S11: a restored backup has one."""
    workload, objects = workload_of(make_service(SECOND, primary=FIRST), make_revision(FIRST), make_revision(SECOND))
    await workload.create_primary(CANARY, revision_of(SECOND), {})
    assert chosen(objects) == FIRST


async def test_one_whose_revision_is_gone_is_chosen_anew() -> None:
    workload, objects = workload_of(make_service(SECOND, primary=FIRST), make_revision(SECOND))
    await workload.create_primary(CANARY, revision_of(SECOND), {})
    assert chosen(objects) == SECOND


@pytest.mark.parametrize(
    ("manifests", "latest", "message"),
    [
        pytest.param([make_service(latest="")], "", "Service shop/web has no Revision yet", id="none"),
        pytest.param(
            [make_service(), make_revision(FIRST, "False", reason="Bad")], FIRST, "cannot become the primary: .*: Bad", id="not ready"
        ),
    ],
)
async def test_one_that_is_not_ready_never_does(manifests: list[Manifest], latest: str, message: str) -> None:
    """workloads:KN-03: Flagger writes an empty name."""
    workload, objects = workload_of(*manifests)
    with pytest.raises(WorkloadError, match=message):
        await workload.create_primary(CANARY, revision_of(latest), {})
    assert chosen(objects) is None


async def test_a_promotion_moves_the_annotation_and_nothing_else() -> None:
    """workloads:KN-04."""
    workload, objects = workload_of(make_service(SECOND, primary=FIRST), make_revision(FIRST), make_revision(SECOND))
    before = objects.stored[WEB]["spec"]
    await workload.promote(CANARY, revision_of(SECOND), {})
    assert (chosen(objects), objects.stored[WEB]["spec"]) == (SECOND, before)
    objects.calls.clear()
    await workload.promote(CANARY, revision_of(SECOND), {})
    assert objects.writes == []


async def test_a_revision_that_was_not_analysed_is_never_promoted() -> None:
    """engine:HAZ-17, workloads:DEP-06."""
    workload, objects = workload_of(make_service("web-00003", primary=FIRST), make_revision(FIRST))
    with pytest.raises(TargetMoved):
        await workload.promote(CANARY, revision_of(SECOND), {})
    assert chosen(objects) == FIRST


@pytest.mark.parametrize("by_traffic", [True, False])
async def test_a_removed_annotation_is_set_to_what_was_promoted(by_traffic: bool) -> None:
    """workloads:DEP-05: never to the newest, whatever the traffic names."""
    entries = [{"revisionName": FIRST, "percent": 100}, {"latestRevision": True, "revisionName": SECOND, "percent": 0}]
    workload, objects = workload_of(
        make_service(SECOND, traffic=entries if by_traffic else []), make_revision(FIRST), make_revision(SECOND)
    )
    promoted = make_canary(targetRef=TARGET, status={"phase": "Succeeded", "rollout": {"promotedRevision": revision_of(FIRST)}})
    assert await workload.restore_primary(promoted)
    assert chosen(objects) == FIRST


async def test_where_it_is_not_known_a_person_is_asked() -> None:
    workload, _ = workload_of(make_service(SECOND), make_revision(SECOND))
    with pytest.raises(WorkloadError, match="set the name of one that is known to be good"):
        await workload.restore_primary(CANARY)


async def test_a_service_that_is_gone_is_said_to_be() -> None:
    workload, _ = workload_of()
    assert await workload.target(CANARY) is None
    with pytest.raises(TargetMissing, match="Service shop/web does not exist"):
        await workload.promote(CANARY, revision_of(FIRST), {})


async def test_scaling_configs_and_services_are_nothing_of_ours() -> None:
    """workloads:KN-02, KN-06."""
    workload, objects = workload_of(make_service(), make_revision(FIRST))
    await workload.scale_up(CANARY)
    await workload.scale_to_zero(CANARY)
    await workload.ensure_services(CANARY)
    await workload.adopt(CANARY)
    assert objects.writes == []
    assert await workload.services(CANARY) == ServicesView(canary=True, primary=True, apex=True)
    assert not (await workload.configs(CANARY, {}, {})).checksums


def test_the_store_keeps_what_is_looked_at() -> None:
    """design §3: templates of Revisions can be large."""
    service, revision = make_service(primary=FIRST), make_revision(FIRST, reason="x")
    kept = project_service(service)
    assert kept["spec"] == {"traffic": []}
    assert kept["metadata"]["annotations"] == {PRIMARY_REVISION: FIRST}
    assert (kept["status"], project_service(kept)) == (service["status"], kept)
    assert "spec" not in project_revision(revision)
    assert project_revision(project_revision(revision)) == project_revision(revision)
