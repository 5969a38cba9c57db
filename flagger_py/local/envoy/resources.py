"""Renders listeners, clusters, endpoints and the bootstrap of Envoy. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from flagger_py.local.envoy.model import Backend
from flagger_py.local.envoy.routes import listener_name

Json = dict[str, Any]

TYPE: Final = "type.googleapis.com/"
STAT_PREFIX: Final = "ingress_http"
ACCESS_SCOPE: Final = "gateway"
"""The scope of the counter `requests` of every request, with its response code and response flags as labels."""

DISCOVERY: Final = "flagger-discovery"
"""The cluster of the server that Envoy asks for its configuration."""
REFRESH_DELAY: Final = "0.005s"
"""Between an answer and the next poll; Envoy adds up to as much again by chance."""
POLL_TIMEOUT: Final = "120s"
"""Longer than the server holds a poll."""
DISCOVERED: Final[Json] = {
    "resource_api_version": "V3",
    "api_config_source": {
        "api_type": "REST",
        "transport_api_version": "V3",
        "cluster_names": [DISCOVERY],
        "refresh_delay": REFRESH_DELAY,
        "request_timeout": POLL_TIMEOUT,
    },
}
"""The source of everything that is not in the bootstrap."""

UPSTREAM_IDLE: Final = "20s"
"""Shorter than the demo app's own keep-alive (75 s): Envoy, not the app, ends an idle connection, so no request meets a closed one."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address that serves a backend."""

    address: str
    port: int


def bootstrap(node: str, discovery_port: int, *, flush_interval: float) -> Json:
    """The bootstrap: an admin address on loopback, and everything else asked for on `discovery_port` there."""
    return {
        "node": {"id": node, "cluster": "flagger-local"},
        "stats_flush_interval": f"{flush_interval:g}s",
        "admin": {"address": socket_address("127.0.0.1", 0)},
        "static_resources": {"clusters": [_discovery_cluster(discovery_port)]},
        "dynamic_resources": {"lds_config": DISCOVERED, "cds_config": DISCOVERED},
    }


def _discovery_cluster(port: int) -> Json:
    """Each topic has a poll open at any time, and HTTP/1.1 takes a connection for each."""
    endpoint = {"endpoint": {"address": socket_address("127.0.0.1", port)}}
    many = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 100_000)
    return {
        "name": DISCOVERY,
        "type": "STATIC",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [many]},
        "load_assignment": {"cluster_name": DISCOVERY, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def socket_address(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def listener(port: int, local_port: int) -> Json:
    """The listener of a Gateway port, on loopback."""
    manager = {
        "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        "rds": {"route_config_name": listener_name(port), "config_source": DISCOVERED},
        "http_filters": [_filter("cors", "cors.v3.Cors"), _filter("router", "router.v3.Router")],
        "access_log": [_request_counter()],
        "use_remote_address": True,
        "normalize_path": True,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }
    return {
        "@type": f"{TYPE}envoy.config.listener.v3.Listener",
        "name": listener_name(port),
        "address": socket_address("127.0.0.1", local_port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def cluster(backend: Backend) -> Json:
    """The cluster of a backend; it is named in metrics as Contour names it."""
    options = {
        "@type": f"{TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE},
    }
    return {
        "@type": f"{TYPE}envoy.config.cluster.v3.Cluster",
        "name": backend.cluster,
        "alt_stat_name": backend.stat_name,
        "type": "EDS",
        "connect_timeout": "2s",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "eds_cluster_config": {"service_name": backend.cluster, "eds_config": DISCOVERED},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def load_assignment(backend: Backend, endpoints: Iterable[Endpoint]) -> Json:
    """The endpoints of a backend."""
    entries = [{"endpoint": {"address": socket_address(entry.address, entry.port)}} for entry in sorted(endpoints)]
    return {
        "@type": f"{TYPE}envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": backend.cluster,
        "endpoints": [{"lb_endpoints": entries}] if entries else [],
    }


def _filter(name: str, kind: str) -> Json:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{TYPE}envoy.extensions.filters.http.{kind}"}}


def _request_counter() -> Json:
    """Counts requests by response code and flags: the only place where Envoy tells its own failures from an app's."""
    tags = [
        {"name": "response_code", "value_format": "%RESPONSE_CODE%"},
        {"name": "response_flags", "value_format": "%RESPONSE_FLAGS%"},
    ]
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": ACCESS_SCOPE},
            "counters": [{"stat": {"name": "requests", "tags": tags}, "value_fixed": 1}],
        },
    }
