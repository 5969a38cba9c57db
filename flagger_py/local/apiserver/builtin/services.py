"""Services: addresses and node ports are given out, ports and types are checked."""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final, Protocol

from flagger_py.local.apiserver.names import label_errors, label_set_errors
from flagger_py.local.apiserver.status import FieldError, duplicate_value, invalid_value, not_supported, required
from flagger_py.local.apiserver.store import Record
from flagger_py.local.apiserver.strategy import Strategy, keep_field
from flagger_py.objects.resource import Manifest

NODE_PORTS: Final = range(30000, 32768)
_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_PORT_RANGE: Final = "must be between 1 and 65535, inclusive"
_NODE_PORT_TYPES: Final = frozenset({"NodePort", "LoadBalancer"})


class Services(Protocol):
    """Reads all stored Services."""

    def __call__(self) -> Iterator[Record]: ...


class ServiceStrategy(Strategy):
    """Services. Addresses come from `network`; what is given out is read from the stored Services, so nothing can leak."""

    creates_on_update = True
    answers_deleted_object = True
    name_errors = staticmethod(label_errors)

    def __init__(self, stored: Services, network: ipaddress.IPv4Network) -> None:
        self._stored = stored
        self._network = network
        self._next = 1

    def set_defaults(self, new: Manifest) -> None:
        spec = new["spec"]
        for port in spec.get("ports", []):
            port.setdefault("targetPort", port.get("port", 0))
        if spec["type"] in _NODE_PORT_TYPES:
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["sessionAffinity"] == "ClientIP":
            spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
        elif spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)

    def prepare_create(self, new: Manifest) -> None:
        new["status"] = {"loadBalancer": {}}
        self._complete(new["spec"])

    def prepare_update(self, new: Manifest, old: Manifest) -> None:
        keep_field(new, old, "status")
        spec, before = new["spec"], old["spec"]
        if spec["type"] == "ExternalName":
            return
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if name in before and not spec.get(name):
                spec[name] = before[name]
        if spec.get("clusterIP") != before.get("clusterIP") and spec["clusterIPs"] == before.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        _keep_node_ports(spec, before)
        self._complete(spec)

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        spec = new["spec"]
        if spec["type"] not in _TYPES:
            return [not_supported("spec.type", spec["type"], _TYPES)]
        errors = label_set_errors(spec.get("selector", {}), "spec.selector")
        if spec["type"] == "ExternalName" and not spec.get("externalName"):
            errors.append(required("spec.externalName"))
        if spec["sessionAffinity"] not in {"ClientIP", "None"}:
            errors.append(not_supported("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None")))
        needs_ports = spec["type"] != "ExternalName" and spec.get("clusterIP") != "None"
        if needs_ports and not spec.get("ports"):
            errors.append(required("spec.ports"))
        errors += _port_errors(spec.get("ports", []))
        return errors or [*self._address_errors(new, old), *self._node_port_errors(new)]

    def unowned(self, new: Manifest) -> frozenset[tuple[str, ...]]:
        given = ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] + (["clusterIP"] if new["spec"].get("clusterIP") != "None" else [])
        return frozenset(("f:spec", f"f:{name}") for name in given)

    def _complete(self, spec: dict[str, Any]) -> None:
        if spec["type"] not in _TYPES or spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._free_address()
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in _NODE_PORT_TYPES and spec.get("allocateLoadBalancerNodePorts", True):
            taken = {port.get("nodePort") for record in self._stored() for port in record.manifest["spec"].get("ports", [])}
            for port in spec.get("ports", []):
                if not port.get("nodePort"):
                    port["nodePort"] = next(number for number in NODE_PORTS if number not in taken)
                    taken.add(port["nodePort"])

    def _free_address(self) -> str:
        """The next address that no Service has; freed ones come back last."""
        taken = self._taken()
        size = self._network.num_addresses - 2
        for _ in range(size):
            candidate = str(self._network[self._next])
            self._next = self._next % size + 1
            if candidate not in taken:
                return candidate
        return ""  # refused by validation as unset

    def _taken(self) -> set[str]:
        return {record.manifest["spec"].get("clusterIP", "") for record in self._stored()}

    def _node_port_errors(self, new: Manifest) -> list[FieldError]:
        if not any(port.get("nodePort") for port in new["spec"].get("ports", [])):
            return []
        uid = new["metadata"].get("uid")
        others = (record.manifest for record in self._stored() if record.manifest["metadata"]["uid"] != uid)
        taken = {port["nodePort"] for other in others for port in other["spec"].get("ports", []) if "nodePort" in port}
        return [
            invalid_value(f"spec.ports[{index}].nodePort", port["nodePort"], "provided port is already allocated")
            for index, port in enumerate(new["spec"].get("ports", []))
            if port.get("nodePort") in taken
        ]

    def _address_errors(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        spec = new["spec"]
        address, before = spec.get("clusterIP", ""), (old or {"spec": {}})["spec"].get("clusterIP", "")
        if spec["type"] == "ExternalName" or address in {"None", before}:
            return []
        if before and before != "None":
            return [invalid_value("spec.clusterIPs[0]", [address], "may not change once set")]
        if not address or ipaddress.ip_address(address) not in self._network:
            why = f"failed to allocate IP {address}: the provided network does not match the current range"
            return [invalid_value("spec.clusterIPs", [address], why)]
        if address in self._taken():
            return [invalid_value("spec.clusterIPs", [address], f"failed to allocate IP {address}: provided IP is already allocated")]
        return []


def _keep_node_ports(spec: dict[str, Any], before: dict[str, Any]) -> None:
    if spec["type"] not in _NODE_PORT_TYPES:
        return
    given = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports", [])}
    for port in spec.get("ports", []):
        known = given.get((port.get("port"), port.get("protocol")))
        if known and not port.get("nodePort"):
            port["nodePort"] = known


def _port_errors(ports: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        errors += _port_name_errors(port.get("name", ""), f"{field}.name", names, is_required=len(ports) > 1)
        if not 0 < port.get("port", 0) < 65536:
            errors.append(invalid_value(f"{field}.port", port.get("port", 0), _PORT_RANGE))
        if port["protocol"] not in _PROTOCOLS:
            errors.append(not_supported(f"{field}.protocol", port["protocol"], _PROTOCOLS))
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            errors.append(invalid_value(f"{field}.targetPort", target, _PORT_RANGE))
    return errors + _same_port_errors(ports)


def _port_name_errors(name: str, field: str, taken: set[str], *, is_required: bool) -> list[FieldError]:
    if not name:
        return [required(field)] if is_required else []
    if errors := [invalid_value(field, name, error) for error in label_errors(name)]:
        return errors
    if name in taken:
        return [duplicate_value(field, name)]
    taken.add(name)
    return []


def _same_port_errors(ports: list[dict[str, Any]]) -> list[FieldError]:
    seen: set[tuple[Any, Any]] = set()
    errors = []
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            same = {"Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1], "TargetPort": 0, "NodePort": 0}
            errors.append(duplicate_value(f"spec.ports[{index}]", same))
        seen.add(key)
    return errors
