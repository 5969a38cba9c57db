"""VirtualService and DestinationRule in the form that is compared: zeros that mean "not said" are left out (routers:IST-08, IST-10)."""

from collections.abc import Mapping
from typing import Any

from flagger_py.routers.cookies import COOKIE, SET_COOKIE, normal_pattern, normal_set_cookie

_ZERO_HAS_MEANING = frozenset(
    {"attempts", "value", "enabled", "consecutive5xxErrors", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures"}
)
"""Fields where 0 or false differs from absent; Flagger loses them (routers:CTR-09)."""


def normal_virtual_service(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The whole spec; keys that are not named here stay as they are."""
    return {
        **spec,
        "hosts": sorted(spec.get("hosts") or []),
        "gateways": sorted(spec.get("gateways") or []),
        "http": [_http(rule) for rule in spec.get("http") or []],
        "tcp": [_routes(rule) for rule in spec.get("tcp") or []],
    }


def without_zero(value: Any) -> Any:
    """The value without members that are 0 or false, which protobuf does not tell from absent."""
    if isinstance(value, Mapping):
        return {key: without_zero(item) for key, item in value.items() if key in _ZERO_HAS_MEANING or item not in (0, False)}
    return [without_zero(item) for item in value] if isinstance(value, list) else value


def _http(rule: Mapping[str, Any]) -> dict[str, Any]:
    normal: dict[str, Any] = without_zero(_routes(rule))
    normal["match"] = [_match(match) for match in normal.get("match") or []]
    normal["headers"] = _headers(normal.get("headers") or {})
    normal["route"] = [{**item, "headers": _headers(item.get("headers") or {})} for item in normal.get("route") or []]
    return normal


def _routes(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The weight of a lone destination means nothing: it gets everything (routers:IST-18)."""
    route = rule.get("route") or []
    if len(route) == 1:
        route = [{key: value for key, value in route[0].items() if key != "weight"}]
    return {**rule, "route": route}


def _match(match: Mapping[str, Any]) -> dict[str, Any]:
    normal = dict(match)
    for field in ("headers", "withoutHeaders", "queryParams"):
        normal[field] = {name: _condition(name, value) for name, value in (match.get(field) or {}).items()}
    return normal


def _condition(name: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """An empty condition asks for presence, which is not the same as no condition; Flagger's cookie pattern means ours (SA-14)."""
    if not value:
        return {"present": True}
    return {"regex": normal_pattern(value["regex"])} if name == COOKIE and "regex" in value else value


def _headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    added = (headers.get("response") or {}).get("add") or {}
    if SET_COOKIE not in added:
        return dict(headers)
    response = {**headers["response"], "add": {**added, SET_COOKIE: normal_set_cookie(added[SET_COOKIE])}}
    return {**headers, "response": response}
