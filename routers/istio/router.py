"""Provider `istio`: a VirtualService named as the apex Service, and a DestinationRule for each version (routers:IST)."""

from collections.abc import Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.objects.resource import Manifest, Ref, Resource
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.routers.backends import Backends, percentages, service_of
from flagger_py.routers.base import Watched
from flagger_py.routers.branches import analysis_of
from flagger_py.routers.istio.defaults import normal_virtual_service, without_zero
from flagger_py.routers.istio.rules import is_ours, is_tcp, render_protocols
from flagger_py.routers.manifest import Live, ManifestRouter
from flagger_py.routers.ownership import draft, set_apex_metadata
from flagger_py.routers.refusal import refusal

GROUP = "networking.istio.io"
VIRTUAL_SERVICE = Resource(GROUP, "v1beta1", "virtualservices", "VirtualService")
DESTINATION_RULE = Resource(GROUP, "v1beta1", "destinationrules", "DestinationRule")


class IstioRouter(ManifestRouter):
    """Requests, or connections where `service.appProtocol` is `tcp`."""

    @classmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        return Watched(VIRTUAL_SERVICE), Watched(DESTINATION_RULE)

    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities(
            weights=True,
            header_match=frozenset(MatchKind),
            query_match=frozenset({MatchKind.EXACT, MatchKind.PREFIX, MatchKind.REGEX}),
            source_label_match=True,
            mirror_weighted=True,
            mirror_iterations=True,
            mirror_percent=True,
            session_affinity=True,
            primary_cookie=True,
        )

    def routing_objects(self, canary: Canary) -> tuple[Ref, ...]:
        backends = Backends.of(canary)
        rules = (Ref(DESTINATION_RULE, backends.namespace, name) for name in (backends.canary, backends.primary))
        return *rules, backends.route(VIRTUAL_SERVICE)

    def read(self, canary: Canary, live: Live) -> Routes | Pending:
        backends = Backends.of(canary)
        ref = backends.route(VIRTUAL_SERVICE)
        if ref not in live:
            return Pending(f"{ref} does not exist yet")
        protocol = "tcp" if is_tcp(service_of(canary)) else "http"
        ours = [rule for rule in (live[ref].get("spec") or {}).get(protocol) or [] if is_ours(rule, backends)]
        rules = [rule for rule in ours if backends.canary in _weights(rule)]
        if not rules:
            return Pending(f"{ref} does not route to {backends.canary} yet")
        weights = _weights(rules[-1])
        primary, weight = percentages(ref, f"spec.{protocol}", weights.get(backends.primary, 0), weights[backends.canary])
        is_mirrored = any((rule.get("mirror") or {}).get("host") == backends.canary for rule in rules)
        everyone = bool(analysis_of(canary).match) and weight > 0 and len(rules) == len(ours)
        return Routes(primary, weight, mirrored=is_mirrored and not weight, everyone=everyone)

    def render(self, canary: Canary, traffic: Traffic, live: Live) -> dict[Ref, Manifest]:
        *rules, ref = self.routing_objects(canary)
        service = draft(canary, ref, live, self.settings)
        set_apex_metadata(service, canary, self.settings)
        service["spec"] = _virtual_service(canary, traffic, service.get("spec") or {})
        return {**{rule: self._destination_rule(canary, rule, live) for rule in rules}, ref: service}

    def leads_users(self, ref: Ref) -> bool:
        return ref.resource == VIRTUAL_SERVICE

    def normalise(self, ref: Ref, spec: Any) -> Any:
        return normal_virtual_service(spec) if ref.resource == VIRTUAL_SERVICE else without_zero(spec)

    def _destination_rule(self, canary: Canary, ref: Ref, live: Live) -> Manifest:
        """Host and traffic policy are ours; subsets and the like stay (routers:IST-02)."""
        rule = draft(canary, ref, live, self.settings)
        policy = service_of(canary).traffic_policy
        spec = {key: value for key, value in (rule.get("spec") or {}).items() if key != "trafficPolicy"}
        rule["spec"] = {**spec, "host": ref.name, **({"trafficPolicy": policy.to_manifest()} if policy else {})}
        return rule


def _virtual_service(canary: Canary, traffic: Traffic, live: Mapping[str, Any]) -> dict[str, Any]:
    spec = {key: value for key, value in live.items() if key not in ("hosts", "gateways", "http", "tcp")}
    return {**spec, **_exposure(canary), **render_protocols(canary, traffic, live)}


def _exposure(canary: Canary) -> dict[str, Any]:
    """Hosts and gateways; a delegate has neither (routers:IST-04 to IST-06)."""
    service = service_of(canary)
    if service.delegation:
        for field, value in (("hosts", service.hosts), ("gateways", service.gateways)):
            if value:
                raise refusal(canary, f"service.{field}", list(value), "must be empty where service.delegation is true")
        return {"hosts": []}
    apex = Backends.of(canary).apex
    hosts = list(service.hosts)
    if not {apex, "*"} & set(hosts):
        hosts.append(apex)
    return {"hosts": hosts, "gateways": list(service.gateways) or ["mesh"]}


def _weights(rule: Mapping[str, Any]) -> dict[str, int]:
    """Weights by host; an absent weight is 0 (routers:IST-16)."""
    return {destination["destination"]["host"]: destination.get("weight") or 0 for destination in rule.get("route") or []}
