"""Rules about `spec.service`: names, ports, durations, and fields that the provider does not read."""

import re
from collections.abc import Iterator
from datetime import timedelta

from flagger_py.api import effective
from flagger_py.api.canary import Canary
from flagger_py.api.durations import parse_duration
from flagger_py.api.problems import Problem, invalid, warning
from flagger_py.api.providers import is_gateway_api, traffic_provider
from flagger_py.api.service import DNS_LABEL, NAME_LIMIT, PORT_NAME, Service
from flagger_py.api.validation.context import Context

_PATH = "spec.service"
_GATEWAY_API_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*")
_CONTOUR_NO_LIMIT = {"infinity", "infinite"}
_READERS = {
    "timeout": ("istio", "contour", "gatewayapi:v1", "appmesh"),
    "backend_timeout": ("gatewayapi:v1",),
    "gateways": ("istio", "smi", "linkerd", "osm"),
    "gateway_refs": ("gatewayapi",),
    "hosts": ("istio", "gatewayapi", "smi", "linkerd", "osm", "appmesh"),
    "delegation": ("istio",),
    "traffic_policy": ("istio",),
    "match": ("istio", "gatewayapi", "contour", "appmesh"),
    "rewrite": ("istio", "gatewayapi"),
    "retries": ("istio", "contour", "appmesh"),
    "headers": ("istio", "gatewayapi"),
    "mirror": ("gatewayapi",),
    "cors_policy": ("istio", "gatewayapi:v1"),
    "mesh_name": ("appmesh",),
    "backends": ("appmesh",),
}
"""Which providers read a field (routers:§3.0.3); a name stands for all its versions unless it has one."""
_OF_GENERATED_SERVICES = ("target_port", "port_name", "port_discovery", "headless", "primary", "canary", "unmanaged_metadata")
"""What a core Service target has no use for. Of the rest `appProtocol` tells routers what is spoken, and `apex` describes the route."""


def service_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Everything that is wrong with the generated Services and the route."""
    service = canary.spec.service
    if service is None:
        if not canary.spec.target_ref.is_knative:
            yield invalid(_PATH, None, "is required, except for a Knative target", "GAP-39")
        return
    provider = effective.provider(canary, context.provider)
    yield from _name_problems(canary, service)
    if canary.spec.target_ref.is_core_service:
        yield from _copied_service_problems(canary, service)
    yield from _port_problems(service)
    if service.delegation and (service.hosts or service.gateways):
        yield invalid(f"{_PATH}.delegation", value=True, message="needs an empty list of hosts and of gateways", rule="GAP-43")
    for index, host in enumerate(service.hosts):
        if not _HOST.fullmatch(host):
            yield warning(f"{_PATH}.hosts[{index}]", host, "is no host name such as shop.example.com or *.example.com", "GAP-59")
    if service.rewrite and service.rewrite.type not in {"", "ReplaceFullPath", "ReplacePrefixMatch"}:
        message = "means ReplaceFullPath; known are ReplaceFullPath and ReplacePrefixMatch"
        yield warning(f"{_PATH}.rewrite.type", service.rewrite.type, message, "GAP-58")
    yield from _timeout_problems(service, provider)
    yield from _unread_problems(service, provider)


def _name_problems(canary: Canary, service: Service) -> Iterator[Problem]:
    name = effective.apex_name(canary)
    path = f"{_PATH}.name" if service.name else "spec.targetRef.name"
    if name and not (len(name) <= NAME_LIMIT and re.search(DNS_LABEL, name)):
        message = f"must be a DNS label of at most {NAME_LIMIT} characters, so that it names Services and -primary can be added"
        yield invalid(path, name, message, "GAP-41")


def _copied_service_problems(canary: Canary, service: Service) -> Iterator[Problem]:
    """Of a target Service copies are made, under its own name: what describes generated Services has no effect (routers:K8S-19)."""
    target = canary.spec.target_ref.name
    if service.name and service.name != target:
        message = f"must be left out or be {target}: the copies of a target Service have its name, and routes are led to them"
        yield invalid(f"{_PATH}.name", service.name, message, "routers:K8S-19")
    for field in _OF_GENERATED_SERVICES:
        if getattr(service, field):
            alias = type(service).model_fields[field].alias
            yield warning(f"{_PATH}.{alias}", None, "has no effect: the Services are copies of the target", "routers:K8S-19")


def _port_problems(service: Service) -> Iterator[Problem]:
    port = service.target_port
    if isinstance(port, int) and not 0 <= port <= 65535:
        yield invalid(f"{_PATH}.targetPort", port, "must be from 1 to 65535", "GAP-40")
    elif isinstance(port, str) and port not in {"", "0"} and not _is_port_name(port):
        message = "must be a port number or the name of a container port (at most 15 lower-case letters, digits and -)"
        yield invalid(f"{_PATH}.targetPort", port, message, "GAP-40")
    for index, mirror in enumerate(service.mirror):
        backend = mirror.backend_ref
        if not backend.group and backend.kind == "Service" and backend.port is None:
            yield invalid(f"{_PATH}.mirror[{index}].backendRef.port", None, "is required for a core Service", "schema")


def _is_port_name(text: str) -> bool:
    return len(text) <= 15 and bool(re.search(PORT_NAME, text)) and bool(re.search("[a-z]", text))


def _timeout_problems(service: Service, provider: str) -> Iterator[Problem]:
    """Durations that the provider's API refuses (api:GAP-56)."""
    durations = {"timeout": service.timeout, "backendTimeout": service.backend_timeout}
    if service.retries:
        durations["retries.perTryTimeout"] = service.retries.per_try_timeout
    good = True
    for field, text in durations.items():
        if text and (allowed := _why_no_timeout(text, provider)):
            good = False
            yield invalid(f"{_PATH}.{field}", text, allowed, "GAP-56")
    if good and is_gateway_api(provider) and service.timeout and service.backend_timeout:
        limit = parse_duration(service.timeout)
        if limit and parse_duration(service.backend_timeout) > limit:
            message = f"must not be longer than timeout ({service.timeout})"
            yield invalid(f"{_PATH}.backendTimeout", service.backend_timeout, message, "GAP-56")


def _why_no_timeout(text: str, provider: str) -> str:
    if is_gateway_api(provider):
        return (
            ""
            if _GATEWAY_API_DURATION.fullmatch(text)
            else "must be a Gateway API duration such as 15s or 1m30s (h, m, s, ms; no fractions)"
        )
    if text in _CONTOUR_NO_LIMIT and provider in {"contour", ""}:
        return ""
    try:
        return "" if parse_duration(text) >= timedelta() else "must not be negative"
    except ValueError:
        return "must be a duration such as 15s or 1m30s"


def _unread_problems(service: Service, provider: str) -> Iterator[Problem]:
    """Fields that have no effect with this provider. Nothing is said of plug-ins (api:GAP-57)."""
    if traffic_provider(provider) is None:
        return
    for field, readers in _READERS.items():
        if getattr(service, field) and not any(provider == name or provider.startswith(f"{name}:") for name in readers):
            alias = type(service).model_fields[field].alias
            yield warning(f"{_PATH}.{alias}", None, f"has no effect with provider {provider}", "GAP-57")
