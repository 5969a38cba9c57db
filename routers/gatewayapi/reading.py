"""Reading an HTTPRoute: its weights, and whether its parents have taken it over (routers:GW-15, GW-16, GW-18)."""

from collections.abc import Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.routers.backends import Backends, percentages, service_of
from flagger_py.routers.branches import analysis_of
from flagger_py.routers.gatewayapi.defaults import normal_parent
from flagger_py.routers.gatewayapi.filters import mirrors_to
from flagger_py.routers.gatewayapi.rules import is_ours


def read_routes(canary: Canary, ref: Ref, route: Manifest) -> Routes | Pending:
    """The weights of the last rule that splits; a rule that sets cookies is the one that splits, others pin their holders."""
    backends = Backends.of(canary)
    ours = [rule for rule in (route.get("spec") or {}).get("rules") or [] if is_ours(rule, backends)]
    rules = [rule for rule in ours if _splits(rule, backends)]
    candidates = [rule for rule in rules if any(backend.get("filters") for backend in rule["backendRefs"])] or rules
    if not candidates:
        return Pending(f"{ref} does not route to {backends.primary} and {backends.canary} yet")
    rule = candidates[-1]
    primary, weight = percentages(ref, "spec.rules", _weight(rule, backends.primary), _weight(rule, backends.canary))
    static_mirrors = sum(1 for mirror in service_of(canary).mirror if mirror.backend_ref.name == backends.canary)
    is_mirrored = any(mirrors_to(rule, backends.canary) > static_mirrors for rule in rules)
    is_rest_kept = len(rules) < len(ours)
    everyone = bool(analysis_of(canary).match) and weight > 0 and not is_rest_kept
    return Routes(primary, weight, mirrored=is_mirrored and not weight, everyone=everyone)


def not_accepted(ref: Ref, route: Manifest) -> str:
    """The first parent that has not accepted this generation, empty where all have. No status or generation counts as accepted (GW-15)."""
    wanted = [normal_parent(parent, ref.namespace) for parent in (route.get("spec") or {}).get("parentRefs") or []]
    for parent in (route.get("status") or {}).get("parents") or []:
        if normal_parent(parent.get("parentRef") or {}, ref.namespace) in wanted:
            for condition in parent.get("conditions") or []:
                if condition.get("type") == "Accepted" and (reason := _objection(condition, route)):
                    return f"{ref}: parent {parent['parentRef'].get('name')} {reason}"
    return ""


def _objection(condition: Mapping[str, Any], route: Manifest) -> str:
    observed = condition.get("observedGeneration") or 0
    generation = route["metadata"].get("generation") or 0
    if observed and observed < generation:
        return f"has not seen generation {generation} yet (it is at {observed})"
    if condition.get("status") != "True":
        return f"does not accept the route: {condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _splits(rule: Mapping[str, Any], backends: Backends) -> bool:
    return {backends.primary, backends.canary} <= {backend.get("name") for backend in rule["backendRefs"]}


def _weight(rule: Mapping[str, Any], name: str) -> int:
    return sum(backend.get("weight", 1) for backend in rule["backendRefs"] if backend.get("name") == name)
