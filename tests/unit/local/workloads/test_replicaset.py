"""What ReplicaSets and DaemonSets do next."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flagger_py.local.workloads.daemonset import plan_daemon_set
from flagger_py.local.workloads.ownership import REVISION_HASH_LABEL, template_hash
from flagger_py.local.workloads.replicaset import plan_replica_set
from flagger_py.objects.resource import Manifest

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEMPLATE: Manifest = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
HASH = template_hash(TEMPLATE)


def pod(name: str, *, ready: bool = True, since: str = "2026-01-01T11:00:00Z", node: str = "n", **metadata: Any) -> Manifest:
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}
    return {
        "metadata": {"name": name, "labels": {REVISION_HASH_LABEL: HASH}, "creationTimestamp": "2026-01-01T10:00:00Z", **metadata},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [condition]},
    }


def replica_set(replicas: int, **spec: Any) -> Manifest:
    return {"metadata": {"name": "rs", "namespace": "test", "uid": "u", "generation": 4}, "spec": {"replicas": replicas, **spec}}


def daemon_set(template: Manifest = TEMPLATE, **spec: Any) -> Manifest:
    return {"metadata": {"name": "ds", "namespace": "test", "uid": "u", "generation": 4}, "spec": {"template": template, **spec}}


def node(name: str = "n", **labels: str) -> Manifest:
    return {"metadata": {"name": name, "labels": labels}}


def test_missing_pods_are_created_and_counted() -> None:
    plan = plan_replica_set(replica_set(3), [pod("a"), pod("b", ready=False)], NOW)
    assert (plan.create, plan.delete) == (1, ())
    assert plan.status == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "observedGeneration": 4,
    }


def test_pods_that_end_do_not_count() -> None:
    plan = plan_replica_set(replica_set(1), [pod("a", deletionTimestamp="2026-01-01T12:00:00Z")], NOW)
    assert plan.create == 1


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param([pod("a"), pod("b", ready=False)], "b", id="one that is not ready"),
        pytest.param([pod("a"), pod("b", node="")], "b", id="one without a node"),
        pytest.param([pod("a"), pod("b", creationTimestamp="2026-01-01T11:59:00Z")], "b", id="the youngest"),
    ],
)
def test_of_too_many_the_least_useful_goes(pods: list[Manifest], expected: str) -> None:
    assert plan_replica_set(replica_set(1), pods, NOW).delete == (expected,)


def test_a_pod_is_available_after_its_time() -> None:
    plan = plan_replica_set(replica_set(1, minReadySeconds=10), [pod("a", since="2026-01-01T11:59:56Z")], NOW)
    assert (plan.status["readyReplicas"], plan.status["availableReplicas"], plan.wake_after) == (1, 0, 6.0)


def test_a_daemon_set_runs_one_pod_on_each_node_that_fits() -> None:
    plan = plan_daemon_set(daemon_set(), [], [node("a"), node("b")], NOW)
    assert [entry["spec"]["nodeName"] for entry in plan.create] == ["a", "b"]
    assert plan.create[0]["metadata"]["labels"] == {"app": "web", REVISION_HASH_LABEL: HASH}


def test_a_node_selector_that_fits_nothing_scales_to_zero() -> None:
    """workloads:DS-01"""
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "nodeSelector": {"flagger.app/scale-to-zero": "true"}}}
    plan = plan_daemon_set(daemon_set(template), [pod("a")], [node()], NOW)
    assert (plan.create, plan.delete) == ((), ("a",))
    assert (plan.status["desiredNumberScheduled"], plan.status["numberMisscheduled"]) == (0, 1)


def test_an_outdated_pod_goes_within_max_unavailable() -> None:
    old = pod("a", labels={REVISION_HASH_LABEL: "old"})
    assert plan_daemon_set(daemon_set(), [old], [node()], NOW).delete == ("a",)
    assert plan_daemon_set(daemon_set(updateStrategy={"type": "OnDelete"}), [old], [node()], NOW).delete == ()


SURGE = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
OLD = {REVISION_HASH_LABEL: "old"}


@pytest.mark.parametrize(
    ("pods", "create", "delete"),
    [
        pytest.param([pod("a", labels=OLD), pod("b", labels=OLD, node="m")], ["m"], (), id="one more pod than nodes"),
        pytest.param(
            [pod("a", labels=OLD), pod("b", labels=OLD, node="m"), pod("c", node="m", ready=False)], [], (), id="the new one is not ready"
        ),
        pytest.param([pod("a", labels=OLD), pod("b", labels=OLD, node="m"), pod("c", node="m")], ["n"], ("b",), id="the new one is ready"),
        pytest.param([pod("a", labels=OLD), pod("c", node="m")], ["n"], (), id="the next node"),
        pytest.param(
            [pod("a", labels=OLD, ready=False), pod("b", labels=OLD, node="m", ready=False)], ["m", "n"], (), id="those that serve nobody"
        ),
    ],
)
def test_a_surging_daemon_set_has_each_new_pod_beside_its_old_one(pods: list[Manifest], create: list[str], delete: tuple[str, ...]) -> None:
    plan = plan_daemon_set(daemon_set(updateStrategy=SURGE), pods, [node("m"), node("n")], NOW)
    assert ([entry["spec"]["nodeName"] for entry in plan.create], plan.delete) == (create, delete)


def test_of_two_pods_on_a_node_the_old_one_counts() -> None:
    pods = [pod("a", labels=OLD), pod("b", ready=False)]
    status = plan_daemon_set(daemon_set(updateStrategy=SURGE), pods, [node()], NOW).status
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable")
    assert [status[field] for field in fields] == [1, 1, 0, 1, 1]


def test_a_node_keeps_its_place_until_its_old_pod_is_gone() -> None:
    ending = pod("a", deletionTimestamp="2026-01-01T12:00:00Z")
    assert plan_daemon_set(daemon_set(), [ending], [node()], NOW).create == ()


def test_the_status_of_a_daemon_set() -> None:
    assert plan_daemon_set(daemon_set(), [pod("a")], [node()], NOW).status == {
        "observedGeneration": 4,
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": 1,
        "numberMisscheduled": 0,
        "updatedNumberScheduled": 1,
        "numberReady": 1,
        "numberAvailable": 1,
        "numberUnavailable": 0,
    }
