"""From the Canary's match conditions to HTTPRoute matches; what has no exact counterpart is refused (routers:GW-06, GW-22)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.matches import HeaderMatch, HttpMatch, StringMatch
from flagger_py.routers.backends import service_of
from flagger_py.routers.branches import Branch, analysis_of
from flagger_py.routers.cookies import COOKIE, cookie_pattern
from flagger_py.routers.refusal import refusal

Match = dict[str, Any]

EVERY_PATH = {"type": "PathPrefix", "value": "/"}

_WITHOUT_COUNTERPART = (
    "scheme",
    "authority",
    "port",
    "source_labels",
    "source_namespace",
    "gateways",
    "without_headers",
    "ignore_uri_case",
)
_CAN_MATCH = "HTTPRoute can match uri, method.exact, headers and queryParams"


def branch_matches(canary: Canary, branch: Branch) -> list[Match]:
    """The matches of one branch: those of `service.match`, narrowed to the users or the cookie of the branch (routers:GW-21)."""
    service = _service_matches(canary)
    if branch.cookie:
        cookie = {"headers": [{"type": "RegularExpression", "name": COOKIE, "value": cookie_pattern(branch.cookie)}]}
        return [_both(canary, cookie, match, "analysis.sessionAffinity") for match in service]
    if branch.users:
        return [_both(canary, users, match, path) for path, users in _user_matches(canary) for match in service]
    return service


def _service_matches(canary: Canary) -> list[Match]:
    """Never empty: no condition means every path (routers:GW-05)."""
    matches = [_http_match(canary, match, f"service.match[{index}]") for index, match in enumerate(service_of(canary).match)]
    return matches or [{"path": dict(EVERY_PATH)}]


def _user_matches(canary: Canary) -> list[tuple[str, Match]]:
    found = []
    for index, users in enumerate(analysis_of(canary).match):
        path = f"analysis.match[{index}]"
        if users.source_labels:
            raise refusal(canary, f"{path}.sourceLabels", users.source_labels, "HTTPRoute can match users by headers and queryParams")
        conditions = {
            "headers": _conditions(canary, users.headers, f"{path}.headers"),
            "queryParams": _conditions(canary, users.query_params, f"{path}.queryParams"),
        }
        found.append((path, {key: value for key, value in conditions.items() if value}))
    return found


def _http_match(canary: Canary, match: HttpMatch, path: str) -> Match:
    for field in _WITHOUT_COUNTERPART:
        if value := getattr(match, field):
            raise refusal(canary, f"{path}.{type(match).model_fields[field].alias or field}", value, _CAN_MATCH)
    mapped: Match = {"path": _path(canary, match.uri, f"{path}.uri")}
    if match.method is not None:
        if match.method.exact is None:
            raise refusal(canary, f"{path}.method", match.method, "HTTPRoute can match a method by exact only")
        mapped["method"] = match.method.exact
    if match.headers:
        mapped["headers"] = _conditions(canary, match.headers, f"{path}.headers")
    if match.query_params:
        mapped["queryParams"] = _conditions(canary, match.query_params, f"{path}.queryParams")
    return mapped


def _path(canary: Canary, uri: StringMatch | None, path: str) -> dict[str, str]:
    """The server's default where no uri is asked for, so that it is no drift later (routers:GW-B2)."""
    if uri is None:
        return dict(EVERY_PATH)
    kinds = {"RegularExpression": uri.regex, "Exact": uri.exact, "PathPrefix": uri.prefix}
    for kind, value in kinds.items():
        if value is not None:
            return {"type": kind, "value": value}
    raise refusal(canary, path, uri, "HTTPRoute can match a path by exact, prefix or regex")


def _conditions(canary: Canary, conditions: Mapping[str, StringMatch | HeaderMatch] | None, path: str) -> list[dict[str, str]]:
    """Conditions on headers or query parameters, sorted by name (routers:GW-B1)."""
    return [_condition(canary, name, value, f"{path}[{name}]") for name, value in sorted((conditions or {}).items())]


def _condition(canary: Canary, name: str, match: StringMatch | HeaderMatch, path: str) -> dict[str, str]:
    if match.exact is not None:
        return {"type": "Exact", "name": name, "value": match.exact}
    if match.regex is not None:
        return {"type": "RegularExpression", "name": name, "value": match.regex}
    raise refusal(canary, path, match, "HTTPRoute can compare by exact or regex")


def _both(canary: Canary, narrow: Match, service: Match, path: str) -> Match:
    """Requests that meet both; path and method are the service's (routers:GW-21)."""
    merged = deepcopy(service)
    for kind in ("headers", "queryParams"):
        if kind in narrow:
            merged[kind] = _union(canary, narrow[kind], service.get(kind, []), f"{path}.{kind}")
    return merged


def _union(canary: Canary, narrow: list[dict[str, str]], service: list[dict[str, str]], path: str) -> list[dict[str, str]]:
    """HTTPRoute looks only at the first of two conditions with one name, so a second, different one is refused."""
    by_name = {_key(path, condition["name"]): condition for condition in service}
    for condition in narrow:
        other = by_name.setdefault(_key(path, condition["name"]), dict(condition))
        if other != condition:
            allowed = f"service.match compares {condition['name']} too, with {other['value']!r}; HTTPRoute can compare it once"
            raise refusal(canary, path, condition["value"], allowed)
    return sorted(by_name.values(), key=lambda condition: condition["name"])


def _key(path: str, name: str) -> str:
    """Header names differ not by case, names of query parameters do."""
    return name if path.endswith("queryParams") else name.lower()
