"""The status of a pod."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flagger_py.local.node.network import PodAddress
from flagger_py.local.node.status import ContainerStatus, Running, Terminated, Waiting, pod_status

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ADDRESS = PodAddress("127.64.0.1")
RUNNING = Running(NOW)
CRASHED = Terminated(1, NOW, NOW)


def container(state: Waiting | Running | Terminated, **more: Any) -> ContainerStatus:
    return ContainerStatus("web", "web:1", state, **more)


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in status["conditions"]}


@pytest.mark.parametrize(
    ("containers", "phase"),
    [
        pytest.param([container(Waiting("ContainerCreating"))], "Pending", id="creating"),
        pytest.param([container(Waiting("ImagePullBackOff"))], "Pending", id="no image"),
        pytest.param([container(RUNNING)], "Running", id="running"),
        pytest.param([container(Waiting("CrashLoopBackOff"), last=CRASHED)], "Running", id="between restarts"),
        pytest.param([container(Terminated(0, NOW, NOW))], "Succeeded", id="ended well"),
        pytest.param([container(CRASHED)], "Failed", id="ended badly"),
        pytest.param([container(RUNNING), container(Waiting("ContainerCreating"))], "Running", id="one of two runs"),
    ],
)
def test_the_phase(containers: list[ContainerStatus], phase: str) -> None:
    assert pod_status({}, containers, ADDRESS, NOW)["phase"] == phase


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    status = pod_status({}, [container(RUNNING, ready=True), container(RUNNING)], ADDRESS, NOW)
    assert conditions(status)["Ready"] == "False"
    assert conditions(pod_status({}, [container(RUNNING, ready=True)], ADDRESS, NOW))["Ready"] == "True"


def test_the_time_of_a_condition_moves_with_its_status_only() -> None:
    first = pod_status({}, [container(RUNNING)], ADDRESS, NOW)
    later = NOW + timedelta(seconds=9)
    ready = pod_status({"status": first}, [container(RUNNING, ready=True)], ADDRESS, later)
    times = {entry["type"]: entry["lastTransitionTime"] for entry in ready["conditions"]}
    assert (times["Ready"], times["PodScheduled"]) == ("2026-01-01T12:00:09Z", "2026-01-01T12:00:00Z")


def test_what_kubectl_shows_of_a_crash() -> None:
    waiting = container(Waiting("CrashLoopBackOff", "back-off 10s"), restarts=2, last=CRASHED)
    (found,) = pod_status({}, [waiting], ADDRESS, NOW)["containerStatuses"]
    assert found["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert found["lastState"]["terminated"]["exitCode"] == 1
    assert found["lastState"]["terminated"]["reason"] == "Error"
    assert found["restartCount"] == 2


def test_a_pod_without_an_address_shows_none() -> None:
    assert "podIP" not in pod_status({}, [container(Waiting("ContainerCreating"))], None, NOW)
