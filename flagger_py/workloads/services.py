"""The three Kubernetes Services of a Canary: apex and `-primary` select the primary's pods, `-canary` the target's."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.service import CustomMetadata, Service, UnmanagedMetadata
from flagger_py.objects.patch import merge_patch
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import SERVICE, Manifest, Ref
from flagger_py.rollout.views import Back, Owed, ServicesView
from flagger_py.workloads.base import CANARY_SUFFIX, PRIMARY_SUFFIX, Selector, WorkloadError
from flagger_py.workloads.metadata import (
    FLUX_GUARDS,
    LAST_APPLIED,
    annotations_of,
    controlling_canary,
    is_canary_reference,
    owner_reference,
    owners_of,
)
from flagger_py.workloads.primary import require_room
from flagger_py.workloads.template import ContainerPort
from flagger_py.workloads.writing import replace, retry_conflicts

NAME_LIMIT = 63
DEFAULT_PORT_NAME = "http"

log = structlog.get_logger()


class Role(StrEnum):
    """Which of the three Services."""

    APEX = "apex"
    PRIMARY = "primary"
    CANARY = "canary"


_SUFFIXES: Mapping[Role, str] = {Role.APEX: "", Role.PRIMARY: PRIMARY_SUFFIX, Role.CANARY: CANARY_SUFFIX}


def service_name(role: Role, canary: Canary) -> str:
    """`spec.service.name`, or the target's name, with the role's suffix. Raises `WorkloadError` where that is too long (api:GAP-41)."""
    apex = _service(canary).name or canary.spec.target_ref.name
    require_room(f"{canary}: spec.service.name", apex, NAME_LIMIT)
    return apex + _SUFFIXES[role]


def desired_service(role: Role, canary: Canary, selector: Selector, ports: Iterable[ContainerPort], live: Manifest | None) -> Manifest:
    """The Service as it should be: a new one, or the live one with what must change; equal to it where nothing must (routers:K8S-01..16).

    Raises `WorkloadError` where another Canary controls it, or another controller, which would undo the change.
    """
    value = selector.value if role is Role.CANARY else selector.primary
    desired = _desired(role, canary, selector, value, ports, live)
    if live is not None and desired["spec"] != live["spec"]:
        _refuse_other_controller(canary, live)
    return desired


def _refuse_other_controller(canary: Canary, live: Manifest) -> None:
    """One that was taken over already, by Flagger say, stays so; its controller has let it."""
    owner = next((owner for owner in owners_of(live) if owner.get("controller") and not is_canary_reference(owner)), None)
    if owner is not None:
        raise WorkloadError(
            f"Service {canary.namespace}/{live['metadata']['name']}: metadata.ownerReferences: is controlled by {owner['kind']} "
            f"{owner['name']}, which would undo a change; set another spec.service.name on {canary}, or remove that owner"
        )


def restored_apex(canary: Canary, selector: Selector | None, ports: Iterable[ContainerPort], live: Manifest) -> Manifest:
    """An adopted apex Service with its own selector again; unchanged where a Canary controls it (routers:K8S-17).

    Where nothing records what it was, it selects the target's pods; with no target either it stays as it is. One that does not select
    the primary's pods was not touched yet, or somebody has given it back already.
    """
    if controlling_canary(live) is not None:
        return live
    if selector is not None and (live["spec"].get("selector") or {}).get(selector.label) != selector.primary:
        return live
    if (recorded := annotations_of(live).get(LAST_APPLIED)) is not None:
        document = _recorded(live, recorded)
        return _without_guards(_with_selector(live, _recorded_selector(live, document)), document)
    if selector is None:
        return live
    return _without_guards(_desired(Role.APEX, canary, selector, selector.value, ports, live), {})


def _without_guards(live: Manifest, recorded: Mapping[str, Any]) -> Manifest:
    """Without the annotations that keep Flux away, unless its user has set them: nobody would take them off later."""
    applied = (recorded.get("metadata") or {}).get("annotations") or {}
    kept = {key: value for key, value in annotations_of(live).items() if key not in FLUX_GUARDS or key in applied}
    metadata = {key: value for key, value in live["metadata"].items() if key != "annotations"}
    return {**live, "metadata": metadata | ({"annotations": kept} if kept else {})}


class Services:
    """Creates and repairs them."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._futile: dict[Ref, Mapping[str, Any]] = {}
        """Per Service, the patch after which the server's reply still asked for the same patch: it is not sent again."""

    async def view(self, canary: Canary, selector: Selector, ports: Iterable[ContainerPort]) -> ServicesView:
        """Which of them need no write."""
        settled: dict[str, bool] = {}
        for role in Role:
            ref = _ref(role, canary)
            live = await self._objects.read(ref)
            settled[role] = live is not None and self._is_settled(ref, live, desired_service(role, canary, selector, ports, live))
        return ServicesView(**settled)

    async def ensure(self, role: Role, canary: Canary, selector: Selector, ports: Iterable[ContainerPort]) -> None:
        """Create or repair one."""
        ref = _ref(role, canary)
        sources = iter((self._objects.read,))

        async def attempt() -> None:
            live = await next(sources, self._objects.get)(ref)
            desired = desired_service(role, canary, selector, ports, live)
            if live is None:
                await self._objects.create(SERVICE, desired)
                log.info("service_created", service=ref.name)
            elif not self._is_settled(ref, live, desired):
                reply = await replace(self._objects, ref, live, desired)
                log.info("service_repaired", service=ref.name)
                self._remember(ref, reply, desired_service(role, canary, selector, ports, reply))

        await retry_conflicts(attempt)

    async def restore_apex(self, canary: Canary, selector: Selector | None, ports: Iterable[ContainerPort]) -> None:
        """Undo the adoption of the apex Service; nothing happens where it does not exist."""
        ref = _ref(Role.APEX, canary)

        async def attempt() -> None:
            live = await self._objects.get(ref)
            if live is not None:
                await replace(self._objects, ref, live, restored_apex(canary, selector, ports, live))

        await retry_conflicts(attempt)

    async def apex_restoration(self, canary: Canary, selector: Selector | None, ports: Iterable[ContainerPort]) -> Back | Owed:
        """Whether that has something to do, by the cache."""
        ref = _ref(Role.APEX, canary)
        live = await self._objects.read(ref)
        if live is None or merge_patch(live, restored_apex(canary, selector, ports, live)).is_empty:
            return Back()
        return Owed(f"{ref} selects the primary's pods")

    def _is_settled(self, ref: Ref, live: Manifest, desired: Manifest) -> bool:
        patch = merge_patch(live, desired)
        return patch.is_empty or self._futile.get(ref) == patch.body

    def _remember(self, ref: Ref, reply: Manifest, desired: Manifest) -> None:
        patch = merge_patch(reply, desired)
        if patch.is_empty:
            self._futile.pop(ref, None)
        else:
            log.warning("service_change_not_kept_by_server", service=ref.name, fields=sorted(patch.body))
            self._futile[ref] = patch.body


def _ref(role: Role, canary: Canary) -> Ref:
    return Ref(SERVICE, canary.namespace, service_name(role, canary))


def _service(canary: Canary) -> Service:
    if canary.spec.service is None:
        raise WorkloadError(f"{canary}: spec.service is missing; a {canary.spec.target_ref.kind} target needs it, with a port")
    return canary.spec.service


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the Canary says about one Service."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    selector: Mapping[str, str]
    ports: list[dict[str, Any]]


def _desired(role: Role, canary: Canary, selector: Selector, value: str, ports: Iterable[ContainerPort], live: Manifest | None) -> Manifest:
    service = _service(canary)
    name = service_name(role, canary)
    custom: CustomMetadata = getattr(service, role.value) or CustomMetadata()
    wanted = _Wanted(
        name=name,
        labels={**custom.labels, selector.label: name},
        annotations={**custom.annotations, **FLUX_GUARDS},
        selector={selector.label: value},
        ports=service_ports(service, ports),
    )
    return _new_service(canary, service, wanted) if live is None else _repaired(canary, service, wanted, live)


def _new_service(canary: Canary, service: Service, wanted: _Wanted) -> Manifest:
    spec: dict[str, Any] = {"type": "ClusterIP", "selector": dict(wanted.selector), "ports": wanted.ports}
    if service.headless:
        spec["clusterIP"] = "None"
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    metadata = {
        "name": wanted.name,
        "namespace": canary.namespace,
        "labels": dict(wanted.labels),
        "annotations": dict(wanted.annotations),
        "ownerReferences": [owner_reference(canary)],
    }
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": metadata, "spec": spec}


def _repaired(canary: Canary, service: Service, wanted: _Wanted, live: Manifest) -> Manifest:
    owner = controlling_canary(live)
    if owner is not None and owner != canary.name:
        raise WorkloadError(
            f"Service {canary.namespace}/{wanted.name} belongs to Canary {owner}; set another spec.service.name on {canary}"
        )
    spec = _repaired_spec(live["spec"], wanted)
    if owner is not None:
        metadata = _managed_metadata(live["metadata"], wanted, service.unmanaged_metadata or UnmanagedMetadata())
    elif spec != live["spec"]:
        metadata = {**live["metadata"], "annotations": {**annotations_of(live), **FLUX_GUARDS}}
    else:
        metadata = live["metadata"]
    return {**live, "metadata": metadata, "spec": spec}


def _repaired_spec(live: Manifest, wanted: _Wanted) -> Manifest:
    """The live spec, with ports and selector replaced if either differs; everything else is the server's or the user's (K8S-10)."""
    live_ports = live.get("ports") or []
    ports = [_with_node_port(port, live_ports) for port in wanted.ports]
    has_same_ports = _comparable(live_ports) == _comparable(ports)
    if has_same_ports and live.get("selector") == wanted.selector:
        return live
    return {**live, "selector": dict(wanted.selector), "ports": live_ports if has_same_ports else ports}


def _with_node_port(port: dict[str, Any], live_ports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The port with the node port of the live one of that name, or else of that number, so that load balancers find it (K8S-09)."""
    allocated = [live for live in live_ports if live.get("nodePort")]
    same_name = [live for live in allocated if live.get("name") == port["name"]]
    same_number = [live for live in allocated if (live["port"], live.get("protocol", "TCP")) == (port["port"], port["protocol"])]
    found = next(iter(same_name + same_number), None)
    return port if found is None else {**port, "nodePort": found["nodePort"]}


def _managed_metadata(live: Manifest, wanted: _Wanted, unmanaged: UnmanagedMetadata) -> Manifest:
    return {
        **live,
        "labels": _managed(wanted.labels, live.get("labels") or {}, unmanaged.labels),
        "annotations": _managed(wanted.annotations, live.get("annotations") or {}, unmanaged.annotations),
    }


def _managed(wanted: Mapping[str, str], live: Mapping[str, str], unmanaged: Iterable[str]) -> dict[str, str]:
    """The wanted entries; keys that others manage keep their live value, or stay away (routers:K8S-15)."""
    others = frozenset(unmanaged)
    kept = {key: value for key, value in live.items() if key in others}
    return {**{key: value for key, value in wanted.items() if key not in others}, **kept}


def service_ports(service: Service, discovered: Iterable[ContainerPort]) -> list[dict[str, Any]]:
    """The main port, then the discovered ones by number; no number and no name occurs twice (routers:K8S-04..06)."""
    main: dict[str, Any] = {
        "name": service.port_name or DEFAULT_PORT_NAME,
        "protocol": "TCP",
        "port": service.port,
        "targetPort": service.target_port or service.port,
    }
    if service.app_protocol:
        main["appProtocol"] = service.app_protocol
    ports = [main]
    if service.port_discovery:
        for port in sorted(discovered, key=lambda found: (found.port, found.protocol, found.container, found.index)):
            _add_discovered(ports, port)
    return ports


def _add_discovered(ports: list[dict[str, Any]], found: ContainerPort) -> None:
    main = ports[0]
    if main["targetPort"] in (found.port, found.name):
        return
    if any((port["port"], port["protocol"]) == (found.port, found.protocol) for port in ports):
        return
    names = {port["name"] for port in ports}
    fallback = f"{found.protocol.lower()}-{found.container[:50]}-{found.index}"
    name = found.name if found.name and found.name not in names else fallback
    ports.append({"name": name, "protocol": found.protocol, "port": found.port, "targetPort": found.port})


def _comparable(ports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    filled = [
        {**port, "name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "targetPort": port.get("targetPort", port["port"])}
        for port in ports
    ]
    return sorted(filled, key=lambda port: (port["port"], port["protocol"]))


def _with_selector(live: Manifest, selector: Mapping[str, str]) -> Manifest:
    kept = {key: value for key, value in live["spec"].items() if key != "selector"}
    return {**live, "spec": {**kept, "selector": dict(selector)} if selector else kept}


def _recorded(live: Manifest, recorded: str) -> Mapping[str, Any]:
    try:
        document = json.loads(recorded)
    except json.JSONDecodeError as error:
        raise WorkloadError(f"{_name(live)}: annotation {LAST_APPLIED} is not JSON: {error}") from error
    return document if isinstance(document, dict) else {}


def _recorded_selector(live: Manifest, document: Mapping[str, Any]) -> Mapping[str, str]:
    selector = (document.get("spec") or {}).get("selector")
    if selector is not None and not isinstance(selector, dict):
        raise WorkloadError(f"{_name(live)}: annotation {LAST_APPLIED} has spec.selector {selector!r}, which must be a map")
    return selector or {}


def _name(live: Manifest) -> str:
    return f"Service {live['metadata'].get('namespace', '')}/{live['metadata']['name']}"
