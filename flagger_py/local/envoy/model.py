"""Routing as values: what every kind of route object is translated into, and what Envoy's configuration is rendered from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HTTP_PORT: Final = 80
"""The port of a route that names none: an HTTPProxy root, an Istio `mesh` host."""


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """One port of a Kubernetes Service."""

    namespace: str
    service: str
    port: int

    @property
    def cluster(self) -> str:
        """The name of its Envoy cluster."""
        return f"{self.namespace}/{self.service}/{self.port}"

    @property
    def stat_name(self) -> str:
        """What its metrics carry as `envoy_cluster_name`, as Contour names it (metrics:OBS-CONTOUR-01)."""
        return f"{self.namespace}_{self.service}_{self.port}"


class PathKind(StrEnum):
    EXACT = "exact"
    REGEX = "regex"
    PREFIX = "prefix"
    """Whole path segments: `/a` matches `/a/b` and not `/ab`."""
    STRING_PREFIX = "string_prefix"
    """Any characters: `/a` matches `/ab`."""


class ValueKind(StrEnum):
    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    REGEX = "safe_regex"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class PathMatch:
    kind: PathKind = PathKind.PREFIX
    value: str = "/"
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """A condition on a header or a query parameter. `inverted` matches what the condition does not."""

    name: str
    kind: ValueKind
    value: str = ""
    inverted: bool = False
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """All conditions must hold; an empty method means any."""

    path: PathMatch = PathMatch()
    method: ValueMatch | None = None
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """Header changes in the order in which they are applied: set, add, remove."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def then(self, other: "HeaderChanges") -> "HeaderChanges":
        return HeaderChanges(self.set + other.set, self.add + other.add, self.remove + other.remove)


@dataclass(frozen=True, slots=True)
class WeightedBackend:
    """A share of the requests of a route. `backend` is `None` where the reference does not resolve: that share is answered 500."""

    backend: Backend | None
    weight: int
    request: HeaderChanges = HeaderChanges()
    response: HeaderChanges = HeaderChanges()
    host_rewrite: str = ""


@dataclass(frozen=True, slots=True)
class Mirror:
    backend: Backend
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Rewrite:
    """At most one of `full_path` and `prefix` is set."""

    host: str = ""
    full_path: str | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    scheme: str = ""
    host: str = ""
    port: int = 0
    full_path: str | None = None
    prefix: str | None = None
    code: int = 302


@dataclass(frozen=True, slots=True)
class Cors:
    """Origins are conditions on the whole `Origin` value; `max_age` in seconds, 0 is not sent."""

    origins: tuple[ValueMatch, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age: int = 0


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` counts retries, not the first try; `per_try_timeout` in seconds, 0 is none."""

    attempts: int
    retry_on: tuple[str, ...]
    per_try_timeout: float = 0.0
    codes: tuple[int, ...] = ()
    backoff: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """One match and what happens to its requests. Time-outs are in seconds; 0 disables them, `None` leaves Envoy's default."""

    match: Match
    source: str
    """The object and rule it comes from; Envoy shows it as the route's name."""
    backends: tuple[WeightedBackend, ...] = ()
    request: HeaderChanges = HeaderChanges()
    response: HeaderChanges = HeaderChanges()
    rewrite: Rewrite | None = None
    redirect: Redirect | None = None
    status: int | None = None
    """Answer at once with this code."""
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    retry: Retry | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The routes of one host name (`*`, `*.example.com` or a full name) on one Gateway port; the first route that matches wins."""

    port: int
    domain: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Everything that Envoy is to serve. `ports` may hold ports without any host: Envoy listens there and answers 404."""

    ports: tuple[int, ...] = ()
    hosts: tuple[VirtualHost, ...] = field(default=())

    def backends(self) -> tuple[Backend, ...]:
        """Every backend that a route or a mirror refers to, sorted."""
        return tuple(sorted(set(self._backends())))

    def _backends(self) -> Iterator[Backend]:
        for host in self.hosts:
            for route in host.routes:
                yield from (entry.backend for entry in route.backends if entry.backend)
                yield from (mirror.backend for mirror in route.mirrors)


def by_precedence(route: Route) -> tuple[int, int, int, int, int]:
    """Sort key of Gateway API and HTTPProxy: exact path, regex, longest prefix; then method, most headers, most query parameters."""
    path = route.match.path
    rank = {PathKind.EXACT: 0, PathKind.REGEX: 1, PathKind.PREFIX: 2, PathKind.STRING_PREFIX: 2}[path.kind]
    return rank, -len(path.value), 0 if route.match.method else 1, -len(route.match.headers), -len(route.match.query)


def merge_hosts(hosts: tuple[VirtualHost, ...]) -> tuple[VirtualHost, ...]:
    """One entry for each port and domain; routes keep the order in which their hosts came."""
    merged: dict[tuple[int, str], tuple[Route, ...]] = {}
    for host in hosts:
        key = (host.port, host.domain)
        merged[key] = merged.get(key, ()) + host.routes
    return tuple(VirtualHost(port, domain, routes) for (port, domain), routes in sorted(merged.items()))
