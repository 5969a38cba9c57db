"""The life of a core Service target on the embedded API server, through the real client and its caches."""

from collections.abc import AsyncIterator

import pytest

from flagger_py.api.canary import Canary
from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster, ClusterObjects
from flagger_py.local.apiserver import ApiServer
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import SERVICE, Manifest, Ref
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.views import ServicesView
from flagger_py.workloads.base import TargetMissing, TargetMoved, WorkloadError
from flagger_py.workloads.core_service import CoreServiceWorkload
from flagger_py.workloads.settings import WorkloadSettings
from tests.unit.workloads.build import NAMESPACE, make_canary, owned_by

TARGET = {"apiVersion": "v1", "kind": "Service", "name": "web"}
CANARY = make_canary(targetRef=TARGET)
SOURCE: Manifest = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": NAMESPACE, "labels": {"team": "shop"}},
    "spec": {"selector": {"app": "web", "version": "1"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}


class Life:
    """A cluster with the user's Service, as the controller sees it."""

    def __init__(self, cluster: Cluster) -> None:
        self.objects = ClusterObjects(cluster, cluster.client, lambda ref: None)
        self.workload = CoreServiceWorkload(self.objects, WorkloadSettings())

    async def get(self, name: str) -> Manifest:
        manifest = await self.objects.get(Ref(SERVICE, NAMESPACE, name))
        assert manifest is not None
        return manifest

    async def patch(self, name: str, body: Manifest) -> None:
        await self.objects.patch(Ref(SERVICE, NAMESPACE, name), MergePatch(body))

    async def select(self, version: str) -> None:
        """The user points the Service to the pods of another version."""
        await self.patch("web", {"spec": {"selector": {"version": version}}})

    async def selected(self, name: str) -> str:
        version: str = (await self.get(name))["spec"]["selector"]["version"]
        return version

    async def revision(self) -> str:
        target = await self.workload.target(CANARY)
        assert target is not None
        return target.revision

    async def promotion_id(self) -> str:
        primary = await self.workload.primary(CANARY)
        assert primary is not None
        return primary.promotion_id

    async def initialise(self, canary: Canary = CANARY) -> None:
        await self.workload.ensure_services(canary)
        await self.workload.create_primary(canary, await self.revision(), {})

    async def versions(self) -> dict[str, str]:
        services = await self.objects.find(SERVICE, NAMESPACE)
        return {service["metadata"]["name"]: service["metadata"]["resourceVersion"] for service in services}


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    server = ApiServer()
    server.load([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, SOURCE])
    async with Cluster(Client(server.transport())) as cluster:
        yield Life(cluster)


async def test_a_service_with_a_cluster_ip_is_copied_twice(life: Life) -> None:
    """workloads:SVC-02, SVC-03, SVC-04, api:GAP-70: Flagger's copies are refused, for ever."""
    await life.initialise()
    addresses = {(await life.get(name))["spec"]["clusterIP"] for name in ("web", "web-primary", "web-canary")}
    assert len(addresses) == 3
    for name in ("web-primary", "web-canary"):
        copy = await life.get(name)
        assert (copy["spec"]["selector"], copy["metadata"]["labels"]) == (SOURCE["spec"]["selector"], SOURCE["metadata"]["labels"])
        assert copy["metadata"]["ownerReferences"] == owned_by(CANARY)


async def test_it_has_no_pods_and_is_always_ready(life: Life) -> None:
    """workloads:SVC-01, RDY-14, engine:WL-06."""
    await life.initialise()
    target, primary = await life.workload.target(CANARY), await life.workload.primary(CANARY)
    assert target is not None
    assert primary is not None
    assert (target.readiness, target.has_pods, target.generation) == (Ready(), False, 0)
    assert (primary.readiness, primary.has_pods) == (Ready(), False)
    assert not life.workload.tracks_configs
    before = await life.versions()
    await life.workload.scale_up(CANARY)
    await life.workload.scale_to_zero(CANARY)
    await life.workload.restore_target(CANARY)
    await life.workload.restore_apex(CANARY)
    await life.workload.prune(CANARY)
    assert await life.versions() == before


async def test_the_canary_copy_follows_at_once_and_the_primary_copy_does_not(life: Life) -> None:
    """workloads:SVC-02, SVC-07."""
    await life.initialise()
    await life.select("2")
    assert await life.workload.services(CANARY) == ServicesView(canary=False, primary=True, apex=True)
    await life.workload.ensure_services(CANARY)
    assert await life.workload.services(CANARY) == ServicesView(canary=True, primary=True, apex=True)
    assert [await life.selected(name) for name in ("web-canary", "web-primary")] == ["2", "1"]


async def test_a_copy_in_step_costs_no_request(life: Life) -> None:
    """workloads:SVC-02: Flagger's unconditional update of each interval is gone."""
    await life.initialise()
    before = await life.versions()
    await life.workload.ensure_services(CANARY)
    await life.workload.create_primary(CANARY, await life.revision(), {})
    await life.workload.promote(CANARY, await life.revision(), {})
    assert await life.versions() == before


async def test_a_promotion_gives_the_primary_what_was_analysed(life: Life) -> None:
    """workloads:SVC-05, S17."""
    await life.initialise()
    before = (await life.get("web-primary"))["spec"]["clusterIP"]
    await life.select("2")
    await life.workload.promote(CANARY, await life.revision(), {})
    primary = await life.get("web-primary")
    assert (primary["spec"]["selector"]["version"], primary["spec"]["clusterIP"]) == ("2", before)
    assert primary["metadata"]["ownerReferences"] == owned_by(CANARY)
    assert await life.workload.primary_matches_target(CANARY)


async def test_the_primary_itself_tells_what_it_carries(life: Life) -> None:
    """workloads:GEN-19: a promotion that was brought about is known without an annotation."""
    await life.initialise()
    carried = await life.promotion_id()
    await life.select("2")
    assert await life.promotion_id() == carried
    await life.workload.promote(CANARY, await life.revision(), {})
    assert await life.promotion_id() != carried


async def test_another_revision_than_the_analysed_one_is_never_promoted(life: Life) -> None:
    """engine:HAZ-17, workloads:DEP-06."""
    await life.initialise()
    await life.select("2")
    analysed = await life.revision()
    await life.select("3")
    with pytest.raises(TargetMoved, match="Service shop/web is at revision"):
        await life.workload.promote(CANARY, analysed, {})
    assert await life.selected("web-primary") == "1"


async def test_a_deleted_primary_is_made_again_as_it_was_promoted(life: Life) -> None:
    """workloads:DEP-05: never from the user's Service, which may be at a revision that failed."""
    await life.initialise()
    await life.select("2")
    await life.workload.promote(CANARY, await life.revision(), {})
    await life.select("3")
    await life.objects.delete(Ref(SERVICE, NAMESPACE, "web-primary"))
    assert await life.workload.restore_primary(CANARY)
    assert await life.selected("web-primary") == "2"


async def test_a_primary_that_flagger_left_is_kept_for_that_too(life: Life) -> None:
    """workloads:DEP-05: with an address of its own, which it may not get again."""
    await life.initialise()
    await life.workload.adopt(CANARY)
    await life.objects.delete(Ref(SERVICE, NAMESPACE, "web-primary"))
    assert await life.workload.restore_primary(CANARY)
    assert await life.selected("web-primary") == "1"


async def test_without_a_target_nothing_is_made(life: Life) -> None:
    await life.objects.delete(Ref(SERVICE, NAMESPACE, "web"))
    assert await life.workload.target(CANARY) is None
    with pytest.raises(TargetMissing, match="Service shop/web does not exist"):
        await life.workload.ensure_services(CANARY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"type": "NodePort"}, {"type": "ClusterIP"}, id="node ports go"),
        pytest.param({}, {"type": "NodePort"}, id="node ports come"),
        pytest.param({"type": "LoadBalancer"}, {"type": "ClusterIP"}, id="no load balancer any more"),
        pytest.param({"sessionAffinity": "ClientIP"}, {"sessionAffinity": "None"}, id="no affinity any more"),
        pytest.param({}, {"type": "ExternalName", "externalName": "old.example.com", "selector": None}, id="another name"),
        pytest.param({}, {"ports": [{"name": "grpc", "port": 80, "targetPort": 9090}]}, id="other ports"),
    ],
)
async def test_the_copies_go_along_with_every_change(life: Life, before: Manifest, after: Manifest) -> None:
    """workloads:SVC-05: what belongs to the former type goes, what the server gives to the new one is left to it."""
    await life.patch("web", {"spec": before})
    await life.initialise()
    await life.patch("web", {"spec": after})
    await life.workload.ensure_services(CANARY)
    await life.workload.promote(CANARY, await life.revision(), {})
    assert await life.workload.services(CANARY) == ServicesView(canary=True, primary=True, apex=True)
    assert await life.workload.primary_matches_target(CANARY)


async def test_a_name_without_room_is_refused(life: Life) -> None:
    """workloads:SEL-04, api:GAP-41: `-primary` makes 63 characters of 55."""
    for length, is_usable in ((55, True), (56, False)):
        name = "a" * length
        await life.objects.create(SERVICE, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": SOURCE["spec"]})
        canary = make_canary(targetRef={**TARGET, "name": name})
        if is_usable:
            target = await life.workload.target(canary)
            assert target is not None
            await life.workload.ensure_services(canary)
            await life.workload.create_primary(canary, target.revision, {})
            assert len((await life.get(f"{name}-primary"))["metadata"]["name"]) == 63
        else:
            with pytest.raises(WorkloadError, match="at most 55 leave room for '-primary'"):
                await life.workload.target(canary)
