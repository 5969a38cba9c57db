"""Sub-resources of pods that belong to whoever runs them: logs, and eviction."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from flagger_py.local.apiserver.answers import Answer, Streaming, json_answer
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.deleting import Deleter
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import bad_request


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Whose log is wanted. `tail` is the number of last lines; `None` means all of them."""

    namespace: str
    pod: str
    container: str
    follow: bool = False
    previous: bool = False
    tail: int | None = None


PodLogs = Callable[[LogRequest], AsyncIterator[bytes]]
"""Gives the log of a container in chunks; with `follow` it goes on until it is closed."""


def pod_log(state: State, call: Call, kind: Kind, logs: PodLogs | None) -> Streaming:
    """The log of a container. Raises 404 for a pod and 400 for a container that does not exist, or where nobody keeps logs."""
    record = state.record(kind, (call.target.namespace, call.target.name))
    names = [container["name"] for container in record.manifest["spec"]["containers"]]
    container = call.query.get("container") or (names[0] if len(names) == 1 else "")
    if not container:
        raise bad_request(f"a container name must be specified for pod {call.target.name}, choose one of: [{' '.join(names)}]")
    if container not in names:
        raise bad_request(f"container {container} is not valid for pod {call.target.name}")
    if logs is None:
        raise bad_request("this API server has no access to the logs of pods")
    tail = call.query.get("tailLines")
    request = LogRequest(
        call.target.namespace, call.target.name, container, call.flag("follow"), call.flag("previous"), int(tail) if tail else None
    )
    return Streaming(logs(request), content_type="text/plain")


def evict(state: State, call: Call, kind: Kind) -> Answer:
    """Delete a pod as `kubectl drain` does; there are no disruption budgets here."""
    Deleter(state, call, kind).delete()
    return json_answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)
