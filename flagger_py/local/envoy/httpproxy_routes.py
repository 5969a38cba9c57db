"""The routes of one HTTPProxy, under the conditions of what includes it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.local.envoy.model import (
    Cors,
    Match,
    Mirror,
    PathKind,
    PathMatch,
    Redirect,
    Retry,
    Rewrite,
    Route,
    ValueKind,
    ValueMatch,
    WeightedBackend,
)
from flagger_py.local.envoy.translation import RoutingObjects, duration_seconds, header_policy, namespace_of, take_host
from flagger_py.objects.resource import Manifest

EVERY_PATH: Final = PathMatch(PathKind.STRING_PREFIX, "/")


class InvalidProxy(ValueError):
    """Contour would refuse this HTTPProxy; the message is its status' error."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a route and of all inclusions above it: prefixes are joined, all others must hold together."""

    path: PathMatch = EVERY_PATH
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()

    def joined(self, below: "Conditions") -> "Conditions":
        value = self.path.value.rstrip("/") + below.path.value
        return Conditions(PathMatch(below.path.kind, value), self.headers + below.headers, self.query + below.query)


def conditions_of(entries: Iterable[Mapping[str, Any]]) -> Conditions:
    """A list of conditions, all of which must hold. Raises `InvalidProxy` where it has several paths or an unclear header."""
    paths: list[PathMatch] = []
    headers: list[ValueMatch] = []
    query: list[ValueMatch] = []
    for entry in entries:
        paths += _paths(entry)
        if header := entry.get("header"):
            headers.append(_value_match(header))
        if parameter := entry.get("queryParameter"):
            query.append(_value_match(parameter))
    if len(paths) > 1:
        msg = "more than one prefix, exact or regex condition is not allowed in a condition block"
        raise InvalidProxy(msg)
    path = paths[0] if paths else EVERY_PATH
    return Conditions(path, tuple(headers), tuple(query))


def _paths(entry: Mapping[str, Any]) -> list[PathMatch]:
    kinds = {"prefix": PathKind.STRING_PREFIX, "exact": PathKind.EXACT, "regex": PathKind.REGEX}
    paths = [PathMatch(kind, entry[name]) for name, kind in kinds.items() if entry.get(name)]
    for path in paths:
        if path.kind is not PathKind.REGEX and not path.value.startswith("/"):
            msg = f"path conditions must start with /, {path.value} was supplied"
            raise InvalidProxy(msg)
    return paths


_OPERATORS: Mapping[str, tuple[ValueKind, bool]] = {
    "exact": (ValueKind.EXACT, False),
    "notexact": (ValueKind.EXACT, True),
    "contains": (ValueKind.CONTAINS, False),
    "notcontains": (ValueKind.CONTAINS, True),
    "regex": (ValueKind.REGEX, False),
    "prefix": (ValueKind.PREFIX, False),
    "suffix": (ValueKind.SUFFIX, False),
    "present": (ValueKind.PRESENT, False),
    "notpresent": (ValueKind.PRESENT, True),
}


def _value_match(entry: Mapping[str, Any]) -> ValueMatch:
    operators = [name for name in _OPERATORS if entry.get(name)]
    if len(operators) != 1:
        msg = f"condition on {entry.get('name')!r} needs exactly one of {', '.join(_OPERATORS)}"
        raise InvalidProxy(msg)
    kind, inverted = _OPERATORS[operators[0]]
    value = "" if kind is ValueKind.PRESENT else entry[operators[0]]
    return ValueMatch(entry["name"], kind, value, inverted, bool(entry.get("ignoreCase")))


def routes_of(proxy: Manifest, above: Conditions, objects: RoutingObjects) -> tuple[list[Route], list[str]]:
    """The routes and what is wrong with their services. Raises `ValueError` where a field cannot be understood."""
    translator = _RouteTranslator(proxy, above, objects)
    routes = [translator.route(index, entry) for index, entry in enumerate(proxy["spec"].get("routes") or [])]
    return routes, translator.problems


@dataclass(slots=True)
class _RouteTranslator:
    proxy: Manifest
    above: Conditions
    objects: RoutingObjects
    problems: list[str] = field(default_factory=list)

    def route(self, index: int, entry: Mapping[str, Any]) -> Route:
        conditions = self.above.joined(conditions_of(entry.get("conditions") or []))
        request, host = take_host(header_policy(entry.get("requestHeadersPolicy")))
        timeouts = entry.get("timeoutPolicy") or {}
        services = entry.get("services") or []
        return Route(
            Match(conditions.path, None, conditions.headers, conditions.query),
            f"HTTPProxy/{namespace_of(self.proxy)}/{self.proxy['metadata']['name']}/{index}",
            self._backends([service for service in services if not service.get("mirror")]),
            request,
            header_policy(entry.get("responseHeadersPolicy")),
            _rewrite(entry, conditions.path, host),
            _redirect(entry.get("requestRedirectPolicy")),
            (entry.get("directResponsePolicy") or {}).get("statusCode"),
            self._mirrors([service for service in services if service.get("mirror")]),
            None,
            _timeout(timeouts.get("response")),
            _timeout(timeouts.get("idle")),
            _retry(entry.get("retryPolicy")),
        )

    def _backends(self, services: list[Mapping[str, Any]]) -> tuple[WeightedBackend, ...]:
        """Where no service has a weight, all share alike."""
        equal = not any(service.get("weight") for service in services)
        return tuple(self._weighted(service, 1 if equal else service.get("weight", 0)) for service in services)

    def _weighted(self, service: Mapping[str, Any], weight: int) -> WeightedBackend:
        request, host = take_host(header_policy(service.get("requestHeadersPolicy")))
        backend = self.objects.backend(namespace_of(self.proxy), service["name"], service["port"])
        if backend is None:
            name = f"{namespace_of(self.proxy)}/{service['name']}"
            self.problems.append(f'Spec.Routes unresolved service reference: service "{name}" port {service["port"]} not found')
        return WeightedBackend(backend, weight, request, header_policy(service.get("responseHeadersPolicy")), host)

    def _mirrors(self, services: list[Mapping[str, Any]]) -> tuple[Mirror, ...]:
        mirrors = ((self._weighted(service, 0).backend, service.get("weight") or 100) for service in services)
        return tuple(Mirror(backend, percent) for backend, percent in mirrors if backend is not None)


def _rewrite(entry: Mapping[str, Any], path: PathMatch, host: str) -> Rewrite | None:
    """The replacement of the prefix that matched; one without `prefix` holds for every prefix."""
    replacements = (entry.get("pathRewritePolicy") or {}).get("replacePrefix") or []
    chosen = [item["replacement"] for item in replacements if item.get("prefix") in (None, "", path.value)]
    if not chosen and not host:
        return None
    return Rewrite(host, None, chosen[0] if chosen else None)


def _redirect(policy: Mapping[str, Any] | None) -> Redirect | None:
    if not policy:
        return None
    return Redirect(
        policy.get("scheme", ""),
        policy.get("hostname", ""),
        policy.get("port", 0),
        policy.get("path"),
        policy.get("prefix"),
        policy.get("statusCode", 302),
    )


def _timeout(text: str | None) -> float | None:
    if not text:
        return None
    return 0.0 if text in ("infinity", "infinite") else duration_seconds(text)


def _retry(policy: Mapping[str, Any] | None) -> Retry | None:
    """Contour's defaults: one retry, on `5xx`; a count of -1 disables retries."""
    if not policy:
        return None
    count = policy.get("count", 1)
    if count < 0:
        return None
    per_try = duration_seconds(policy["perTryTimeout"]) if policy.get("perTryTimeout") else 0.0
    return Retry(count or 1, tuple(policy.get("retryOn") or ("5xx",)), per_try, tuple(policy.get("retriableStatusCodes") or ()))


def cors_of(policy: Mapping[str, Any] | None) -> Cors | None:
    """The CORS policy of a virtual host."""
    if not policy:
        return None
    origins = tuple(_origin(origin) for origin in policy["allowOrigin"])
    return Cors(
        origins,
        tuple(policy.get("allowMethods") or ()),
        tuple(policy.get("allowHeaders") or ()),
        tuple(policy.get("exposeHeaders") or ()),
        bool(policy.get("allowCredentials")),
        int(duration_seconds(policy["maxAge"])) if policy.get("maxAge") else 0,
    )


def _origin(origin: str) -> ValueMatch:
    return ValueMatch("origin", ValueKind.REGEX, ".*") if origin == "*" else ValueMatch("origin", ValueKind.EXACT, origin)
