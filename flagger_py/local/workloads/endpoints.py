"""The EndpointSlices and Endpoints of a Service, from its pods. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from flagger_py.local.node.agent import real_port
from flagger_py.local.node.probes import named_port
from flagger_py.local.resources import ENDPOINT_SLICE, ENDPOINTS
from flagger_py.local.workloads.ownership import is_ready, owner_reference
from flagger_py.objects.resource import SERVICE, Manifest

SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}


class Port(NamedTuple):
    """A port of an EndpointSlice: the Service port's name, and the number where the pods of this slice serve it."""

    name: str
    protocol: str
    number: int


def selected(service: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """The pods that have an address and carry all labels of the Service's selector; none where it has no selector."""
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    if not selector:
        return []
    matching = [pod for pod in pods if _carries(pod, selector) and (pod.get("status") or {}).get("podIP")]
    return sorted((pod for pod in matching if not _has_ended(pod)), key=lambda pod: str(pod["metadata"]["name"]))


def _carries(pod: Manifest, selector: Mapping[str, str]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _has_ended(pod: Manifest) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def endpoint_slices(service: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """One slice for each set of real ports; one empty slice where there is no pod. `pods` are those that it selects."""
    groups: dict[tuple[Port, ...], list[Manifest]] = defaultdict(list)
    for pod in pods:
        groups[_ports(service, pod)].append(pod)
    if not groups:
        groups[()] = []
    return [_slice(service, index, ports, members) for index, (ports, members) in enumerate(sorted(groups.items()))]


def _ports(service: Manifest, pod: Manifest) -> tuple[Port, ...]:
    """Where this pod serves the Service's ports; a named target port that it does not have is left out."""
    found = ((entry, _target(entry, pod)) for entry in service["spec"].get("ports") or ())
    return tuple(Port(entry.get("name", ""), entry.get("protocol", "TCP"), real_port(pod, number)) for entry, number in found if number)


def _target(port: Mapping[str, Any], pod: Manifest) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        if any(entry.get("name") == target for entry in container.get("ports") or ()):
            return named_port(container, target)
    return None


def _slice(service: Manifest, index: int, ports: Sequence[Port], pods: Sequence[Manifest]) -> Manifest:
    metadata = service["metadata"]
    return {
        "metadata": {
            "name": metadata["name"] if not index else f"{metadata['name']}-{index}",
            "namespace": metadata["namespace"],
            "labels": {**(metadata.get("labels") or {}), SERVICE_LABEL: metadata["name"], **MANAGED_BY},
            "ownerReferences": [owner_reference(service, SERVICE)],
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(service, pod) for pod in pods],
        "ports": [_slice_port(port) for port in ports],
    }


def _slice_port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "protocol": port.protocol, "port": port.number}


def _endpoint(service: Manifest, pod: Manifest) -> dict[str, Any]:
    """A pod that is being deleted is not ready, but may still serve (Kubernetes' `serving` and `terminating`)."""
    terminating = "deletionTimestamp" in pod["metadata"]
    serving = is_ready(pod) or bool(service["spec"].get("publishNotReadyAddresses"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": serving and not terminating, "serving": serving, "terminating": terminating},
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": _target_ref(pod),
    }


def _target_ref(pod: Manifest) -> dict[str, Any]:
    metadata = pod["metadata"]
    return {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}


def endpoints(service: Manifest, slices: Sequence[Manifest]) -> Manifest:
    """The older form of the same, which people still read."""
    metadata = service["metadata"]
    return {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(metadata.get("labels") or {}),
        },
        "subsets": [subset for entry in slices if (subset := _subset(entry))],
    }


def _subset(entry: Manifest) -> dict[str, Any]:
    ready = [_address(endpoint) for endpoint in entry["endpoints"] if endpoint["conditions"]["ready"]]
    waiting = [_address(endpoint) for endpoint in entry["endpoints"] if _is_waiting(endpoint)]
    if not ready and not waiting:
        return {}
    ports = [{key: value for key, value in port.items() if value} for port in entry["ports"]]
    subset: dict[str, Any] = {"ports": ports}
    return subset | ({"addresses": ready} if ready else {}) | ({"notReadyAddresses": waiting} if waiting else {})


def _is_waiting(endpoint: Mapping[str, Any]) -> bool:
    return not endpoint["conditions"]["ready"] and not endpoint["conditions"]["terminating"]


def _address(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    return {"ip": endpoint["addresses"][0], "nodeName": endpoint["nodeName"], "targetRef": endpoint["targetRef"]}


RESOURCES: Final = (ENDPOINT_SLICE, ENDPOINTS)
"""What this controller writes."""
