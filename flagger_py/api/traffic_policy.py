"""`service.trafficPolicy`: what the Istio router writes into its DestinationRules."""

from typing import Annotated, ClassVar

from pydantic import Field

from flagger_py.api.base import ApiModel, Bool, Int32, OneOf, UInt32
from flagger_py.api.schema import Schema


class HttpConnectionPool(ApiModel):
    """Limits of HTTP connections to one version."""

    h2_upgrade_policy: Annotated[str, Schema(enum=("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"))] = ""
    http1_max_pending_requests: Int32 = 0
    http2_max_requests: Int32 = 0
    max_requests_per_connection: Int32 = 0
    max_retries: Int32 = 0
    idle_timeout: str = ""


class ConnectionPool(ApiModel):
    """Connection limits; Flagger's schema knows the HTTP ones only."""

    http: HttpConnectionPool | None = None


class HttpCookie(ApiModel):
    """The cookie that picks the endpoint."""

    name: str = ""
    path: str = ""
    ttl: str = ""


class ConsistentHash(ApiModel):
    """Requests that hash alike go to the same endpoint."""

    one_of: ClassVar[OneOf] = (("httpHeaderName",), ("httpCookie",), ("useSourceIp",), ("httpQueryParameterName",))

    http_header_name: str = ""
    http_cookie: HttpCookie | None = None
    use_source_ip: Bool = False
    http_query_parameter_name: str = ""
    minimum_ring_size: UInt32 = 0


class LocalityDistribute(ApiModel):
    """Where the requests of one locality go, in percent."""

    from_: Annotated[str, Field(alias="from")] = ""
    to: dict[str, UInt32] = Field(default_factory=dict)


class LocalityFailover(ApiModel):
    """Where the requests of a failing locality go."""

    from_: Annotated[str, Field(alias="from")] = ""
    to: str = ""


class LocalityLbSetting(ApiModel):
    """Load balancing by locality."""

    enabled: Bool | None = None
    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()


class LoadBalancer(ApiModel):
    """How the mesh picks an endpoint: exactly one of `simple` and `consistentHash`."""

    one_of: ClassVar[OneOf] = (("simple",), ("consistentHash",))

    simple: Annotated[str, Schema(enum=("ROUND_ROBIN", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "LEAST_REQUEST"))] = ""
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalityLbSetting | None = None
    warmup_duration_secs: str = ""


class OutlierDetection(ApiModel):
    """When the mesh takes an endpoint out. Flagger passes each of these on as it is."""

    base_ejection_time: str = ""
    interval: str = ""
    consecutive_errors: Int32 = 0
    consecutive_5xx_errors: Annotated[UInt32 | None, Field(alias="consecutive5xxErrors")] = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_local_origin_failures: UInt32 | None = None
    max_ejection_percent: Int32 = 0
    min_health_percent: Int32 = 0
    split_external_local_origin_errors: Bool = False


class TlsSettings(ApiModel):
    """TLS of the connections to the workload."""

    mode: Annotated[str, Schema(enum=("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"))] = ""
    ca_certificates: str = ""
    client_certificate: str = ""
    private_key: str = ""
    sni: str = ""
    subject_alt_names: tuple[str, ...] = ()


class TrafficPolicy(ApiModel):
    """The policy of both versions' DestinationRules."""

    connection_pool: ConnectionPool | None = None
    load_balancer: LoadBalancer | None = None
    outlier_detection: OutlierDetection | None = None
    tls: TlsSettings | None = None
