"""The spec of an HTTPRoute in the form that is compared (routers:GW-28): with the server's defaults (GW-B2, GW-B3), keyed lists sorted."""

import json
from collections.abc import Mapping
from typing import Any

from flagger_py.routers.cookies import COOKIE, SET_COOKIE, normal_pattern, normal_set_cookie

_GROUP = "gateway.networking.k8s.io"
_CORS_MAX_AGE = 5


def normal_spec(spec: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """The whole spec; keys that are not named here stay as they are."""
    return {
        **spec,
        "parentRefs": _sorted(normal_parent(parent, namespace) for parent in spec.get("parentRefs") or []),
        "hostnames": sorted(spec.get("hostnames") or []),
        "rules": [_rule(rule) for rule in spec.get("rules") or [{}]],
    }


def normal_parent(parent: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """A parent reference with its defaults; the namespace is the route's where none is said."""
    defaults = {"group": _GROUP, "kind": "Gateway", "namespace": namespace}
    return {**defaults, **{key: value for key, value in parent.items() if value is not None}}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **rule,
        "matches": _sorted(_match(match) for match in rule.get("matches") or [{}]),
        "filters": [_filter(item) for item in rule.get("filters") or []],
        "backendRefs": _sorted(_backend(ref) for ref in rule.get("backendRefs") or []),
    }


def _match(match: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **match,
        "path": {"type": "PathPrefix", "value": "/", **(match.get("path") or {})},
        "headers": _by_name(_header(condition) for condition in match.get("headers") or []),
        "queryParams": _by_name({"type": "Exact", **condition} for condition in match.get("queryParams") or []),
    }


def _header(condition: Mapping[str, Any]) -> dict[str, Any]:
    """Flagger's pattern for a session cookie means the same as ours (routers:SA-14)."""
    normal = {"type": "Exact", **condition}
    if normal["type"] == "RegularExpression" and normal.get("name") == COOKIE:
        normal["value"] = normal_pattern(normal.get("value", ""))
    return normal


def _backend(ref: Mapping[str, Any]) -> dict[str, Any]:
    filters = [_filter(item) for item in ref.get("filters") or []]
    return {"group": "", "kind": "Service", "weight": 1, **ref, "filters": filters}


def _filter(item: Mapping[str, Any]) -> dict[str, Any]:
    normal = dict(item)
    for kind in ("requestHeaderModifier", "responseHeaderModifier"):
        if kind in item:
            normal[kind] = {key: _header_values(value) for key, value in item[kind].items()}
    if mirror := item.get("requestMirror"):
        normal["requestMirror"] = {**mirror, "backendRef": {"group": "", "kind": "Service", **mirror.get("backendRef", {})}}
    if "cors" in item:
        normal["cors"] = {"maxAge": _CORS_MAX_AGE, **item["cors"]}
        if not normal["cors"].get("allowCredentials"):
            normal["cors"].pop("allowCredentials", None)
    return normal


def _header_values(values: list[Any]) -> list[Any]:
    """`add` and `set` are keyed by name; `remove` is a list of names."""
    if not all(isinstance(value, Mapping) for value in values):
        return values
    return _by_name({**value, "value": _set_cookie_value(value)} for value in values)


def _set_cookie_value(header: Mapping[str, Any]) -> str:
    value: str = header.get("value", "")
    return normal_set_cookie(value) if header.get("name") == SET_COOKIE else value


def _by_name(items: Any) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: str(item.get("name", "")))


def _sorted(items: Any) -> list[dict[str, Any]]:
    """Lists of which the order has no meaning."""
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
