"""From the Canary's match conditions to those of a VirtualService; conditions that meet are ANDed or refused (routers:IST-19, IST-20)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.matches import HeaderMatch, UserMatch
from flagger_py.routers.backends import service_of
from flagger_py.routers.branches import Branch, analysis_of
from flagger_py.routers.cookies import COOKIE, cookie_pattern, escaped
from flagger_py.routers.refusal import refusal

Match = dict[str, Any]

_CONNECTION_FIELDS = frozenset({"port", "sourceLabels", "gateways", "sourceNamespace"})


def branch_matches(canary: Canary, branch: Branch) -> list[Match]:
    """The matches of one branch: those of `service.match`, narrowed to its users or its cookie; empty where everything matches."""
    service = [match.to_manifest() for match in service_of(canary).match]
    if branch.cookie:
        cookie = {"headers": {COOKIE: {"regex": cookie_pattern(branch.cookie)}}}
        return _product(canary, [("analysis.sessionAffinity", cookie)], service)
    if branch.users:
        users = [(f"analysis.match[{index}]", _users(match)) for index, match in enumerate(analysis_of(canary).match)]
        return _product(canary, users, service)
    return service


def tcp_matches(canary: Canary) -> list[Match]:
    """The conditions of `service.match` that hold for connections (routers:IST-13). Raises `RouterError` for those on requests."""
    matches = []
    for index, match in enumerate(service_of(canary).match):
        said = {key: value for key, value in match.to_manifest().items() if value and key != "name"}
        for field in said.keys() - _CONNECTION_FIELDS:
            allowed = "with appProtocol tcp a match can have port, sourceLabels, gateways and sourceNamespace"
            raise refusal(canary, f"service.match[{index}].{field}", said[field], allowed)
        matches.append(said)
    return matches


def _users(match: UserMatch) -> Match:
    conditions: Match = {
        "headers": {name: _header(header) for name, header in (match.headers or {}).items()},
        "queryParams": {name: value.to_manifest() for name, value in (match.query_params or {}).items()},
        "sourceLabels": match.source_labels,
    }
    return {key: value for key, value in conditions.items() if value}


def _header(header: HeaderMatch) -> dict[str, str]:
    """Istio knows no suffix and would drop it, which leaves "any value"; its regex is RE2 over the whole value."""
    return header.to_manifest() if header.suffix is None else {"regex": f".*{escaped(header.suffix)}"}


def _product(canary: Canary, narrow: list[tuple[str, Match]], service: list[Match]) -> list[Match]:
    """Every narrow match with every match of the service, both of which must hold."""
    return [_both(canary, path, conditions, match) for path, conditions in narrow for match in service or [{}]]


def _both(canary: Canary, path: str, narrow: Match, service: Match) -> Match:
    merged = deepcopy(service)
    for field, conditions in narrow.items():
        merged[field] = _union(canary, f"{path}.{field}", conditions, service.get(field) or {})
    return merged


def _union(canary: Canary, path: str, narrow: Mapping[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    """A map holds one condition per name, so two different ones on the same name are refused; header names differ not by case."""
    fold = str.lower if path.endswith("headers") else str
    present = {fold(name): value for name, value in service.items()}
    for name, value in narrow.items():
        if present.get(fold(name), value) != value:
            raise refusal(canary, f"{path}[{name}]", value, f"service.match has another condition on {name}; one can be kept")
    return {**service, **{name: deepcopy(value) for name, value in narrow.items() if fold(name) not in present}}
