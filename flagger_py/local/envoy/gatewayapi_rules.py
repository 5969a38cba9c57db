"""The rules of an HTTPRoute as routes. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from flagger_py.local.envoy.model import (
    Backend,
    Cors,
    HeaderChanges,
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

PATHS: Final = {"Exact": PathKind.EXACT, "PathPrefix": PathKind.PREFIX, "RegularExpression": PathKind.REGEX}
VALUES: Final = {"Exact": ValueKind.EXACT, "RegularExpression": ValueKind.REGEX}


class Unsupported(ValueError):
    """A field that this gateway cannot serve; the message names it."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a reference to a backend does not resolve: the reason and message of `ResolvedRefs`."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What an HTTPRoute serves. `reason` and `message` are those of `ResolvedRefs`; `invalid` says why it serves nothing, or is empty."""

    routes: tuple[Route, ...] = ()
    reason: str = "ResolvedRefs"
    message: str = "All references resolve"
    invalid: str = ""

    @classmethod
    def of(cls, route: Manifest, objects: RoutingObjects) -> "Rules":
        translator = _RuleTranslator(route, objects)
        try:
            routes = tuple(translator.routes())
        except ValueError as problem:
            return cls(invalid=str(problem))
        if translator.problems:
            first = translator.problems[0]
            return cls(routes, first.reason, first.message)
        return cls(routes)


class _RuleTranslator:
    def __init__(self, route: Manifest, objects: RoutingObjects) -> None:
        self._route = route
        self._objects = objects
        self._namespace = namespace_of(route)
        self.problems: list[Unresolved] = []

    def routes(self) -> Iterator[Route]:
        for index, rule in enumerate(self._route["spec"].get("rules") or [{}]):
            yield from self._rule(rule, f"HTTPRoute/{self._namespace}/{self._route['metadata']['name']}/{index}")

    def _rule(self, rule: Mapping[str, Any], source: str) -> Iterator[Route]:
        backends = tuple(self._weighted(entry) for entry in rule.get("backendRefs") or ())
        base = Route(Match(), source, backends, timeout=_timeout(rule), retry=_retry(rule.get("retry")))
        base = self._filtered(base, rule.get("filters") or [])
        for match in rule.get("matches") or [{}]:
            yield replace(base, match=_match(match))

    def _filtered(self, route: Route, filters: list[Mapping[str, Any]]) -> Route:
        for entry in filters:
            route = self._filter(route, entry)
        return route

    def _filter(self, route: Route, entry: Mapping[str, Any]) -> Route:
        match entry["type"]:
            case "RequestHeaderModifier":
                changes, host = take_host(header_policy(entry["requestHeaderModifier"]))
                rewrite = replace(route.rewrite or Rewrite(), host=host) if host else route.rewrite
                return replace(route, request=route.request.then(changes), rewrite=rewrite)
            case "ResponseHeaderModifier":
                return replace(route, response=route.response.then(header_policy(entry["responseHeaderModifier"])))
            case "URLRewrite":
                return replace(route, rewrite=_rewrite(entry["urlRewrite"], route.rewrite))
            case "RequestRedirect":
                return replace(route, redirect=_redirect(entry["requestRedirect"]))
            case "RequestMirror":
                return replace(route, mirrors=route.mirrors + self._mirrors(entry["requestMirror"]))
            case "CORS":
                return replace(route, cors=_cors(entry["cors"]))
            case other:
                msg = f"spec.rules[].filters[].type: {other} is not served by the embedded gateway"
                raise Unsupported(msg)

    def _weighted(self, entry: Mapping[str, Any]) -> WeightedBackend:
        request, response, host = HeaderChanges(), HeaderChanges(), ""
        for item in entry.get("filters") or ():
            match item["type"]:
                case "RequestHeaderModifier":
                    changes, host = take_host(header_policy(item["requestHeaderModifier"]))
                    request = request.then(changes)
                case "ResponseHeaderModifier":
                    response = response.then(header_policy(item["responseHeaderModifier"]))
                case other:
                    msg = f"spec.rules[].backendRefs[].filters[].type: {other} is not served by the embedded gateway"
                    raise Unsupported(msg)
        found = self._backend(entry)
        backend = None if isinstance(found, Unresolved) else found
        return WeightedBackend(backend, entry.get("weight", 1), request, response, host)

    def _mirrors(self, entry: Mapping[str, Any]) -> tuple[Mirror, ...]:
        """A mirror whose backend does not resolve mirrors nothing; the condition says so."""
        found = self._backend(entry["backendRef"])
        fraction = entry.get("fraction") or {}
        percent = 100.0 * fraction["numerator"] / fraction.get("denominator", 100) if fraction else entry.get("percent", 100)
        return () if isinstance(found, Unresolved) else (Mirror(found, percent),)

    def _backend(self, entry: Mapping[str, Any]) -> Backend | Unresolved:
        found = self._resolve(entry)
        if isinstance(found, Unresolved):
            self.problems.append(found)
        return found

    def _resolve(self, entry: Mapping[str, Any]) -> Backend | Unresolved:
        kind, group = entry.get("kind", "Service"), entry.get("group", "")
        if (kind, group) != ("Service", ""):
            return Unresolved("InvalidKind", f"backendRef {kind} {entry['name']}: only Services are served")
        namespace = entry.get("namespace") or self._namespace
        if namespace != self._namespace and not self._granted(namespace, entry["name"]):
            return Unresolved("RefNotPermitted", f"Service {namespace}/{entry['name']}: no ReferenceGrant allows it")
        backend = self._objects.backend(namespace, entry["name"], entry.get("port", 0))
        return backend or Unresolved("BackendNotFound", f"Service {namespace}/{entry['name']} port {entry.get('port')} does not exist")

    def _granted(self, namespace: str, service: str) -> bool:
        for grant in self._objects.reference_grants:
            spec = grant["spec"]
            comes = any(entry.get("kind") == "HTTPRoute" and entry.get("namespace") == self._namespace for entry in spec["from"])
            goes = any(entry.get("kind") == "Service" and entry.get("name") in (None, "", service) for entry in spec["to"])
            if namespace_of(grant) == namespace and comes and goes:
                return True
        return False


def _timeout(rule: Mapping[str, Any]) -> float:
    """Without retries one try is the whole request, so the shorter of both bounds holds; none means no limit."""
    timeouts = rule.get("timeouts") or {}
    given = [duration_seconds(timeouts[name]) for name in ("request", "backendRequest") if timeouts.get(name)]
    return min((value for value in given if value), default=0.0)


def _retry(retry: Mapping[str, Any] | None) -> Retry | None:
    if not retry:
        return None
    backoff = duration_seconds(retry["backoff"]) if retry.get("backoff") else 0.0
    retry_on = ("connect-failure", "refused-stream", "reset")
    return Retry(retry.get("attempts", 1), retry_on, codes=tuple(retry.get("codes") or ()), backoff=backoff)


def _match(match: Mapping[str, Any]) -> Match:
    path = match.get("path") or {}
    method = ValueMatch(":method", ValueKind.EXACT, match["method"]) if match.get("method") else None
    return Match(
        PathMatch(PATHS[path.get("type", "PathPrefix")], path.get("value", "/")),
        method,
        tuple(_value_match(entry) for entry in match.get("headers") or ()),
        tuple(_value_match(entry) for entry in match.get("queryParams") or ()),
    )


def _value_match(entry: Mapping[str, Any]) -> ValueMatch:
    return ValueMatch(entry["name"], VALUES[entry.get("type", "Exact")], entry["value"])


def _rewrite(entry: Mapping[str, Any], before: Rewrite | None) -> Rewrite:
    path = entry.get("path") or {}
    host = entry.get("hostname") or (before.host if before else "")
    return Rewrite(host, path.get("replaceFullPath"), path.get("replacePrefixMatch"))


def _redirect(entry: Mapping[str, Any]) -> Redirect:
    path = entry.get("path") or {}
    return Redirect(
        entry.get("scheme", ""),
        entry.get("hostname", ""),
        entry.get("port", 0),
        path.get("replaceFullPath"),
        path.get("replacePrefixMatch"),
        entry.get("statusCode", 302),
    )


def _cors(entry: Mapping[str, Any]) -> Cors:
    return Cors(
        tuple(_origin(origin) for origin in entry.get("allowOrigins") or ()),
        tuple(entry.get("allowMethods") or ()),
        tuple(entry.get("allowHeaders") or ()),
        tuple(entry.get("exposeHeaders") or ()),
        bool(entry.get("allowCredentials")),
        entry.get("maxAge", 5),
    )


def _origin(origin: str) -> ValueMatch:
    """`*` stands for any origin, and in a host for any characters."""
    if "*" not in origin:
        return ValueMatch("origin", ValueKind.EXACT, origin)
    pattern = "".join(".*" if char == "*" else "\\" + char if char in r".+?()[]{}^$|\\" else char for char in origin)
    return ValueMatch("origin", ValueKind.REGEX, pattern)
