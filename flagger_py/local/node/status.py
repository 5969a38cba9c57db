"""The status of a pod, from what its containers are doing. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from flagger_py.local.conditions import condition, timestamp, with_transition_times
from flagger_py.local.node.network import PodAddress
from flagger_py.objects.resource import Manifest


@dataclass(frozen=True, slots=True)
class Waiting:
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    exit_code: int
    started_at: datetime
    finished_at: datetime
    message: str = ""

    @property
    def reason(self) -> str:
        return "Error" if self.exit_code else "Completed"


State: TypeAlias = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container. `started` and `ready` are its probes' word, `last` is how it ended before."""

    name: str
    image: str
    state: State
    started: bool = False
    ready: bool = False
    restarts: int = 0
    last: Terminated | None = None


def pod_status(pod: Manifest, containers: Sequence[ContainerStatus], address: PodAddress | None, now: datetime) -> dict[str, Any]:
    """The whole status; `pod` gives what was reported before."""
    before = pod.get("status") or {}
    phase = _phase(containers)
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": with_transition_times(_conditions(pod, containers, phase), before.get("conditions"), now),
        "containerStatuses": [_container_status(entry) for entry in containers],
        "qosClass": before.get("qosClass", "BestEffort"),
        "startTime": before.get("startTime") or timestamp(now),
        "hostIP": "127.0.0.1",
    }
    if address is not None:
        status |= {"podIP": address.ip, "podIPs": [{"ip": address.ip}]}
    return status


def _phase(containers: Sequence[ContainerStatus]) -> str:
    if any(isinstance(entry.state, Running) or entry.last for entry in containers):
        return "Running"
    ends = [entry.state for entry in containers if isinstance(entry.state, Terminated)]
    if len(ends) == len(containers):
        return "Failed" if any(end.exit_code for end in ends) else "Succeeded"
    return "Running" if ends else "Pending"


def _conditions(pod: Manifest, containers: Sequence[ContainerStatus], phase: str) -> list[dict[str, Any]]:
    unready = [entry.name for entry in containers if not entry.ready]
    why = ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]") if unready else ("", "")
    if phase == "Succeeded":
        why = ("PodCompleted", "")
    waiting = any(isinstance(entry.state, Waiting) and entry.state.reason == "ContainerCreating" for entry in containers)
    return [
        condition("PodReadyToStartContainers", not waiting),
        condition("Initialized", True),
        condition("Ready", not unready, *why),
        condition("ContainersReady", not unready, *why),
        condition("PodScheduled", True),
    ]


def _container_status(entry: ContainerStatus) -> dict[str, Any]:
    status: dict[str, Any] = {
        "name": entry.name,
        "image": entry.image,
        "imageID": "" if isinstance(entry.state, Waiting) and not entry.last else f"local/{entry.image}",
        "ready": entry.ready,
        "started": entry.started,
        "restartCount": entry.restarts,
        "state": _state(entry.state),
        "lastState": _state(entry.last) if entry.last else {},
    }
    return status


def _state(state: State) -> Mapping[str, Any]:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(started_at):
            return {"running": {"startedAt": timestamp(started_at)}}
        case Terminated():
            ended = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": timestamp(state.started_at),
                "finishedAt": timestamp(state.finished_at),
            }
            return {"terminated": ended | ({"message": state.message} if state.message else {})}
