"""What is special about DaemonSets: zero by a node selector, no replicas, and a strategy that must replace pods."""

from typing import Any

import pytest

from flagger_py.objects.resource import Manifest
from flagger_py.rollout.readiness import NotReady, Ready
from flagger_py.workloads.base import TargetMissing, WorkloadError
from flagger_py.workloads.daemonset import DaemonSetWorkload
from flagger_py.workloads.marks import SCALE_TO_ZERO
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import revision_of
from tests.unit.workloads.build import NAMESPACE, make_canary, make_daemon_set, owned_by, scheduled_status
from tests.unit.workloads.memory import MemoryObjects

CANARY = make_canary(targetRef={"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web"})
ZERO = {SCALE_TO_ZERO: "true"}
GENERATION = "deprecated.daemonset.template.generation"


class Cluster:
    """A target, what else there is, and the workload on it."""

    def __init__(self, *manifests: Manifest) -> None:
        self.objects = MemoryObjects(manifests)
        self.workload = DaemonSetWorkload(self.objects, WorkloadSettings())

    @property
    def target(self) -> Manifest:
        return self.objects.manifest("DaemonSet", NAMESPACE, "web")

    @property
    def primary(self) -> Manifest:
        return self.objects.manifest("DaemonSet", NAMESPACE, "web-primary")

    @property
    def selector(self) -> dict[str, str] | None:
        """The target's node selector."""
        found: dict[str, str] | None = self.target["spec"]["template"]["spec"].get("nodeSelector")
        return found

    async def revision(self) -> str:
        target = await self.workload.target(CANARY)
        assert target is not None
        return target.revision


class TestZero:
    @pytest.mark.parametrize("of_user", [None, {"disk": "ssd"}], ids=["no selector", "a selector of the user"])
    async def test_down_and_up_again(self, of_user: dict[str, str] | None) -> None:
        """workloads:DS-01, DS-05, S16: each is one write, other selectors stay, and it is no new revision."""
        cluster = Cluster(make_daemon_set(pod={"nodeSelector": of_user} if of_user else None))
        revision = await cluster.revision()
        for _ in range(2):
            await cluster.workload.scale_to_zero(CANARY)
        assert cluster.selector == {**(of_user or {}), **ZERO}
        at_zero = await cluster.workload.target(CANARY)
        assert at_zero is not None
        assert (at_zero.replicas, at_zero.revision) == (0, revision)
        for _ in range(2):
            await cluster.workload.scale_up(CANARY)
        assert (cluster.selector or {}) == (of_user or {})
        assert await cluster.revision() == revision
        assert cluster.objects.writes == ["patch DaemonSet web"] * 2

    async def test_it_is_restored_with_or_without_a_primary(self) -> None:
        """workloads:DS-06, S16"""
        for others in ([], [make_daemon_set("web-primary")]):
            cluster = Cluster(make_daemon_set(pod={"nodeSelector": ZERO}), *others)
            await cluster.workload.restore_target(CANARY)
            assert not cluster.selector
        await Cluster().workload.restore_target(CANARY)

    async def test_a_missing_target_cannot_run(self) -> None:
        with pytest.raises(TargetMissing, match="DaemonSet shop/web does not exist"):
            await Cluster().workload.scale_up(CANARY)

    async def test_one_that_fits_no_node_is_not_at_zero(self) -> None:
        """workloads:RDY-09: how many pods it wants shows only once its controller has looked."""
        cluster = Cluster(make_daemon_set(nodes=0))
        view = await cluster.workload.target(CANARY)
        assert view is not None
        assert (view.replicas, view.available, view.readiness) == (1, 0, Ready())

    async def test_how_many_pods_a_primary_has_is_not_ours(self) -> None:
        """workloads:AS-05"""
        cluster = Cluster(make_daemon_set(), make_daemon_set("web-primary"))
        await cluster.workload.raise_primary(CANARY, 9)
        assert cluster.objects.writes == []


class TestPrimary:
    async def test_it_is_the_target_with_another_selector(self) -> None:
        """workloads:DS-03, GEN-04"""
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "50%"}}
        fields: dict[str, Any] = {"minReadySeconds": 5, "revisionHistoryLimit": 3, "updateStrategy": strategy}
        cluster = Cluster(make_daemon_set(**fields))
        await cluster.workload.create_primary(CANARY, await cluster.revision(), {})
        primary = cluster.primary
        assert primary["metadata"]["ownerReferences"] == owned_by(CANARY)
        assert GENERATION not in primary["metadata"]["annotations"]
        assert primary["spec"].keys() == {"selector", "template", *fields}
        assert {key: primary["spec"][key] for key in fields} == fields
        assert primary["spec"]["selector"] == {"matchLabels": {"app": "web-primary"}}

    async def test_one_that_is_created_while_the_target_is_at_zero_runs(self) -> None:
        """workloads:DS-04"""
        cluster = Cluster(make_daemon_set(pod={"nodeSelector": {"disk": "ssd", **ZERO}}))
        await cluster.workload.create_primary(CANARY, await cluster.revision(), {})
        assert cluster.primary["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
        assert await cluster.workload.primary_matches_target(CANARY)

    async def test_a_promotion_copies_template_and_strategy(self) -> None:
        """workloads:DS-03, DS-04: the annotation of the API server stays."""
        cluster = Cluster(make_daemon_set())
        await cluster.workload.create_primary(CANARY, await cluster.revision(), {})
        cluster.objects.edit("DaemonSet", NAMESPACE, "web-primary", lambda one: one["metadata"].update(annotations={GENERATION: "4"}))

        def release(target: Manifest) -> None:
            target["spec"]["template"]["spec"] |= {"containers": [{"name": "web", "image": "web:2"}], "nodeSelector": dict(ZERO)}
            target["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}

        cluster.objects.edit("DaemonSet", NAMESPACE, "web", release)
        await cluster.workload.promote(CANARY, await cluster.revision(), {})
        spec = cluster.primary["spec"]
        assert spec["template"]["spec"]["containers"][0]["image"] == "web:2"
        assert not spec["template"]["spec"].get("nodeSelector")
        assert spec["updateStrategy"]["rollingUpdate"] == {"maxSurge": 1}
        assert cluster.primary["metadata"]["annotations"] == {GENERATION: "4"}

    async def test_spread_terms_that_name_the_target_name_the_primary(self) -> None:
        """workloads:DS-03, DEP-03"""
        term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
        pod = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
        cluster = Cluster(make_daemon_set(pod=pod))
        await cluster.workload.create_primary(CANARY, await cluster.revision(), {})
        affinity = cluster.primary["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
        (copied,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        assert copied["labelSelector"] == {"matchLabels": {"app": "web-primary"}}

    async def test_a_primary_of_flagger_without_rewritten_terms_is_recognised(self) -> None:
        """workloads:DS-03, GEN-20: Flagger rewrites the terms of Deployments only."""
        term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
        pod = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
        target, primary = make_daemon_set(pod=pod), make_daemon_set("web-primary", pod=pod)
        primary["spec"]["template"]["metadata"]["annotations"] = {"flagger-id": "x"}
        assert await Cluster(target, primary).workload.primary_matches_target(CANARY)

    async def test_a_deleted_one_is_restored_as_it_was_promoted(self) -> None:
        """workloads:DEP-05: the snapshots that a DaemonSet's own controller keeps are none of ours."""
        cluster = Cluster(make_daemon_set())
        await cluster.workload.create_primary(CANARY, await cluster.revision(), {})
        spec = cluster.primary["spec"]
        history = {"name": "web-primary-5d9c7b8f6", "namespace": NAMESPACE, "labels": {"app": "web-primary"}}
        own = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": history, "revision": 99, "data": {"spec": {}}}
        cluster.objects.put(own)
        cluster.objects.stored = {ref: one for ref, one in cluster.objects.stored.items() if ref.name != "web-primary"}
        assert await cluster.workload.restore_primary(CANARY)
        assert cluster.primary["spec"] == spec
        assert history["name"] in cluster.objects.names("ControllerRevision")


class TestStrategy:
    @pytest.mark.parametrize("strategy", [{}, {"updateStrategy": {}}, {"updateStrategy": {"type": "RollingUpdate"}}])
    async def test_those_that_replace_pods(self, strategy: dict[str, Any]) -> None:
        """workloads:DS-02"""
        await Cluster(make_daemon_set(**strategy)).workload.require_usable(CANARY)

    async def test_one_that_leaves_old_pods_is_refused(self) -> None:
        """workloads:DS-02: before anything is made of it, and at each look afterwards."""
        cluster = Cluster(make_daemon_set(updateStrategy={"type": "OnDelete"}))
        message = r"DaemonSet shop/web: spec.updateStrategy.type is 'OnDelete', .* must be 'RollingUpdate'"
        with pytest.raises(WorkloadError, match=message):
            await cluster.workload.require_usable(CANARY)
        with pytest.raises(WorkloadError, match=message):
            await cluster.workload.create_primary(CANARY, revision_of(cluster.target["spec"]["template"]), {})
        assert cluster.objects.writes == []

    async def test_it_holds_no_deletion(self) -> None:
        cluster = Cluster(make_daemon_set(updateStrategy={"type": "OnDelete"}, pod={"nodeSelector": ZERO}))
        await cluster.workload.restore_target(CANARY)
        assert not cluster.selector

    async def test_a_missing_target_is_somebody_elses_business(self) -> None:
        await Cluster().workload.require_usable(CANARY)


class TestViews:
    async def test_readiness_by_the_thresholds_of_the_canary(self) -> None:
        """workloads:RDY-02, RDY-08"""
        canary = CANARY.with_changes(
            spec=CANARY.spec.model_copy(
                update={"analysis": make_canary(analysis={"primaryReadyThreshold": 50}).spec.analysis},
            )
        )
        half = scheduled_status(4, numberAvailable=2)
        target, primary = make_daemon_set() | {"status": half}, make_daemon_set("web-primary") | {"status": half}
        workload = Cluster(target, primary).workload
        views = await workload.target(canary), await workload.primary(canary)
        assert [view and view.readiness for view in views] == [NotReady("2 of 4 pods available"), Ready()]
        assert [view and (view.replicas, view.available) for view in views] == [(4, 2), (4, 2)]
