"""When a workload counts as ready."""

from typing import Any

import pytest

from flagger_py.rollout.readiness import Dead, NotReady, Readiness, Ready
from flagger_py.workloads.readiness import daemon_set_readiness, deployment_readiness, required_available
from tests.unit.workloads.build import make_daemon_set, make_deployment, scheduled_status, settled_status


def progressing(reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Available", "reason": reason}, {"type": "Progressing", "reason": reason}]}


@pytest.mark.parametrize(
    ("replicas", "threshold", "status", "expected"),
    [
        pytest.param(2, 100, {}, Ready(), id="RDY-03 all pods are there"),
        pytest.param(None, 100, settled_status(1), Ready(), id="RDY-03 replicas default to one"),
        pytest.param(0, 100, settled_status(0), Ready(), id="RDY-06 zero pods are ready"),
        pytest.param(2, 100, {"observedGeneration": 0}, NotReady("generation 1 is not observed yet"), id="RDY-03 a"),
        pytest.param(2, 100, progressing("ProgressDeadlineExceeded"), Dead("it exceeded its own progress deadline"), id="RDY-03 b"),
        pytest.param(
            2,
            100,
            {"observedGeneration": 0, **progressing("ProgressDeadlineExceeded")},
            NotReady("generation 1 is not observed yet"),
            id="RDY-03 a before b: an old deadline says nothing about a new generation",
        ),
        pytest.param(2, 100, progressing("NewReplicaSetAvailable"), Ready(), id="RDY-03 other reasons"),
        pytest.param(2, 100, {"updatedReplicas": 1}, NotReady("1 of 2 pods updated"), id="RDY-03 c"),
        pytest.param(2, 100, {"replicas": 3}, NotReady("1 old pods still terminating"), id="RDY-03 d"),
        pytest.param(2, 0, {"replicas": 3}, NotReady("1 old pods still terminating"), id="RDY-05 threshold 0 disables only e"),
        pytest.param(2, 100, {"availableReplicas": 1}, NotReady("1 of 2 pods available"), id="RDY-03 e"),
        pytest.param(4, 50, settled_status(4, availableReplicas=2), Ready(), id="S8 half of four"),
        pytest.param(4, 50, settled_status(4, availableReplicas=1), NotReady("1 of 2 pods available"), id="S8 a quarter of four"),
        pytest.param(1, 50, settled_status(1, availableReplicas=0), NotReady("0 of 1 pods available"), id="RDY-05 one pod at half"),
        pytest.param(1, 0, settled_status(1, availableReplicas=0), Ready(), id="RDY-05 threshold 0"),
        pytest.param(2, 100, {"availableReplicas": None}, NotReady("0 of 2 pods available"), id="absent counts are zero"),
    ],
)
def test_deployment_readiness(replicas: int | None, threshold: int, status: dict[str, Any], expected: Readiness) -> None:
    """workloads:RDY-03, RDY-05, RDY-06"""
    manifest = make_deployment(replicas=replicas)
    manifest["status"] |= status
    assert deployment_readiness(manifest, threshold) == expected


def test_a_deployment_without_status_is_not_ready() -> None:
    """workloads:RDY-03"""
    manifest = make_deployment()
    del manifest["status"]
    assert deployment_readiness(manifest, 100) == NotReady("generation 1 is not observed yet")


@pytest.mark.parametrize(
    ("threshold", "status", "expected"),
    [
        pytest.param(100, {}, Ready(), id="RDY-08 all pods are there"),
        pytest.param(100, scheduled_status(0), Ready(), id="RDY-09 no node is to run a pod"),
        pytest.param(100, {"observedGeneration": 0}, NotReady("generation 1 is not observed yet"), id="RDY-08 a"),
        pytest.param(100, {"updatedNumberScheduled": 3}, NotReady("3 of 4 pods updated"), id="RDY-08 pods of an older template"),
        pytest.param(0, {"updatedNumberScheduled": 3}, NotReady("3 of 4 pods updated"), id="RDY-08 threshold 0 waits for new pods too"),
        pytest.param(100, {"numberAvailable": 3}, NotReady("3 of 4 pods available"), id="RDY-08 a pod is unavailable"),
        pytest.param(50, {"numberAvailable": 2}, Ready(), id="S8 half of four"),
        pytest.param(50, {"numberAvailable": 1}, NotReady("1 of 2 pods available"), id="S8 a quarter of four"),
        pytest.param(20, {"numberAvailable": 0}, NotReady("0 of 1 pods available"), id="RDY-05 at least one"),
        pytest.param(100, {"updatedNumberScheduled": None}, NotReady("0 of 4 pods updated"), id="absent counts are zero"),
    ],
)
def test_daemon_set_readiness(threshold: int, status: dict[str, Any], expected: Readiness) -> None:
    """workloads:RDY-08, RDY-09"""
    manifest = make_daemon_set(nodes=4)
    manifest["status"] |= status
    assert daemon_set_readiness(manifest, threshold) == expected


@pytest.mark.parametrize(("updated", "threshold", "required"), [(100, 53, 53), (3, 50, 1), (1, 1, 1), (0, 100, 0), (5, 0, 0), (3, 100, 3)])
def test_thresholds_are_computed_in_integers(updated: int, threshold: int, required: int) -> None:
    """workloads:RDY-05"""
    assert required_available(updated, threshold) == required
