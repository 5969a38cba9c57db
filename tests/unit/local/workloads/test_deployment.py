"""What a Deployment does next, and what its status says."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flagger_py.local.conditions import find_condition
from flagger_py.local.workloads.deployment import REVISION_ANNOTATION, DeploymentPlan, plan_deployment
from flagger_py.local.workloads.ownership import HASH_LABEL, template_hash
from flagger_py.objects.resource import Manifest

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
OTHER = {**TEMPLATE, "spec": {"containers": [{"name": "web", "image": "web:0"}]}}


def deployment(template: Manifest = TEMPLATE, **spec: Any) -> Manifest:
    return {
        "metadata": {"name": "web", "namespace": "test", "uid": "d", "generation": 2},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def replica_set(template: Manifest = TEMPLATE, replicas: int = 2, ready: int | None = None, revision: int = 1) -> Manifest:
    count = replicas if ready is None else ready
    return {
        "metadata": {"name": f"web-{template_hash(template)}", "annotations": {REVISION_ANNOTATION: str(revision)}},
        "spec": {"replicas": replicas, "template": template},
        "status": {"replicas": replicas, "readyReplicas": count, "availableReplicas": count},
    }


def plan(manifest: Manifest, sets: Sequence[Manifest], at: datetime = NOW) -> DeploymentPlan:
    return plan_deployment(manifest, sets, at)


def with_status(manifest: Manifest, found: DeploymentPlan) -> Manifest:
    return {**manifest, "status": found.status}


def progressing(found: DeploymentPlan) -> tuple[str, str]:
    condition = find_condition({"status": found.status}, "Progressing") or {}
    return condition["status"], condition["reason"]


def test_a_new_deployment_makes_its_replica_set() -> None:
    found = plan(deployment(), [])
    assert found.create is not None
    hashed = template_hash(TEMPLATE)
    assert found.create["metadata"]["name"] == f"web-{hashed}"
    assert found.create["metadata"]["labels"] == {"app": "web", HASH_LABEL: hashed}
    assert found.create["spec"]["selector"] == {"matchLabels": {"app": "web", HASH_LABEL: hashed}}
    assert found.create["spec"]["template"]["metadata"]["labels"] == {"app": "web", HASH_LABEL: hashed}
    assert found.create["spec"]["replicas"] == 2
    assert found.revision == "1"
    assert progressing(found) == ("True", "NewReplicaSetCreated")


def test_a_new_template_makes_one_more_within_surge() -> None:
    found = plan(deployment(), [replica_set(OTHER)])
    assert found.create is not None
    assert found.create["spec"]["replicas"] == 1
    assert found.create["metadata"]["annotations"][REVISION_ANNOTATION] == "2"


def test_all_pods_available_complete_it() -> None:
    started = with_status(deployment(), plan(deployment(), []))
    found = plan(started, [replica_set()])
    assert progressing(found) == ("True", "NewReplicaSetAvailable")
    assert find_condition({"status": found.status}, "Available") == {
        "type": "Available",
        "status": "True",
        "reason": "MinimumReplicasAvailable",
        "message": "Deployment has minimum availability.",
        "lastUpdateTime": "2026-01-01T12:00:00Z",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
    counts = {key: value for key, value in found.status.items() if key != "conditions"}
    assert counts == {
        "observedGeneration": 2,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "unavailableReplicas": 0,
    }
    assert found.wake_after is None


def test_a_settled_deployment_says_the_same_again() -> None:
    started = with_status(deployment(), plan(deployment(), []))
    done = with_status(deployment(), plan(started, [replica_set()]))
    again = plan(done, [replica_set()], NOW + timedelta(hours=1))
    assert again.status == done["status"]
    assert not again.patches


def test_progress_moves_the_deadline() -> None:
    started = with_status(deployment(), plan(deployment(), []))
    later = NOW + timedelta(seconds=30)
    found = plan(started, [replica_set(ready=1)], later)
    condition = find_condition({"status": found.status}, "Progressing") or {}
    assert condition["reason"] == "ReplicaSetUpdated"
    assert condition["lastUpdateTime"] == "2026-01-01T12:00:30Z"
    assert condition["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert found.wake_after == 600


def test_no_progress_within_the_deadline_is_said_once() -> None:
    """workloads:RDY-04"""
    manifest = deployment(progressDeadlineSeconds=60)
    started = with_status(manifest, plan(manifest, []))
    stuck = with_status(manifest, plan(started, [replica_set(ready=0)]))
    assert progressing(plan(stuck, [replica_set(ready=0)], NOW + timedelta(seconds=59)))[1] == "ReplicaSetUpdated"
    late = plan(stuck, [replica_set(ready=0)], NOW + timedelta(seconds=60))
    assert progressing(late) == ("False", "ProgressDeadlineExceeded")
    assert late.wake_after is None
    assert progressing(plan(with_status(manifest, late), [replica_set(ready=0)], NOW + timedelta(hours=1)))[1] == "ProgressDeadlineExceeded"


def test_pods_that_become_available_after_the_deadline_complete_it() -> None:
    manifest = deployment(progressDeadlineSeconds=60)
    started = with_status(manifest, plan(manifest, []))
    stuck = with_status(manifest, plan(started, [replica_set(ready=0)]))
    late = with_status(manifest, plan(stuck, [replica_set(ready=0)], NOW + timedelta(seconds=61)))
    assert progressing(plan(late, [replica_set()], NOW + timedelta(seconds=90))) == ("True", "NewReplicaSetAvailable")


def test_too_few_pods_are_not_available() -> None:
    found = plan(deployment(replicas=4), [replica_set(replicas=4, ready=2)])
    assert (find_condition({"status": found.status}, "Available") or {})["reason"] == "MinimumReplicasUnavailable"


def test_a_paused_deployment_rolls_nothing_but_scales() -> None:
    old = replica_set(OTHER)
    assert plan(deployment(paused=True), [old]).create is None
    scaled = plan(deployment(paused=True, replicas=3), [old])
    assert scaled.patches[old["metadata"]["name"]]["spec"] == {"replicas": 3}
    assert progressing(scaled) == ("Unknown", "DeploymentPaused")


def test_a_resumed_deployment_says_so() -> None:
    paused = with_status(deployment(), plan(deployment(paused=True), [replica_set()]))
    assert progressing(plan(paused, [replica_set()])) == ("Unknown", "DeploymentResumed")


def test_scaling_to_zero_keeps_the_replica_set() -> None:
    """workloads:DEP-07"""
    current = replica_set()
    current["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "2"
    found = plan(deployment(replicas=0), [current])
    assert found.patches[current["metadata"]["name"]]["spec"] == {"replicas": 0}
    empty = replica_set(replicas=0)
    assert not plan(deployment(replicas=0), [empty]).patches


def test_going_back_to_an_old_template_makes_it_the_latest_revision() -> None:
    back, current = replica_set(replicas=0, revision=1), replica_set(OTHER, revision=2)
    found = plan(deployment(), [back, current])
    assert found.create is None
    assert found.revision == "3"
    patch = found.patches[back["metadata"]["name"]]
    assert patch["spec"] == {"replicas": 1}
    assert patch["metadata"]["annotations"][REVISION_ANNOTATION] == "3"


def test_old_empty_replica_sets_beyond_the_history_go() -> None:
    olds = []
    for number in range(4):
        template = {**TEMPLATE, "spec": {"containers": [{"name": "web", "image": f"web:old-{number}"}]}}
        olds.append(replica_set(template, replicas=0, revision=number + 1))
    started = with_status(deployment(), plan(deployment(revisionHistoryLimit=2), []))
    found = plan({**started, "spec": {**started["spec"], "revisionHistoryLimit": 2}}, [*olds, replica_set(revision=5)])
    assert found.delete == (olds[0]["metadata"]["name"], olds[1]["metadata"]["name"])


@pytest.mark.parametrize("image", ["web:1", "web:2"])
def test_the_hash_of_a_template_is_safe_in_names(image: str) -> None:
    """metrics:OBS-HTTP-01: the pod's name must fit the pattern of its queries."""
    hashed = template_hash({**TEMPLATE, "spec": {"containers": [{"name": "web", "image": image}]}})
    assert len(hashed) == 10
    assert hashed.isalnum()
    assert hashed == hashed.lower()
