"""Renders the route table as Envoy's `RouteConfiguration`s. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flagger_py.local.envoy.model import (
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
    RouteTable,
    ValueKind,
    ValueMatch,
    VirtualHost,
    WeightedBackend,
)

Json = dict[str, Any]

ROUTE_CONFIGURATION: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
CORS_POLICY: Final = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
UNRESOLVED: Final = "unresolved"
"""A cluster that does not exist: Envoy answers its share of the requests with 500 and the response flag NC."""


def listener_name(port: int) -> str:
    """The name of the listener and of the route configuration of a Gateway port."""
    return f"http-{port}"


def route_configurations(table: RouteTable) -> dict[int, Json]:
    """One `RouteConfiguration` for each port, by port."""
    return {port: _route_configuration(port, [host for host in table.hosts if host.port == port]) for port in table.ports}


def _route_configuration(port: int, hosts: Iterable[VirtualHost]) -> Json:
    return {
        "@type": ROUTE_CONFIGURATION,
        "name": listener_name(port),
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [_virtual_host(host) for host in hosts],
    }


def _virtual_host(host: VirtualHost) -> Json:
    return {"name": host.domain, "domains": [host.domain], "routes": [render_route(route) for route in host.routes]}


def render_route(route: Route) -> Json:
    """One Envoy route: its match, its action, and the header changes that every backend of it shares."""
    rendered = {
        "name": route.source,
        "match": _match(route.match),
        **_action(route),
        **_header_changes(route.request, "request"),
        **_header_changes(route.response, "response"),
    }
    if route.cors is not None:
        rendered["typed_per_filter_config"] = {"envoy.filters.http.cors": _cors(route.cors)}
    return rendered


def _action(route: Route) -> Json:
    if route.redirect is not None:
        return {"redirect": _redirect(route.redirect)}
    status = _direct_status(route)
    if status is not None:
        return {"direct_response": {"status": status}}
    return {"route": _route_action(route)}


def _direct_status(route: Route) -> int | None:
    """Gateway API asks for 500 where no backend has a weight: Envoy would refuse the whole configuration."""
    if route.status is not None:
        return route.status
    return None if any(entry.weight for entry in route.backends) else 500


def _route_action(route: Route) -> Json:
    action: Json = {
        "weighted_clusters": {"clusters": [_weighted_cluster(entry) for entry in route.backends]},
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
    }
    if route.timeout is not None:
        action["timeout"] = seconds(route.timeout)
    if route.idle_timeout is not None:
        action["idle_timeout"] = seconds(route.idle_timeout)
    if route.retry is not None:
        action["retry_policy"] = _retry(route.retry)
    if route.mirrors:
        action["request_mirror_policies"] = [_mirror(mirror) for mirror in route.mirrors]
    return action | _rewrite(route.rewrite, route.match.path)


def _weighted_cluster(entry: WeightedBackend) -> Json:
    cluster: Json = {
        "name": entry.backend.cluster if entry.backend else UNRESOLVED,
        "weight": entry.weight,
        **_header_changes(entry.request, "request"),
        **_header_changes(entry.response, "response"),
    }
    if entry.host_rewrite:
        cluster["host_rewrite_literal"] = entry.host_rewrite
    return cluster


def _match(match: Match) -> Json:
    rendered = _path_match(match.path)
    headers = list(match.headers)
    if match.method is not None:
        headers.append(match.method)
    if headers:
        rendered["headers"] = [_header_match(header) for header in headers]
    if match.query:
        rendered["query_parameters"] = [_query_match(query) for query in match.query]
    return rendered


def _path_match(path: PathMatch) -> Json:
    case = {"case_sensitive": False} if path.ignore_case else {}
    match path.kind:
        case PathKind.EXACT:
            return {"path": path.value, **case}
        case PathKind.REGEX:
            return {"safe_regex": {"regex": path.value}}
        case PathKind.PREFIX if path.value.rstrip("/"):
            return {"path_separated_prefix": path.value.rstrip("/"), **case}
        case _:
            return {"prefix": path.value or "/", **case}


def _header_match(match: ValueMatch) -> Json:
    rendered: Json = {"name": match.name}
    if match.kind is ValueKind.PRESENT:
        rendered["present_match"] = True
    else:
        rendered["string_match"] = _string_match(match)
    if match.inverted:
        rendered["invert_match"] = True
    return rendered


def _query_match(match: ValueMatch) -> Json:
    if match.kind is ValueKind.PRESENT:
        return {"name": match.name, "present_match": True}
    return {"name": match.name, "string_match": _string_match(match)}


def _string_match(match: ValueMatch) -> Json:
    if match.kind is ValueKind.REGEX:
        return {"safe_regex": {"regex": match.value}}
    ignore_case = {"ignore_case": True} if match.ignore_case else {}
    return {match.kind.value: match.value, **ignore_case}


def _header_changes(changes: HeaderChanges, direction: str) -> Json:
    """`set` replaces, `add` appends. Envoy applies removals after additions, so a header in both would be lost: it is not removed."""
    rendered: Json = {}
    written = [(name, value, "OVERWRITE_IF_EXISTS_OR_ADD") for name, value in changes.set]
    written += [(name, value, "APPEND_IF_EXISTS_OR_ADD") for name, value in changes.add]
    if written:
        rendered[f"{direction}_headers_to_add"] = [_header_option(name, value, action) for name, value, action in written]
    kept = {name.lower() for name, _, _ in written}
    if removed := [name for name in changes.remove if name.lower() not in kept]:
        rendered[f"{direction}_headers_to_remove"] = removed
    return rendered


def _header_option(name: str, value: str, action: str) -> Json:
    """A per cent sign starts a command in Envoy's header values, so it is doubled."""
    return {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": action, "keep_empty_value": True}


def _rewrite(rewrite: Rewrite | None, path: PathMatch) -> Json:
    if rewrite is None:
        return {}
    rendered: Json = {"host_rewrite_literal": rewrite.host} if rewrite.host else {}
    if rewrite.full_path is not None:
        rendered["regex_rewrite"] = _replace_path("^/.*$", rewrite.full_path)
    elif rewrite.prefix is not None:
        rendered |= _prefix_rewrite(rewrite.prefix, path)
    return rendered


def _prefix_rewrite(prefix: str, path: PathMatch) -> Json:
    """Envoy would turn `/a/b` into `//b` where the prefix `/a` becomes `/`; a regex takes the slash with it."""
    if prefix.strip("/") or path.kind is PathKind.STRING_PREFIX:
        return {"prefix_rewrite": prefix or "/"}
    return {"regex_rewrite": _replace_path(f"^{re.escape(path.value.rstrip('/'))}/*", "/")}


def _replace_path(pattern: str, replacement: str) -> Json:
    r"""A replacement is literal: a backslash in it would name a group of the pattern."""
    return {"pattern": {"regex": pattern}, "substitution": replacement.replace("\\", "\\\\")}


def _redirect(redirect: Redirect) -> Json:
    codes = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
    rendered: Json = {"response_code": codes[redirect.code]}
    fields: Mapping[str, Any] = {
        "scheme_redirect": redirect.scheme,
        "host_redirect": redirect.host,
        "port_redirect": redirect.port,
        "path_redirect": redirect.full_path,
        "prefix_rewrite": redirect.prefix,
    }
    return rendered | {name: value for name, value in fields.items() if value}


def _mirror(mirror: Mirror) -> Json:
    numerator = round(mirror.percent * 10_000)
    return {
        "cluster": mirror.backend.cluster,
        "runtime_fraction": {"default_value": {"numerator": numerator, "denominator": "MILLION"}},
    }


def _retry(retry: Retry) -> Json:
    retry_on = [*retry.retry_on, *(["retriable-status-codes"] if retry.codes and "retriable-status-codes" not in retry.retry_on else [])]
    rendered: Json = {"retry_on": ",".join(retry_on), "num_retries": retry.attempts}
    if retry.per_try_timeout:
        rendered["per_try_timeout"] = seconds(retry.per_try_timeout)
    if retry.codes:
        rendered["retriable_status_codes"] = list(retry.codes)
    if retry.backoff:
        rendered["retry_back_off"] = {"base_interval": seconds(retry.backoff)}
    return rendered


def _cors(cors: Cors) -> Json:
    rendered: Json = {
        "@type": CORS_POLICY,
        "allow_origin_string_match": [_string_match(origin) for origin in cors.origins],
        "allow_methods": ",".join(cors.methods),
        "allow_headers": ",".join(cors.headers),
        "expose_headers": ",".join(cors.expose),
    }
    if cors.credentials:
        rendered["allow_credentials"] = True
    if cors.max_age:
        rendered["max_age"] = str(cors.max_age)
    return {key: value for key, value in rendered.items() if value}


def seconds(value: float) -> str:
    """A duration as protobuf's JSON form has it: `1.5s`."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"
