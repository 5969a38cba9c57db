"""The rules of an HTTPRoute: ours from the branches of the traffic, and those of others, which stay where they are (routers:GW-B4)."""

from collections.abc import Mapping
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.rollout.traffic import Traffic
from flagger_py.routers.backends import Backends
from flagger_py.routers.branches import Branch, branches
from flagger_py.routers.gatewayapi.features import Features
from flagger_py.routers.gatewayapi.filters import MANAGED_TYPES, branch_filters, replaces_prefix, set_cookie_filters, timeouts
from flagger_py.routers.gatewayapi.matches import Match, branch_matches
from flagger_py.routers.refusal import refusal

Rule = dict[str, Any]

MAX_RULES = 16
_MANAGED = frozenset({"matches", "filters", "backendRefs", "timeouts"})
_MANAGED_BACKEND = frozenset({"group", "kind", "name", "namespace", "port", "weight", "filters"})


def is_ours(rule: Mapping[str, Any], backends: Backends) -> bool:
    """Whether a rule sends to nothing but our Services."""
    refs = rule.get("backendRefs") or []
    return bool(refs) and all(
        ref.get("name") in backends.names
        and (ref.get("kind") or "Service") == "Service"
        and (ref.get("namespace") or backends.namespace) == backends.namespace
        for ref in refs
    )


def render_rules(canary: Canary, traffic: Traffic, live: list[Rule], features: Features) -> list[Rule]:
    """All rules: ours in the place of our first, else in front, because the first of two equal matches wins."""
    backends = Backends.of(canary)
    ours = [rule for rule in live if is_ours(rule, backends)]
    at = live.index(ours[0]) if ours else 0
    written = _own_rules(canary, traffic, ours, features)
    others_before = live[:at]
    others_after = [rule for rule in live[at:] if not is_ours(rule, backends)]
    rules = [*others_before, *written, *others_after]
    if len(rules) > MAX_RULES:
        raise refusal(canary, "service.match", len(rules), f"rules would be needed; an HTTPRoute holds at most {MAX_RULES}")
    return rules


def _own_rules(canary: Canary, traffic: Traffic, ours: list[Rule], features: Features) -> list[Rule]:
    rules = [
        {**_kept(ours, features), **_rule(canary, branch, matches, ours, features)}
        for branch in branches(canary, traffic, primary_cookie=features.primary_cookie)
        for matches in _match_groups(canary, branch_matches(canary, branch))
    ]
    if name := next((rule["name"] for rule in ours if rule.get("name")), None):
        rules[0]["name"] = name
    return rules


def _rule(canary: Canary, branch: Branch, matches: list[Match], ours: list[Rule], features: Features) -> Rule:
    rule: Rule = {"matches": matches, "backendRefs": _backend_refs(canary, branch, ours)}
    filters = [*branch_filters(canary, branch, cors=features.cors), *_kept_filters(ours, features)]
    if filters:
        rule["filters"] = filters
    if features.timeouts and (limits := timeouts(canary)):
        rule["timeouts"] = limits
    return rule


def _match_groups(canary: Canary, matches: list[Match]) -> list[list[Match]]:
    """One rule for all matches, or one for each where a prefix is replaced (routers:GW-27)."""
    if not replaces_prefix(canary):
        return [matches]
    for match in matches:
        if match["path"]["type"] != "PathPrefix":
            allowed = "replaces the prefix of a path, so each service.match needs uri.prefix"
            raise refusal(canary, "service.rewrite.type", "ReplacePrefixMatch", allowed)
    return [[match] for match in matches]


def _backend_refs(canary: Canary, branch: Branch, ours: list[Rule]) -> list[dict[str, Any]]:
    backends = Backends.of(canary)
    targets = [(backends.primary, branch.primary, branch.primary_set_cookie)]
    if not branch.is_rest:
        targets.append((backends.canary, branch.canary, branch.canary_set_cookie))
    refs = []
    for name, weight, set_cookie in targets:
        ref = {"group": "", "kind": "Service", "name": name, "port": backends.port, "weight": weight, **_kept_of_backend(ours, name)}
        if set_cookie:
            ref["filters"] = set_cookie_filters(set_cookie)
        refs.append(ref)
    return refs


def _kept(ours: list[Rule], features: Features) -> Rule:
    """What users added to our rules (a retry, session persistence), so that a rewritten rule has it still."""
    managed = _MANAGED if features.timeouts else _MANAGED - {"timeouts"}
    kept: Rule = {}
    for rule in ours:
        kept |= {key: value for key, value in rule.items() if key not in managed and key != "name"}
    return kept


def _kept_filters(ours: list[Rule], features: Features) -> list[dict[str, Any]]:
    managed = MANAGED_TYPES if features.cors else MANAGED_TYPES - {"CORS"}
    kept: list[dict[str, Any]] = []
    for rule in ours:
        kept += [item for item in rule.get("filters") or [] if item.get("type") not in managed and item not in kept]
    return kept


def _kept_of_backend(ours: list[Rule], name: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for ref in (ref for rule in ours for ref in rule["backendRefs"] if ref.get("name") == name):
        kept |= {key: value for key, value in ref.items() if key not in _MANAGED_BACKEND}
    return kept
