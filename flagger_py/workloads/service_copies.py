"""The copies of a user's Service, `-primary` and `-canary`: what is copied, when two are the same, and how they are rendered. Pure.

Fields that the API server gives to each Service (cluster IPs, node ports, families) are never copied: it refuses most of them in a second
Service, and the rest would be shared (workloads:SVC-04).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import SERVICE, Manifest
from flagger_py.workloads.base import WorkloadError
from flagger_py.workloads.metadata import (
    LAST_APPLIED,
    annotations_of,
    controlling_canary,
    included,
    labels_of,
    owner_reference,
    owners_of,
    without_toolkit_keys,
)
from flagger_py.workloads.template import digest_of

HEADLESS: Final = "None"
_COPIED: Final = (
    "type",
    "selector",
    "externalName",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "internalTrafficPolicy",
    "externalTrafficPolicy",
    "publishNotReadyAddresses",
    "ipFamilyPolicy",
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
    "internalTrafficPolicy": "Cluster",
    "externalTrafficPolicy": "Cluster",
    "publishNotReadyAddresses": False,
    "ipFamilyPolicy": "SingleStack",
    "allocateLoadBalancerNodePorts": True,
}
"""What the API server fills in: said or not said, it means the same, in this version of Kubernetes and the next."""
_HAS_NODE_PORTS: Final = frozenset({"NodePort", "LoadBalancer"})


def copied_spec(canary: Canary, source: Manifest) -> dict[str, Any]:
    """The fields of the user's Service that both copies get, with the Canary's `trafficDistribution` (workloads:SVC-03)."""
    spec = source["spec"]
    copied = {key: spec[key] for key in _COPIED if spec.get(key) is not None}
    if ports := spec.get("ports"):
        copied["ports"] = [{key: value for key, value in port.items() if key != "nodePort"} for port in ports]
    if is_headless(source):
        copied["clusterIP"] = HEADLESS
    if distribution := _distribution(canary):
        copied["trafficDistribution"] = distribution
    return copied


def revision_of(canary: Canary, service: Manifest) -> str:
    """Of the user's Service or of a copy: the same for both where the copy carries what the user's Service says (workloads:SVC-06).

    Only what is copied counts, so that a Service that was deleted and made again, with another cluster IP, is no new revision.
    A `trafficDistribution` of the Canary is no revision of the Service.
    """
    copied = copied_spec(canary, service)
    if _distribution(canary):
        del copied["trafficDistribution"]
    return digest_of(_normal(copied))


def new_copy(canary: Canary, source: Manifest, name: str) -> Manifest:
    """A copy as it is created (workloads:SVC-03)."""
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {
            "name": name,
            "namespace": canary.namespace,
            "labels": without_toolkit_keys(labels_of(source)),
            "annotations": _copied_annotations(source),
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": copied_spec(canary, source),
    }


def mirrored(canary: Canary, source: Manifest, live: Manifest) -> Manifest:
    """The `-canary` copy as it should be; equal to the live one where nothing has to change (workloads:SVC-02).

    Labels and annotations that others, such as a cloud's controller, have put on it stay.
    """
    metadata = {
        **live["metadata"],
        "labels": {**labels_of(live), **without_toolkit_keys(labels_of(source))},
        "annotations": {**annotations_of(live), **_copied_annotations(source)},
    }
    kept = {key: value for key, value in metadata.items() if value or key in live["metadata"]}
    return {**live, "metadata": kept | _owners(canary, live), "spec": _updated_spec(canary, source, live)}


def promoted(canary: Canary, source: Manifest, live: Manifest, prefixes: Iterable[str]) -> Manifest:
    """The `-primary` copy with what a promotion gives it: all that is copied, and the labels and annotations that
    `-include-label-prefix` names (workloads:SVC-05)."""
    metadata = {
        **live["metadata"],
        "labels": included(labels_of(source), prefixes),
        "annotations": included(_copied_annotations(source), prefixes),
    }
    return {**live, "metadata": metadata | _owners(canary, live), "spec": _updated_spec(canary, source, live)}


def is_headless(service: Manifest) -> bool:
    """Whether it has no cluster IP on purpose."""
    return bool(service["spec"].get("clusterIP") == HEADLESS)


def require_own_copy(canary: Canary, source: Manifest, live: Manifest) -> None:
    """Refuse a Service that somebody else controls. One without a controller is taken over, and so is one to which Flagger gave the
    owners of its source (workloads:SVC-05).

    Raises `WorkloadError`.
    """
    of_source = {owner.get("uid") for owner in owners_of(source)}
    for owner in owners_of(live):
        is_ours = controlling_canary(live) == canary.metadata.name
        if owner.get("controller") and not is_ours and owner.get("uid") not in of_source:
            raise WorkloadError(
                f"{_name(live)}: metadata.ownerReferences: is controlled by {owner.get('kind')} {owner.get('name')}, not by "
                f"{canary}; delete it, or give the target of {canary} another name"
            )


def require_usable(canary: Canary, source: Manifest) -> None:
    """Refuse a source that cannot be released: a Service that a Canary has made. Raises `WorkloadError`."""
    if (owner := controlling_canary(source)) is not None:
        raise WorkloadError(f"{_name(source)}: was made by Canary {owner}, and cannot be the target of {canary}")


def require_port(canary: Canary, source: Manifest) -> None:
    """Refuse a source without the port that routes are led to. Raises `WorkloadError`."""
    ports = [port["port"] for port in source["spec"].get("ports") or ()]
    wanted = canary.spec.service.port if canary.spec.service else None
    if ports and wanted not in ports:
        raise WorkloadError(f"{canary}: spec.service.port: {wanted} is no port of {_name(source)}, which has {', '.join(map(str, ports))}")


def _updated_spec(canary: Canary, source: Manifest, live: Manifest) -> Manifest:
    """The live spec with what is copied; what the server gave to the copy stays. Raises `WorkloadError` where it cannot be changed."""
    copied = copied_spec(canary, source)
    if _normal(copied) == _normal(copied_spec(canary, live)):
        return live["spec"]  # type: ignore[no-any-return]  # a manifest is untyped JSON
    if is_headless(source) != is_headless(live) and not _is_external(source) and not _is_external(live):
        raise WorkloadError(
            f"{_name(live)}: spec.clusterIP: {'is' if is_headless(live) else 'is not'} {HEADLESS}, unlike that of {_name(source)}, and "
            f"cannot be changed; give the target of {canary} another name"
        )
    kept = {key: value for key, value in live["spec"].items() if key not in (*_COPIED, "ports")}
    if "ports" in copied and copied.get("type") in _HAS_NODE_PORTS:
        copied["ports"] = [_with_node_port(port, live["spec"].get("ports") or ()) for port in copied["ports"]]
    return {**kept, **copied}


def _with_node_port(port: Mapping[str, Any], live: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """With the node port that the copy has for a port of this name and number, so that load balancers find it."""
    same = (one for one in live if (one.get("name"), one["port"]) == (port.get("name"), port["port"]) and one.get("nodePort"))
    return {**port, **({"nodePort": found["nodePort"]} if (found := next(same, None)) else {})}


def _is_external(service: Manifest) -> bool:
    return bool(service["spec"].get("type") == "ExternalName")


def _normal(copied: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the server fills in, and with the ports in one order."""
    normal = {key: value for key, value in copied.items() if _DEFAULTS.get(key) != value}
    normal["ports"] = sorted(map(_normal_port, copied.get("ports") or ()), key=lambda port: (port["port"], port["protocol"]))
    return normal


def _normal_port(port: Mapping[str, Any]) -> dict[str, Any]:
    return {"protocol": "TCP", **port, "targetPort": port.get("targetPort") or port["port"]}


def _distribution(canary: Canary) -> str:
    return canary.spec.service.traffic_distribution if canary.spec.service else ""


def _copied_annotations(source: Manifest) -> dict[str, str]:
    return {key: value for key, value in without_toolkit_keys(annotations_of(source)).items() if key != LAST_APPLIED}


def _owners(canary: Canary, live: Manifest) -> dict[str, Any]:
    """Its owners, with the Canary as the one that controls it: Flagger's promotions lose it (workloads:SVC-05)."""
    if controlling_canary(live) == canary.metadata.name:
        return {}
    return {"ownerReferences": [*(owner for owner in owners_of(live) if not owner.get("controller")), owner_reference(canary)]}


def _name(service: Manifest) -> str:
    return f"Service {service['metadata'].get('namespace', '')}/{service['metadata']['name']}"
