"""From `spec.service` to HTTPRoute filters and time-outs (routers:GW-07 to GW-12)."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.durations import parse_duration
from flagger_py.api.service import CorsPolicy, HeaderOperations
from flagger_py.routers.backends import Backends, service_of
from flagger_py.routers.branches import Branch
from flagger_py.routers.cookies import SET_COOKIE
from flagger_py.routers.refusal import refusal

Filter = dict[str, Any]

MANAGED_TYPES = frozenset({"RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite", "RequestMirror", "CORS"})
"""Filters of other types are the user's and stay (routers:GW-B4)."""

_GATEWAY_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_DAYS = re.compile(r"([0-9]+)d")


def branch_filters(canary: Canary, branch: Branch, *, cors: bool) -> list[Filter]:
    """The filters of a rule in Flagger's order: headers, rewrite, static mirrors, CORS, the mirror of the analysis (routers:GW-07)."""
    return [
        *_header_filters(canary, branch.set_cookie),
        *_rewrite(canary),
        *_mirrors(canary),
        *(_cors(canary) if cors else ()),
        *([_mirror_to_canary(canary)] if branch.mirrored else ()),
    ]


def set_cookie_filters(value: str) -> list[Filter]:
    """What a backend adds to its answers."""
    return [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": SET_COOKIE, "value": value}]}}]


def timeouts(canary: Canary) -> dict[str, str]:
    """Time-outs, as they were written (routers:GW-12); Gateway API knows whole numbers of h, m, s and ms."""
    service = service_of(canary)
    wanted = {"request": ("timeout", service.timeout), "backendRequest": ("backendTimeout", service.backend_timeout)}
    for field, value in wanted.values():
        if value and not _GATEWAY_DURATION.fullmatch(value):
            raise refusal(canary, f"service.{field}", value, "must be a Gateway API duration such as 15s, 1m30s or 500ms")
    return {key: value for key, (_, value) in wanted.items() if value}


def mirrors_to(rule: Mapping[str, Any], name: str) -> int:
    """How many mirrors a rule has to the Service of this name."""
    filters = rule.get("filters") or []
    return sum(1 for item in filters if (item.get("requestMirror") or {}).get("backendRef", {}).get("name") == name)


def replaces_prefix(canary: Canary) -> bool:
    """Whether the rewrite needs one PathPrefix match per rule (routers:GW-27)."""
    rewrite = service_of(canary).rewrite
    return rewrite is not None and bool(rewrite.uri) and rewrite.type == "ReplacePrefixMatch"


def _header_filters(canary: Canary, set_cookie: str) -> list[Filter]:
    """At most one per direction: a rule must not repeat them (routers:GW-08, GW-26)."""
    headers = service_of(canary).headers
    request = headers.request if headers else None
    response = headers.response if headers else None
    if set_cookie:
        response = response or HeaderOperations()
        response = response.model_copy(update={"add": {**response.add, SET_COOKIE: set_cookie}})
    found = []
    if request is not None:
        found.append({"type": "RequestHeaderModifier", "requestHeaderModifier": _operations(request)})
    if response is not None:
        found.append({"type": "ResponseHeaderModifier", "responseHeaderModifier": _operations(response)})
    return found


def _operations(operations: HeaderOperations) -> dict[str, Any]:
    mapped: dict[str, Any] = {
        "add": [{"name": name, "value": value} for name, value in sorted(operations.add.items())],
        "set": [{"name": name, "value": value} for name, value in sorted(operations.set.items())],
        "remove": list(operations.remove),
    }
    return {key: value for key, value in mapped.items() if value}


def _rewrite(canary: Canary) -> list[Filter]:
    rewrite = service_of(canary).rewrite
    if rewrite is None or not (rewrite.uri or rewrite.authority):
        return []
    mapped: dict[str, Any] = {"hostname": rewrite.authority} if rewrite.authority else {}
    if rewrite.uri and replaces_prefix(canary):
        mapped["path"] = {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewrite.uri}
    elif rewrite.uri:
        mapped["path"] = {"type": "ReplaceFullPath", "replaceFullPath": rewrite.uri}
    return [{"type": "URLRewrite", "urlRewrite": mapped}]


def _mirrors(canary: Canary) -> list[Filter]:
    return [
        {"type": "RequestMirror", "requestMirror": {"backendRef": {"group": "", "kind": "Service", **mirror.backend_ref.to_manifest()}}}
        for mirror in service_of(canary).mirror
    ]


def _mirror_to_canary(canary: Canary) -> Filter:
    backends = Backends.of(canary)
    backend = {"group": "", "kind": "Service", "name": backends.canary, "port": backends.port}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": backend}}


def _cors(canary: Canary) -> list[Filter]:
    policy = service_of(canary).cors_policy
    if policy is None:
        return []
    mapped: dict[str, Any] = {
        "allowOrigins": _origins(canary, policy),
        "allowMethods": list(policy.allow_methods),
        "allowHeaders": list(policy.allow_headers),
        "exposeHeaders": list(policy.expose_headers),
        "allowCredentials": policy.allow_credentials,
        "maxAge": _max_age(canary, policy.max_age),
    }
    return [{"type": "CORS", "cors": {key: value for key, value in mapped.items() if value}}]


def _origins(canary: Canary, policy: CorsPolicy) -> list[str]:
    """The old list and the exact entries of the new one (routers:GW-11)."""
    origins = list(policy.allow_origin)
    for index, origin in enumerate(policy.allow_origins):
        if origin.exact is None:
            path = f"service.corsPolicy.allowOrigins[{index}]"
            raise refusal(canary, path, origin, "HTTPRoute can allow an origin by exact only")
        if origin.exact not in origins:
            origins.append(origin.exact)
    return origins


def _max_age(canary: Canary, text: str) -> int | None:
    """In whole seconds; days are understood too (routers:GW-B3)."""
    if not text:
        return None
    days = _DAYS.fullmatch(text)
    try:
        seconds = int((timedelta(days=int(days[1])) if days else parse_duration(text)).total_seconds())
    except (ValueError, OverflowError):
        seconds = 0
    if seconds < 1:
        raise refusal(canary, "service.corsPolicy.maxAge", text, "must be a duration of at least 1s, such as 10m, 24h or 1d")
    return seconds
