"""What is done to Deployments: creation, promotion, scaling, restoring; with other clients in between."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flagger_py.api.canary import Canary
from flagger_py.objects.errors import Conflict, Forbidden, ServerError
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.identity import configs_digest, promotion_id
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.views import Back, Owed, PrimaryView, TargetView
from flagger_py.workloads.base import PromotionRefused, Selector, TargetMissing, TargetMoved, WorkloadError
from flagger_py.workloads.checksums import checksum
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.marks import restarted_for
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import revision_of
from tests.unit.workloads.build import (
    CANARY_UID,
    NAMESPACE,
    config_volumes,
    make_canary,
    make_config,
    make_deployment,
    other_canary_owner,
    owned_by,
)
from tests.unit.workloads.memory import MemoryObjects

CANARY = make_canary()
CONFIG = make_config("settings", {"colour": "blue"})
CONFIGS = {"configmap/settings": checksum(CONFIG)}


class Cluster:
    """A target, what else there is, and the workload on it."""

    def __init__(self, target: Manifest | None = None, *others: Manifest, canary: Canary = CANARY, **settings: Any) -> None:
        self.objects = MemoryObjects([*([target] if target else []), *others])
        self.workload = DeploymentWorkload(self.objects, WorkloadSettings(**settings))
        self.canary = canary

    @property
    def target(self) -> Manifest:
        return self.objects.manifest("Deployment", NAMESPACE, "web")

    @property
    def primary(self) -> Manifest:
        return self.objects.manifest("Deployment", NAMESPACE, "web-primary")

    @property
    def revision(self) -> str:
        return revision_of(self.target["spec"]["template"])

    def release(self, image: str, **spec: Any) -> None:
        """Somebody deploys a new version."""

        def change(target: Manifest) -> None:
            target["spec"]["template"]["spec"]["containers"][0]["image"] = image
            target["spec"].update(spec)

        self.objects.edit("Deployment", NAMESPACE, "web", change)

    async def create(self, configs: Mapping[str, str] | None = None) -> None:
        await self.workload.create_primary(self.canary, self.revision, configs or {})

    async def promote(self, configs: Mapping[str, str] | None = None) -> None:
        await self.workload.promote(self.canary, self.revision, configs or {})

    def image(self) -> str:
        return str(self.primary["spec"]["template"]["spec"]["containers"][0]["image"])


async def cluster_with_primary(*others: Manifest, canary: Canary = CANARY, **settings: Any) -> Cluster:
    cluster = Cluster(make_deployment(), *others, canary=canary, **settings)
    await cluster.create()
    cluster.objects.calls.clear()
    return cluster


class TestCreatePrimary:
    async def test_it_is_the_target_with_another_selector(self) -> None:
        """workloads:DEP-01, SEL-02, SEL-03, GEN-04, GEN-08, S1"""
        target = make_deployment(replicas=3, minReadySeconds=5, strategy={"type": "Recreate"}, paused=True, progressDeadlineSeconds=60)
        target["metadata"]["annotations"] = {
            "a": "1",
            "deployment.kubernetes.io/revision": "7",
            "kustomize.toolkit.fluxcd.io/checksum": "x",
        }
        cluster = Cluster(target)
        await cluster.create()
        primary = cluster.primary
        assert primary["metadata"]["labels"] == {"app": "web-primary"}
        assert primary["metadata"]["annotations"] == {"a": "1"}
        assert primary["metadata"]["ownerReferences"] == owned_by(CANARY)
        assert primary["spec"] == {
            "replicas": 3,
            "minReadySeconds": 5,
            "strategy": {"type": "Recreate"},
            "progressDeadlineSeconds": 60,
            "selector": {"matchLabels": {"app": "web-primary"}},
            "template": {
                "metadata": {
                    "labels": {"app": "web-primary"},
                    "annotations": {"flagger-id": promotion_id(CANARY_UID, cluster.revision, "")},
                },
                "spec": target["spec"]["template"]["spec"],
            },
        }

    async def test_the_target_is_not_touched(self) -> None:
        """workloads:DEP-04"""
        target = make_deployment()
        cluster = Cluster(target)
        await cluster.create()
        assert cluster.target["metadata"]["generation"] == 1
        assert not any(call for call in cluster.objects.writes if call.endswith(" web"))

    async def test_every_label_of_the_selector_is_kept(self) -> None:
        """workloads:SEL-03, S2"""
        cluster = Cluster(make_deployment(labels={"tier": "front", "name": "podinfo"}))
        await cluster.create()
        assert cluster.primary["spec"]["selector"] == {"matchLabels": {"tier": "front", "name": "podinfo-primary"}}
        assert await cluster.workload.selector(CANARY) == Selector("name", "podinfo")

    async def test_included_labels_are_copied(self) -> None:
        """workloads:GEN-06, S19"""
        target = make_deployment()
        target["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "x", "team": "shop"}
        cluster = Cluster(target, include_label_prefixes=("app.kubernetes.io",))
        await cluster.create()
        assert cluster.primary["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "x", "app": "web-primary"}

    @pytest.mark.parametrize(("replicas", "expected"), [(0, 1), (None, 1), (5, 5)])
    async def test_it_has_at_least_one_pod(self, replicas: int | None, expected: int) -> None:
        """workloads:DEP-01"""
        cluster = Cluster(make_deployment(replicas=replicas))
        await cluster.create()
        assert cluster.primary["spec"]["replicas"] == expected

    async def test_copies_and_snapshot_come_first(self) -> None:
        """workloads:DEP-01, CFG-08, CFG-10"""
        cluster = Cluster(make_deployment(pod=config_volumes("settings", "ignored")), CONFIG, *opted_out("ignored"))
        await cluster.create(CONFIGS)
        assert [write.rsplit(" ", 1)[0] for write in cluster.objects.writes] == [
            "create ConfigMap",
            "create ControllerRevision",
            "create Deployment",
        ]
        assert cluster.primary["spec"]["template"]["spec"]["volumes"] == config_volumes("settings-primary", "ignored")["volumes"]

    async def test_without_tracking_the_originals_are_used(self) -> None:
        """workloads:CFG-14, S4"""
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG, config_tracking=False)
        await cluster.create()
        assert cluster.objects.names("ConfigMap") == ["settings"]
        assert cluster.primary["spec"]["template"]["spec"]["volumes"] == config_volumes("settings")["volumes"]

    async def test_a_target_that_moved_is_not_copied(self) -> None:
        """design §4: creation re-reads the target and stops if it moved."""
        cluster = Cluster(make_deployment())
        revision = cluster.revision
        cluster.release("web:2")
        with pytest.raises(TargetMoved, match="Deployment shop/web is at revision v1:"):
            await cluster.workload.create_primary(CANARY, revision, {})
        assert cluster.objects.writes == []

    @pytest.mark.parametrize("configs", [{}, {"configmap/settings": "0000000000000000"}, {**CONFIGS, "secret/token": "1"}])
    async def test_a_config_that_moved_is_not_copied(self, configs: dict[str, str]) -> None:
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG)
        with pytest.raises(TargetMoved, match=r"Deployment shop/web: (configmap/settings|secret/token) is no longer"):
            await cluster.create(configs)
        assert cluster.objects.writes == []

    async def test_an_existing_primary_is_left_alone(self) -> None:
        cluster = await cluster_with_primary()
        cluster.release("web:2")
        await cluster.create()
        assert cluster.image() == "web:1"
        assert cluster.objects.writes == []

    async def test_a_primary_that_something_else_controls_is_refused(self) -> None:
        theirs = make_deployment("web-primary")
        theirs["metadata"]["ownerReferences"] = [other_canary_owner()]
        cluster = Cluster(make_deployment(), theirs)
        with pytest.raises(WorkloadError, match="Deployment shop/web-primary is controlled by Canary other, not by Canary web"):
            await cluster.create()

    async def test_a_second_attempt_after_a_fault_completes_it(self) -> None:
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG)
        cluster.objects.fail("create", "Deployment", ServerError("down", status=500))
        with pytest.raises(ServerError):
            await cluster.create(CONFIGS)
        await cluster.create(CONFIGS)
        assert cluster.objects.names("Deployment") == ["web", "web-primary"]
        assert len(cluster.objects.names("ControllerRevision")) == 1


def opted_out(*names: str) -> list[Manifest]:
    return [make_config(name, {}, annotations={"flagger.app/config-tracking": "disabled"}) for name in names]


class TestSelector:
    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            pytest.param({"name": "n", "app": "a"}, Selector("app", "a"), id="the list's order counts"),
            pytest.param({"name": "n", "x": "y"}, Selector("name", "n"), id="the first that is there"),
        ],
    )
    async def test_first_candidate(self, labels: dict[str, str], expected: Selector) -> None:
        """workloads:SEL-01"""
        assert await Cluster(make_deployment(labels=labels)).workload.selector(CANARY) == expected

    async def test_none_of_them(self) -> None:
        """workloads:SEL-01"""
        with pytest.raises(
            WorkloadError, match=r"Deployment shop/web: spec\.selector\.matchLabels has \['x'\], but must have one of \['app', "
        ):
            await Cluster(make_deployment(labels={"x": "y"})).workload.selector(CANARY)

    async def test_an_empty_value(self) -> None:
        """workloads:SEL-01: presence counts, and `-primary` alone is no label value."""
        with pytest.raises(WorkloadError, match=r"spec\.selector\.matchLabels\[app\] is empty"):
            await Cluster(make_deployment(labels={"app": "", "name": "web"})).workload.selector(CANARY)

    async def test_a_value_without_room(self) -> None:
        """workloads:SEL-04"""
        with pytest.raises(WorkloadError, match="has 56 characters; at most 55 leave room for '-primary'"):
            await Cluster(make_deployment(labels={"app": "a" * 56})).workload.selector(CANARY)

    async def test_no_target(self) -> None:
        with pytest.raises(TargetMissing, match="Deployment shop/web does not exist"):
            await Cluster().workload.selector(CANARY)


class TestPromote:
    async def test_the_primary_gets_the_targets_template(self) -> None:
        """workloads:DEP-01, DEP-06, S3"""
        cluster = await cluster_with_primary()
        cluster.release("web:2", replicas=4, minReadySeconds=9)
        await cluster.promote()
        assert cluster.image() == "web:2"
        assert (cluster.primary["spec"]["replicas"], cluster.primary["spec"]["minReadySeconds"]) == (4, 9)
        assert cluster.primary["spec"]["selector"] == {"matchLabels": {"app": "web-primary"}}
        assert await cluster.workload.primary_matches_target(CANARY)

    async def test_metadata_is_replaced(self) -> None:
        """workloads:DEP-01; what the Deployment controller writes stays."""
        cluster = await cluster_with_primary(include_label_prefixes=("keep",))

        def annotate(deployment: Manifest) -> None:
            deployment["metadata"]["annotations"] = {
                "keep/x": deployment["metadata"]["name"],
                "y": "1",
                "deployment.kubernetes.io/revision": "3",
            }
            deployment["metadata"]["labels"] |= {"keep/z": "1"}

        cluster.objects.edit("Deployment", NAMESPACE, "web", annotate)
        cluster.objects.edit("Deployment", NAMESPACE, "web-primary", annotate)
        cluster.release("web:2")
        await cluster.promote()
        assert cluster.primary["metadata"]["annotations"] == {"keep/x": "web", "deployment.kubernetes.io/revision": "3"}
        assert cluster.primary["metadata"]["labels"] == {"app": "web-primary", "keep/z": "1"}

    async def test_fields_that_the_target_dropped_are_dropped(self) -> None:
        cluster = Cluster(make_deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, minReadySeconds=5))
        await cluster.create()

        def change(target: Manifest) -> None:
            del target["spec"]["minReadySeconds"]
            target["spec"]["strategy"] = {"type": "Recreate"}

        cluster.objects.edit("Deployment", NAMESPACE, "web", change)
        cluster.release("web:2")
        await cluster.promote()
        assert cluster.primary["spec"]["strategy"] == {"type": "Recreate"}
        assert "minReadySeconds" not in cluster.primary["spec"]

    async def test_snapshot_and_copies_come_first(self) -> None:
        """workloads:CFG-08; design §5"""
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG)
        await cluster.create(CONFIGS)
        cluster.objects.calls.clear()
        cluster.objects.edit("ConfigMap", NAMESPACE, "settings", lambda config: config["data"].update(colour="green"))
        green = {"configmap/settings": checksum(make_config("settings", {"colour": "green"}))}
        await cluster.promote(green)
        assert [write.rsplit(" ", 1)[0] for write in cluster.objects.writes] == [
            "create ControllerRevision",
            "patch ConfigMap",
            "patch Deployment",
        ]
        assert cluster.objects.manifest("ConfigMap", NAMESPACE, "settings-primary")["data"] == {"colour": "green"}
        annotations = cluster.primary["spec"]["template"]["metadata"]["annotations"]
        assert annotations["flagger-id"] == promotion_id(CANARY_UID, cluster.revision, configs_digest(green))

    async def test_a_second_promotion_changes_nothing(self) -> None:
        """engine:HAZ-09, workloads:GEN-08, GEN-19"""
        cluster = await cluster_with_primary()
        cluster.release("web:2")
        await cluster.promote()
        generation = cluster.primary["metadata"]["generation"]
        cluster.objects.calls.clear()
        await cluster.promote()
        assert cluster.primary["metadata"]["generation"] == generation
        assert cluster.objects.writes == []

    async def test_a_replay_after_the_target_moved_on_changes_nothing(self) -> None:
        """engine:HAZ-09: the primary carries the revision, whatever the target has become."""
        cluster = await cluster_with_primary()
        cluster.release("web:2")
        revision = cluster.revision
        await cluster.promote()
        cluster.release("web:3", replicas=0)
        await cluster.workload.promote(CANARY, revision, {})
        assert cluster.image() == "web:2"

    async def test_a_target_that_moved_is_not_promoted(self) -> None:
        """engine:HAZ-17"""
        cluster = await cluster_with_primary()
        cluster.release("web:2")
        revision = cluster.revision
        cluster.release("web:3")
        with pytest.raises(TargetMoved):
            await cluster.workload.promote(CANARY, revision, {})
        assert cluster.objects.writes == []

    async def test_a_config_that_moved_is_not_promoted(self) -> None:
        """engine:HAZ-17, REV-04"""
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG)
        await cluster.create(CONFIGS)
        cluster.objects.edit("ConfigMap", NAMESPACE, "settings", lambda config: config["data"].update(colour="red"))
        cluster.release("web:2")
        cluster.objects.calls.clear()
        with pytest.raises(TargetMoved, match="configmap/settings"):
            await cluster.promote(CONFIGS)
        assert cluster.objects.writes == []

    async def test_a_target_that_moves_during_a_conflict_is_not_promoted(self) -> None:
        """engine:HAZ-17: each new attempt checks again."""
        cluster = await cluster_with_primary()
        cluster.release("web:2")

        def meanwhile() -> None:
            cluster.release("web:3")
            cluster.objects.edit("Deployment", NAMESPACE, "web-primary", lambda primary: primary["metadata"]["labels"].update(x="y"))

        cluster.objects.before("patch", "Deployment", meanwhile)
        with pytest.raises(TargetMoved):
            await cluster.promote()
        assert cluster.image() == "web:1"

    async def test_a_primary_that_changes_meanwhile_is_rendered_again(self) -> None:
        cluster = await cluster_with_primary(canary=make_canary(autoscalerRef={"kind": "HorizontalPodAutoscaler", "name": "web"}))
        cluster.release("web:2")
        cluster.objects.before(
            "patch",
            "Deployment",
            lambda: cluster.objects.edit("Deployment", NAMESPACE, "web-primary", lambda primary: primary["spec"].update(replicas=9)),
        )
        await cluster.promote()
        assert (cluster.image(), cluster.primary["spec"]["replicas"]) == ("web:2", 9)

    async def test_endless_conflicts_are_reported(self) -> None:
        cluster = await cluster_with_primary()
        cluster.release("web:2")
        for _ in range(20):
            cluster.objects.fail("patch", "Deployment", Conflict("no", status=409))
        with pytest.raises(Conflict):
            await cluster.promote()

    async def test_zero_replicas_are_not_promoted(self) -> None:
        """workloads:DEP-09, engine:HAZ-25"""
        cluster = await cluster_with_primary()
        cluster.release("web:2", replicas=0)
        with pytest.raises(PromotionRefused, match=r"Deployment shop/web: spec\.replicas is 0"):
            await cluster.promote()
        assert cluster.objects.writes == []

    async def test_an_autoscaler_owns_the_replicas(self) -> None:
        """workloads:DEP-01, AS-05"""
        cluster = await cluster_with_primary(canary=make_canary(autoscalerRef={"kind": "HorizontalPodAutoscaler", "name": "web"}))
        cluster.release("web:2", replicas=9)
        await cluster.promote()
        assert cluster.primary["spec"]["replicas"] == 2

    async def test_a_deleted_primary_is_an_error(self) -> None:
        """workloads:DEP-06"""
        with pytest.raises(WorkloadError, match="Deployment shop/web-primary does not exist; it must be restored"):
            await Cluster(make_deployment()).promote()

    async def test_pods_that_the_selector_would_not_match_are_refused(self) -> None:
        """A selector is immutable; the server's own message would not say which object is to blame."""
        cluster = await cluster_with_primary()

        def relabel(target: Manifest) -> None:
            target["spec"]["selector"]["matchLabels"] = target["spec"]["template"]["metadata"]["labels"] = {"app": "shop"}

        cluster.objects.edit("Deployment", NAMESPACE, "web", relabel)
        with pytest.raises(WorkloadError, match=r"Deployment shop/web-primary selects pods with \{'app': 'web-primary'\}"):
            await cluster.promote()

    async def test_the_right_to_snapshots_is_optional(self) -> None:
        """design §5, §6: it runs under Flagger's ClusterRole."""
        cluster = await cluster_with_primary()
        cluster.release("web:2")
        cluster.objects.fail("find", "ControllerRevision", Forbidden("no", status=403))
        await cluster.promote()
        assert cluster.image() == "web:2"

    @pytest.mark.parametrize("verb", ["find", "create", "patch"])
    @pytest.mark.parametrize("kind", ["ControllerRevision", "ConfigMap", "Deployment"])
    async def test_a_fault_anywhere_is_healed_by_the_next_attempt(self, verb: str, kind: str) -> None:
        """design §4: replaying a pass changes nothing."""
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG)
        await cluster.create(CONFIGS)
        cluster.release("web:2")
        cluster.objects.fail(verb, kind, ServerError("down", status=500))
        for _ in range(3):
            try:
                await cluster.promote(CONFIGS)
            except ServerError:
                continue
        assert cluster.image() == "web:2"
        assert len(cluster.objects.names("ControllerRevision")) == 2


class TestRestorePrimary:
    async def test_it_comes_back_as_it_was_promoted(self) -> None:
        """workloads:DEP-05"""
        cluster = await cluster_with_primary()
        cluster.release("web:2", replicas=4)
        await cluster.promote()
        before = deepcopy(cluster.primary)
        await self.delete(cluster)
        cluster.release("web:3", replicas=0)
        assert await cluster.workload.restore_primary(CANARY)
        assert cluster.primary["spec"] == before["spec"]
        assert cluster.primary["metadata"]["ownerReferences"] == owned_by(CANARY)
        assert cluster.primary["metadata"]["labels"] == before["metadata"]["labels"]

    async def test_one_that_is_there_is_left_alone(self) -> None:
        cluster = await cluster_with_primary()
        assert await cluster.workload.restore_primary(CANARY)
        assert cluster.objects.writes == []

    async def test_nothing_is_made_from_an_unverified_target(self) -> None:
        """workloads:DEP-05"""
        cluster = Cluster(make_deployment())
        assert not await cluster.workload.restore_primary(CANARY)
        assert cluster.objects.names("Deployment") == ["web"]

    async def test_without_the_right_nothing_is_made(self) -> None:
        """design §5"""
        cluster = await cluster_with_primary()
        await self.delete(cluster)
        cluster.objects.fail("find", "ControllerRevision", Forbidden("no", status=403))
        assert not await cluster.workload.restore_primary(CANARY)
        assert cluster.objects.names("Deployment") == ["web"]

    async def test_an_adopted_primary_can_be_restored(self) -> None:
        """design §5"""
        primary = make_deployment("web-primary", image="web:0", replicas=7)
        cluster = Cluster(make_deployment(), primary)
        await cluster.workload.adopt(CANARY)
        await cluster.workload.adopt(CANARY)
        assert len(cluster.objects.writes) == 1
        await self.delete(cluster)
        assert await cluster.workload.restore_primary(CANARY)
        assert cluster.primary["spec"] == primary["spec"]

    async def delete(self, cluster: Cluster) -> None:
        cluster.objects.stored = {ref: stored for ref, stored in cluster.objects.stored.items() if ref.name != "web-primary"}


class TestScaling:
    @pytest.mark.parametrize(
        ("target", "primary", "expected"),
        [
            pytest.param(3, 5, 3, id="kept"),
            pytest.param(0, 5, 5, id="as many as the primary"),
            pytest.param(0, 0, 1, id="at least one"),
            pytest.param(0, None, 1, id="FIN-07 no primary"),
        ],
    )
    async def test_scale_up(self, target: int, primary: int | None, expected: int) -> None:
        """workloads:DEP-08, engine:WL-07"""
        others = [] if primary is None else [make_deployment("web-primary", replicas=primary)]
        cluster = Cluster(make_deployment(replicas=target), *others)
        await cluster.workload.scale_up(CANARY)
        assert cluster.target["spec"]["replicas"] == expected
        assert cluster.objects.writes == (["patch Deployment web"] if target == 0 else [])

    async def test_scale_up_of_a_missing_target(self) -> None:
        with pytest.raises(TargetMissing):
            await Cluster().workload.scale_up(CANARY)

    async def test_scale_to_zero_once(self) -> None:
        """workloads:DEP-07, engine:WL-08"""
        cluster = Cluster(make_deployment(replicas=3))
        template = deepcopy(cluster.target["spec"]["template"])
        for _ in range(2):
            await cluster.workload.scale_to_zero(CANARY)
        assert cluster.target["spec"]["replicas"] == 0
        assert cluster.target["spec"]["template"] == template, "the cache keeps no template; the patch must not remove it"
        assert cluster.objects.writes == ["patch Deployment web"]

    async def test_scale_to_zero_of_a_missing_target_is_done(self) -> None:
        await Cluster().workload.scale_to_zero(CANARY)

    async def test_scaling_survives_a_conflict(self) -> None:
        cluster = Cluster(make_deployment(replicas=3))
        cluster.objects.before(
            "patch",
            "Deployment",
            lambda: cluster.objects.edit("Deployment", NAMESPACE, "web", lambda target: target["spec"].update(replicas=8)),
        )
        await cluster.workload.scale_to_zero(CANARY)
        assert cluster.target["spec"]["replicas"] == 0

    @settings(deadline=None, derandomize=True)
    @given(st.integers(0, 9), st.integers(0, 9))
    async def test_the_primary_is_never_lowered(self, replicas: int, wanted: int) -> None:
        """workloads:AS-05"""
        cluster = Cluster(make_deployment(), make_deployment("web-primary", replicas=replicas))
        await cluster.workload.raise_primary(CANARY, wanted)
        assert cluster.primary["spec"]["replicas"] == max(replicas, wanted)
        assert len(cluster.objects.writes) == (wanted > replicas)


class TestRestart:
    async def test_pods_start_anew_once_for_each_occasion(self) -> None:
        """workloads:CHG-06"""
        cluster = Cluster(make_deployment())
        before = await cluster.workload.target(CANARY)
        for occasion in ("one", "one", "two"):
            await cluster.workload.restart_pods(CANARY, occasion)
        after = await cluster.workload.target(CANARY)
        assert cluster.objects.writes == ["patch Deployment web"] * 2
        assert before is not None
        assert after is not None
        assert after.restarted_for == "two"
        assert after.revision == before.revision, "the mark is ours, and no new revision"

    async def test_the_mark_goes_with_the_pods_and_never_reaches_the_primary(self) -> None:
        """workloads:CHG-06"""
        cluster = Cluster(make_deployment())
        await cluster.workload.restart_pods(CANARY, "one")
        view = await cluster.workload.target(CANARY)
        assert view is not None
        await cluster.workload.create_primary(CANARY, view.revision, {})
        assert restarted_for(cluster.primary["spec"]["template"]) == ""
        assert await cluster.workload.primary_matches_target(CANARY)
        await cluster.workload.scale_to_zero(CANARY)
        assert restarted_for(cluster.target["spec"]["template"]) == ""
        assert cluster.target["spec"]["replicas"] == 0

    async def test_a_missing_target_has_no_pods(self) -> None:
        await Cluster().workload.restart_pods(CANARY, "one")


class TestViews:
    async def test_target_and_primary(self) -> None:
        """workloads:RDY-02"""
        target = make_deployment(replicas=4)
        target["status"]["availableReplicas"] = 2
        cluster = Cluster(target, canary=make_canary(analysis={"canaryReadyThreshold": 50, "primaryReadyThreshold": 0}))
        await cluster.create()
        assert await cluster.workload.target(cluster.canary) == TargetView(
            uid="uid-1", generation=1, revision=cluster.revision, replicas=4, available=2, readiness=Ready()
        )
        primary = await cluster.workload.primary(cluster.canary)
        assert isinstance(primary, PrimaryView)
        assert primary.promotion_id == promotion_id(CANARY_UID, cluster.revision, "")
        assert await cluster.workload.target(CANARY) != await cluster.workload.target(cluster.canary), "100 % by default"

    async def test_nothing_there(self) -> None:
        workload = Cluster().workload
        assert await workload.target(CANARY) is None
        assert await workload.primary(CANARY) is None
        with pytest.raises(TargetMissing):
            await workload.services(CANARY)

    async def test_observing_costs_no_request_besides_configs(self) -> None:
        """design §9: a settled Canary costs no request."""
        cluster = Cluster(make_deployment(pod=config_volumes("settings")), CONFIG)
        await cluster.create(CONFIGS)
        await cluster.workload.configs(CANARY, {}, {})
        cluster.objects.calls.clear()
        await cluster.workload.selector(CANARY)
        await cluster.workload.target(CANARY)
        await cluster.workload.primary(CANARY)
        await cluster.workload.services(CANARY)
        tracked = await cluster.workload.configs(CANARY, {}, {})
        assert tracked.checksums == CONFIGS
        assert {verb for verb, _ in cluster.objects.calls} == {"read"}


class TestPrune:
    async def test_copies_that_nothing_refers_to_are_deleted(self) -> None:
        """workloads:CFG-09"""
        cluster = Cluster(
            make_deployment(pod=config_volumes("settings-v1")), make_config("settings-v1", {}), make_config("settings-v2", {})
        )
        await cluster.create((await cluster.workload.configs(CANARY, {}, {})).checksums)
        cluster.objects.edit(
            "Deployment", NAMESPACE, "web", lambda target: target["spec"]["template"]["spec"].update(config_volumes("settings-v2"))
        )
        await cluster.promote((await cluster.workload.configs(CANARY, {}, {})).checksums)
        await cluster.workload.prune(CANARY)
        assert "settings-v1-primary" in cluster.objects.names("ConfigMap"), "old pods may still start"
        cluster.objects.edit("Deployment", NAMESPACE, "web-primary", lambda primary: primary.update(status={"observedGeneration": 2}))
        await cluster.workload.prune(CANARY)
        assert cluster.objects.names("ConfigMap") == ["settings-v1", "settings-v2", "settings-v2-primary"]

    async def test_without_a_primary_nothing_is_deleted(self) -> None:
        cluster = Cluster(make_deployment(), make_config("a-primary", {}, owners=owned_by(CANARY)))
        await cluster.workload.prune(CANARY)
        assert cluster.objects.names("ConfigMap") == ["a-primary"]


async def test_the_apex_service_is_given_back() -> None:
    """routers:K8S-17"""
    theirs = {"kind": "Service", "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"selector": {"app": "web"}, "ports": []}}
    cluster = Cluster(make_deployment(), theirs)
    assert await cluster.workload.apex_restoration(CANARY) == Back(), "it was not touched yet"
    await cluster.workload.ensure_apex(CANARY)
    assert cluster.objects.manifest("Service", NAMESPACE, "web")["spec"]["selector"] == {"app": "web-primary"}
    assert await cluster.workload.apex_restoration(CANARY) == Owed(f"Service {NAMESPACE}/web selects the primary's pods")
    await cluster.workload.restore_apex(CANARY)
    assert cluster.objects.manifest("Service", NAMESPACE, "web")["spec"]["selector"] == {"app": "web"}
    assert await cluster.workload.apex_restoration(CANARY) == Back()


@pytest.mark.parametrize(
    ("target", "primary", "expected"),
    [
        pytest.param(0, 4, 4, id="as many as the primary"),
        pytest.param(2, 4, 4, id="in the middle of a run, too"),
        pytest.param(6, 4, 6, id="more are left alone"),
        pytest.param(0, 0, 1, id="at least one"),
        pytest.param(0, None, 1, id="without a primary one"),
    ],
)
async def test_the_target_gets_what_it_needs_to_serve_alone(target: int, primary: int | None, expected: int) -> None:
    """workloads:FIN-07"""
    objects = [make_deployment(replicas=target)]
    if primary is not None:
        objects.append(make_deployment("web-primary", replicas=primary))
    cluster = Cluster(*objects)
    await cluster.workload.restore_target(CANARY)
    assert cluster.objects.manifest("Deployment", NAMESPACE, "web")["spec"]["replicas"] == expected


async def test_a_target_that_is_gone_is_restored() -> None:
    """engine:ISS-09"""
    cluster = Cluster()
    await cluster.workload.restore_target(CANARY)
    assert cluster.objects.writes == []


def test_rights() -> None:
    """Secrets are read only where configs are tracked; a workload is never deleted (design §10)."""
    by_kind = {watched.resource.kind: watched for watched in DeploymentWorkload.resources(WorkloadSettings())}
    assert sorted(by_kind) == ["ConfigMap", "ControllerRevision", "Deployment", "Secret", "Service"]
    assert "delete" not in by_kind["Deployment"].verbs
    assert [kind for kind, watched in by_kind.items() if watched.optional] == ["ControllerRevision"]
    without = DeploymentWorkload.resources(WorkloadSettings(config_tracking=False))
    assert "Secret" not in {watched.resource.kind for watched in without}
