"""The columns and cells of built-in kinds, as `kubectl get` shows them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flagger_py.local.apiserver.ages import age
from flagger_py.local.apiserver.selectors import selector_string
from flagger_py.objects.resource import Manifest

NONE: Final = "<none>"
_SHOWN_ENDPOINTS: Final = 3

Cell = Callable[[Manifest, datetime], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; one of priority 1 shows with `-o wide` only."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


def _wide(name: str, cell: Cell) -> Column:
    return Column(name, cell, priority=1)


def _name(manifest: Manifest, _: datetime) -> Any:
    return manifest["metadata"]["name"]


def _age(manifest: Manifest, now: datetime) -> Any:
    return age(manifest["metadata"].get("creationTimestamp"), now)


def _created(manifest: Manifest, _: datetime) -> Any:
    return manifest["metadata"].get("creationTimestamp")


NAME: Final = Column("Name", _name, format="name", description="Name of the object, unique in its namespace.")
AGE: Final = Column("Age", _age, description="Time since the creation.")
CREATED: Final = Column("Created At", _created, type="date")


def at(*path: str, default: Any = "") -> Cell:
    """A cell that shows the value at a path."""

    def cell(manifest: Manifest, _: datetime) -> Any:
        value: Any = manifest
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return default if value is None else value

    return cell


def _count(*fields: str) -> Cell:
    return lambda manifest, _: sum(len(manifest.get(name) or ()) for name in fields)


def _containers(manifest: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manifest["spec"].get("template", {}).get("spec", {}).get("containers", [])
    return found


def _container_names(manifest: Manifest, _: datetime) -> str:
    return ",".join(container["name"] for container in _containers(manifest))


def _images(manifest: Manifest, _: datetime) -> str:
    return ",".join(container.get("image", "") for container in _containers(manifest))


def _selector(manifest: Manifest, _: datetime) -> str:
    return selector_string(manifest["spec"].get("selector")) or NONE


def _map(value: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((value or {}).items())) or NONE


def _pod_statuses(manifest: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manifest.get("status", {}).get("containerStatuses", [])
    return found


def _pod_ready(manifest: Manifest, _: datetime) -> str:
    ready = sum(bool(status.get("ready")) for status in _pod_statuses(manifest))
    return f"{ready}/{len(manifest['spec'].get('containers', []))}"


def _pod_status(manifest: Manifest, _: datetime) -> str:
    """The phase, or what keeps a container from running."""
    status = manifest.get("status", {})
    if "deletionTimestamp" in manifest["metadata"]:
        return "Terminating"
    reasons = (_container_reason(one) for one in reversed(_pod_statuses(manifest)))
    return next((reason for reason in reasons if reason), status.get("reason") or status.get("phase", "Unknown"))


def _container_reason(status: dict[str, Any]) -> str:
    state = status.get("state", {})
    if reason := state.get("waiting", {}).get("reason"):
        return str(reason)
    terminated = state.get("terminated")
    if terminated is None:
        return ""
    return str(terminated.get("reason") or f"ExitCode:{terminated.get('exitCode', 0)}")


def _pod_restarts(manifest: Manifest, now: datetime) -> str:
    statuses = _pod_statuses(manifest)
    restarts = sum(status.get("restartCount", 0) for status in statuses)
    ends = [status.get("lastState", {}).get("terminated", {}).get("finishedAt", "") for status in statuses]
    last = max(ends, default="")
    return f"{restarts} ({age(last, now)} ago)" if restarts and last else str(restarts)


def _ready_of_desired(manifest: Manifest, _: datetime) -> str:
    return f"{manifest.get('status', {}).get('readyReplicas', 0)}/{manifest['spec'].get('replicas', 0)}"


def _external_address(manifest: Manifest, _: datetime) -> str:
    spec = manifest["spec"]
    ingress = manifest.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    addresses = [*spec.get("externalIPs", []), *(one.get("ip") or one.get("hostname", "") for one in ingress)]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", NONE))
    return ",".join(addresses) or ("<pending>" if spec.get("type") == "LoadBalancer" else NONE)


def _service_ports(manifest: Manifest, _: datetime) -> str:
    ports = (
        f"{port['port']}{f':{node}' if (node := port.get('nodePort')) else ''}/{port.get('protocol', 'TCP')}"
        for port in manifest["spec"].get("ports", [])
    )
    return ",".join(ports) or NONE


def _event_age(*fields: str) -> Cell:
    def cell(manifest: Manifest, now: datetime) -> str:
        return age(next((manifest[name] for name in fields if manifest.get(name)), None), now)

    return cell


def _event_object(manifest: Manifest, _: datetime) -> str:
    about = manifest.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event_source(manifest: Manifest, _: datetime) -> str:
    source = manifest.get("source", {})
    component = source.get("component") or manifest.get("reportingComponent", "")
    return f"{component}, {source['host']}" if source.get("host") else str(component)


def _endpoint_list(addresses: list[str]) -> str:
    shown, more = ",".join(addresses[:_SHOWN_ENDPOINTS]), len(addresses) - _SHOWN_ENDPOINTS
    return (f"{shown} + {more} more..." if more > 0 else shown) or NONE


def _endpoints(manifest: Manifest, _: datetime) -> str:
    subsets = manifest.get("subsets", [])
    addresses = (
        f"{address['ip']}:{port['port']}" for one in subsets for port in one.get("ports", []) for address in one.get("addresses", [])
    )
    return _endpoint_list(list(addresses))


def _slice_endpoints(manifest: Manifest, _: datetime) -> str:
    return _endpoint_list([address for one in manifest.get("endpoints") or [] for address in one.get("addresses", [])])


def _slice_ports(manifest: Manifest, _: datetime) -> str:
    return ",".join(str(port.get("port", "*")) for port in manifest.get("ports") or []) or "<unset>"


def _controller(manifest: Manifest, _: datetime) -> str:
    owners = (owner for owner in manifest["metadata"].get("ownerReferences", []) if owner.get("controller"))
    owner = next(owners, None)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    return f"{owner['kind'].lower()}{f'.{group}' if group else ''}/{owner['name']}"


def _hpa_reference(manifest: Manifest, _: datetime) -> str:
    target = manifest["spec"]["scaleTargetRef"]
    return f"{target['kind']}/{target['name']}"


def _hpa_targets(manifest: Manifest, _: datetime) -> str:
    current = {one.get("resource", {}).get("name"): one for one in manifest.get("status", {}).get("currentMetrics") or []}
    shown = (_hpa_target(metric, current) for metric in manifest["spec"].get("metrics", []))
    return ", ".join(shown) or NONE


def _hpa_target(metric: dict[str, Any], current: dict[str, Any]) -> str:
    resource = metric.get("resource")
    if resource is None:
        return f"<unknown>/{metric['type']}"
    target = resource["target"]
    now = current.get(resource["name"], {}).get("resource", {}).get("current", {})
    if "averageUtilization" in target:
        used = f"{now['averageUtilization']}%" if "averageUtilization" in now else "<unknown>"
        return f"{resource['name']}: {used}/{target['averageUtilization']}%"
    return f"{resource['name']}: {now.get('averageValue', '<unknown>')}/{target.get('averageValue', target.get('value'))}"


def _node_status(manifest: Manifest, _: datetime) -> str:
    conditions = manifest.get("status", {}).get("conditions", [])
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "Unknown")
    word = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return f"{word},SchedulingDisabled" if manifest["spec"].get("unschedulable") else word


def _node_address(kind: str) -> Cell:
    def cell(manifest: Manifest, _: datetime) -> str:
        addresses = manifest.get("status", {}).get("addresses", [])
        return next((one["address"] for one in addresses if one["type"] == kind), NONE)

    return cell


def _role(manifest: Manifest, _: datetime) -> str:
    return f"{manifest['roleRef']['kind']}/{manifest['roleRef']['name']}"


def _subjects(kind: str) -> Cell:
    def cell(manifest: Manifest, _: datetime) -> str:
        return ", ".join(_subject_names(manifest, kind))

    return cell


def _subject_names(manifest: Manifest, kind: str) -> Iterator[str]:
    for subject in manifest.get("subjects", []):
        if subject["kind"] == kind:
            yield f"{subject['namespace']}/{subject['name']}" if subject.get("namespace") else subject["name"]


_TEMPLATE: Final = (_wide("Containers", _container_names), _wide("Images", _images), _wide("Selector", _selector))
_BINDING: Final = (
    NAME,
    Column("Role", _role),
    AGE,
    *(_wide(name, _subjects(kind)) for name, kind in (("Users", "User"), ("Groups", "Group"), ("ServiceAccounts", "ServiceAccount"))),
)
_EVENT: Final = (
    Column("Last Seen", _event_age("lastTimestamp", "eventTime", "firstTimestamp")),
    Column("Type", at("type")),
    Column("Reason", at("reason")),
    Column("Object", _event_object),
    _wide("Subobject", at("involvedObject", "fieldPath")),
    _wide("Source", _event_source),
    Column("Message", lambda manifest, _: manifest.get("message", "").strip()),
    _wide("First Seen", _event_age("firstTimestamp", "eventTime")),
    _wide("Count", at("count", default=1)),
    Column("Name", _name, format="name", priority=1),
)
_NODE: Final = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", lambda _, __: NONE),
    AGE,
    Column("Version", at("status", "nodeInfo", "kubeletVersion")),
    _wide("Internal-IP", _node_address("InternalIP")),
    _wide("External-IP", _node_address("ExternalIP")),
    _wide("OS-Image", at("status", "nodeInfo", "osImage", default="<unknown>")),
    _wide("Kernel-Version", at("status", "nodeInfo", "kernelVersion", default="<unknown>")),
    _wide("Container-Runtime", at("status", "nodeInfo", "containerRuntimeVersion", default="<unknown>")),
)


def _status_counts(*columns: tuple[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, at("status", field, default=0), type="integer") for name, field in columns)


COLUMNS: Final[dict[tuple[str, str], tuple[Column, ...]]] = {
    ("", "pods"): (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        AGE,
        _wide("IP", at("status", "podIP", default=NONE)),
        _wide("Node", at("spec", "nodeName", default=NONE)),
        _wide("Nominated Node", at("status", "nominatedNodeName", default=NONE)),
        _wide("Readiness Gates", lambda _, __: NONE),
    ),
    ("", "services"): (
        NAME,
        Column("Type", at("spec", "type")),
        Column("Cluster-IP", at("spec", "clusterIP", default=NONE)),
        Column("External-IP", _external_address),
        Column("Port(s)", _service_ports),
        AGE,
        _wide("Selector", lambda manifest, _: _map(manifest["spec"].get("selector"))),
    ),
    ("", "events"): _EVENT,
    ("", "configmaps"): (NAME, Column("Data", _count("data", "binaryData")), AGE),
    ("", "secrets"): (NAME, Column("Type", at("type")), Column("Data", _count("data")), AGE),
    ("", "namespaces"): (NAME, Column("Status", at("status", "phase")), AGE),
    ("", "nodes"): _NODE,
    ("", "endpoints"): (NAME, Column("Endpoints", _endpoints), AGE),
    ("apps", "deployments"): (
        NAME,
        Column("Ready", _ready_of_desired),
        Column("Up-to-date", at("status", "updatedReplicas", default=0)),
        Column("Available", at("status", "availableReplicas", default=0)),
        AGE,
        *_TEMPLATE,
    ),
    ("apps", "replicasets"): (
        NAME,
        Column("Desired", at("spec", "replicas", default=0), type="integer"),
        *_status_counts(("Current", "replicas"), ("Ready", "readyReplicas")),
        AGE,
        *_TEMPLATE,
    ),
    ("apps", "daemonsets"): (
        NAME,
        *_status_counts(
            ("Desired", "desiredNumberScheduled"),
            ("Current", "currentNumberScheduled"),
            ("Ready", "numberReady"),
            ("Up-to-date", "updatedNumberScheduled"),
            ("Available", "numberAvailable"),
        ),
        Column("Node Selector", lambda manifest, _: _map(manifest["spec"]["template"]["spec"].get("nodeSelector"))),
        AGE,
        *_TEMPLATE,
    ),
    ("apps", "controllerrevisions"): (NAME, Column("Controller", _controller), Column("Revision", at("revision")), AGE),
    ("autoscaling", "horizontalpodautoscalers"): (
        NAME,
        Column("Reference", _hpa_reference),
        Column("Targets", _hpa_targets),
        Column("MinPods", lambda manifest, _: str(manifest["spec"].get("minReplicas", "<unset>"))),
        Column("MaxPods", at("spec", "maxReplicas")),
        Column("Replicas", at("status", "currentReplicas", default=0)),
        AGE,
    ),
    ("coordination.k8s.io", "leases"): (NAME, Column("Holder", at("spec", "holderIdentity")), AGE),
    ("discovery.k8s.io", "endpointslices"): (
        NAME,
        Column("AddressType", at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        AGE,
    ),
    ("rbac.authorization.k8s.io", "roles"): (NAME, CREATED),
    ("rbac.authorization.k8s.io", "clusterroles"): (NAME, CREATED),
    ("rbac.authorization.k8s.io", "rolebindings"): _BINDING,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _BINDING,
    ("apiextensions.k8s.io", "customresourcedefinitions"): (NAME, CREATED),
}
