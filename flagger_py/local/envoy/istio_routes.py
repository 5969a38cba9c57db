"""The HTTP rules of a VirtualService as routes. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from flagger_py.local.envoy.translation import Key, RoutingObjects, duration_seconds, namespace_of, take_host
from flagger_py.objects.resource import Manifest

DEFAULT_RETRY: Final = Retry(2, ("connect-failure", "refused-stream", "unavailable", "cancelled"))
"""What Istio does where a rule has no `retries`."""

_STRINGS: Final = {"exact": ValueKind.EXACT, "prefix": ValueKind.PREFIX, "regex": ValueKind.REGEX}
_PATHS: Final = {"exact": PathKind.EXACT, "prefix": PathKind.STRING_PREFIX, "regex": PathKind.REGEX}


def routes_of(service: Manifest, gateway: str, objects: RoutingObjects) -> tuple[Route, ...]:
    """The routes that hold for requests arriving at `gateway`, in the order of the rules. Raises `ValueError`."""
    translator = _Translator(namespace_of(service), gateway, objects)
    source = f"VirtualService/{namespace_of(service)}/{service['metadata']['name']}"
    rules = service["spec"].get("http") or []
    return tuple(route for index, rule in enumerate(rules) for route in translator.rule(rule, f"{source}/{index}"))


@dataclass(frozen=True, slots=True)
class _Translator:
    namespace: str
    gateway: str
    objects: RoutingObjects

    def rule(self, rule: Mapping[str, Any], source: str) -> Iterator[Route]:
        namespace = rule.get("namespace") or self.namespace
        request, host = _headers(rule.get("headers"), "request")
        for match in _matches(rule.get("match") or [{}], self.gateway):
            yield Route(
                match,
                source,
                self._backends(rule.get("route") or [], namespace),
                request,
                _headers(rule.get("headers"), "response")[0],
                _rewrite(rule.get("rewrite"), match.path, host),
                _redirect(rule.get("redirect")),
                (rule.get("directResponse") or {}).get("status"),
                tuple(self._mirrors(rule, namespace)),
                _cors(rule.get("corsPolicy")),
                duration_seconds(rule["timeout"]) if rule.get("timeout") else 0.0,
                None,
                _retry(rule.get("retries")),
            )

    def _backends(self, routes: list[Mapping[str, Any]], namespace: str) -> tuple[WeightedBackend, ...]:
        """A lone destination takes everything, whatever its weight."""
        lone = len(routes) == 1
        return tuple(self._weighted(entry, 100 if lone else entry.get("weight", 0), namespace) for entry in routes)

    def _weighted(self, entry: Mapping[str, Any], weight: int, namespace: str) -> WeightedBackend:
        request, host = _headers(entry.get("headers"), "request")
        response, _ = _headers(entry.get("headers"), "response")
        return WeightedBackend(self._destination(entry["destination"], namespace), weight, request, response, host)

    def _destination(self, destination: Mapping[str, Any], namespace: str) -> Backend | None:
        """The Service of a host such as `web`, `web.test` or `web.test.svc.cluster.local`; the first port where none is given."""
        name, _, rest = destination["host"].partition(".")
        key = Key(rest.partition(".")[0] or namespace, name)
        ports = self.objects.services.get(key, ())
        port = (destination.get("port") or {}).get("number") or (ports[0] if ports else 0)
        return None if destination.get("subset") else self.objects.backend(*key, port)

    def _mirrors(self, rule: Mapping[str, Any], namespace: str) -> Iterator[Mirror]:
        entries = [{"destination": rule["mirror"], "percentage": rule.get("mirrorPercentage")}] if rule.get("mirror") else []
        for entry in entries + list(rule.get("mirrors") or ()):
            backend = self._destination(entry["destination"], namespace)
            if backend is not None:
                percentage = entry.get("percentage")
                yield Mirror(backend, 100.0 if percentage is None else float(percentage.get("value", 0)))


def _matches(entries: list[Mapping[str, Any]], gateway: str) -> Iterator[Match]:
    for entry in entries:
        if _holds_at(entry, gateway):
            yield _match(entry)


def _holds_at(entry: Mapping[str, Any], gateway: str) -> bool:
    """A match on what only a sidecar knows of its client never holds at a gateway."""
    gateways = entry.get("gateways")
    return not entry.get("sourceLabels") and not entry.get("sourceNamespace") and (not gateways or gateway in gateways)


def _match(entry: Mapping[str, Any]) -> Match:
    headers = [_string(name, value) for name, value in (entry.get("headers") or {}).items()]
    headers += [_string(name, value, inverted=True) for name, value in (entry.get("withoutHeaders") or {}).items()]
    headers += [_string(f":{name}", entry[name]) for name in ("authority", "scheme") if entry.get(name)]
    return Match(
        _path(entry.get("uri"), bool(entry.get("ignoreUriCase"))),
        _string(":method", entry["method"]) if entry.get("method") else None,
        tuple(headers),
        tuple(_string(name, value) for name, value in (entry.get("queryParams") or {}).items()),
    )


def _path(uri: Mapping[str, str] | None, ignore_case: bool) -> PathMatch:
    for name, kind in _PATHS.items():
        if uri and uri.get(name):
            return PathMatch(kind, uri[name], ignore_case)
    return PathMatch(PathKind.STRING_PREFIX, "/")


def _string(name: str, value: Mapping[str, str] | None, *, inverted: bool = False) -> ValueMatch:
    for key, kind in _STRINGS.items():
        if value and value.get(key):
            return ValueMatch(name, kind, value[key], inverted)
    return ValueMatch(name, ValueKind.PRESENT, "", inverted)


def _headers(headers: Mapping[str, Any] | None, direction: str) -> tuple[HeaderChanges, str]:
    operations = (headers or {}).get(direction) or {}
    changes = HeaderChanges(
        tuple((operations.get("set") or {}).items()),
        tuple((operations.get("add") or {}).items()),
        tuple(operations.get("remove") or ()),
    )
    return take_host(changes)


def _rewrite(rewrite: Mapping[str, Any] | None, path: PathMatch, host: str) -> Rewrite | None:
    """`uri` replaces the prefix that matched, or the whole path where the match was another."""
    rewrite = rewrite or {}
    authority, uri = rewrite.get("authority") or host, rewrite.get("uri")
    if not authority and uri is None:
        return None
    is_prefix = path.kind is PathKind.STRING_PREFIX
    return Rewrite(authority, None if is_prefix else uri, uri if is_prefix else None)


def _redirect(redirect: Mapping[str, Any] | None) -> Redirect | None:
    if not redirect:
        return None
    return Redirect(
        redirect.get("scheme", ""),
        redirect.get("authority", ""),
        redirect.get("port", 0),
        redirect.get("uri"),
        None,
        redirect.get("redirectCode", 301),
    )


def _retry(retries: Mapping[str, Any] | None) -> Retry | None:
    if retries is None:
        return DEFAULT_RETRY
    if not retries.get("attempts", 2):
        return None
    retry_on = tuple(part.strip() for part in retries.get("retryOn", "").split(",") if part.strip())
    codes = tuple(int(part) for part in retry_on if part.isdigit())
    kept = tuple(part for part in retry_on if not part.isdigit()) or DEFAULT_RETRY.retry_on
    per_try = duration_seconds(retries["perTryTimeout"]) if retries.get("perTryTimeout") else 0.0
    return Retry(retries.get("attempts", 2), kept, per_try, codes)


def _cors(policy: Mapping[str, Any] | None) -> Cors | None:
    if not policy:
        return None
    origins = [_origin({"exact": value}) for value in policy.get("allowOrigin") or ()]
    origins += [_origin(value) for value in policy.get("allowOrigins") or ()]
    return Cors(
        tuple(origins),
        tuple(policy.get("allowMethods") or ()),
        tuple(policy.get("allowHeaders") or ()),
        tuple(policy.get("exposeHeaders") or ()),
        bool(policy.get("allowCredentials")),
        int(duration_seconds(policy["maxAge"])) if policy.get("maxAge") else 0,
    )


def _origin(value: Mapping[str, str]) -> ValueMatch:
    return ValueMatch("origin", ValueKind.REGEX, ".*") if value.get("exact") == "*" else _string("origin", value)
