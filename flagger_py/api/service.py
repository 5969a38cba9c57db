"""`spec.service`: the Kubernetes Services and the routing object that are generated for a Canary."""

from typing import Annotated, ClassVar

from pydantic import Field

from flagger_py.api.base import ApiModel, Bool, Int32, IntOrString
from flagger_py.api.matches import HttpMatch, OriginMatch
from flagger_py.api.schema import Rule, Schema
from flagger_py.api.traffic_policy import TrafficPolicy

TRAFFIC_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN_OR_EMPTY = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
GATEWAY_KIND = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"

NAME_LIMIT = 55
"""`-primary` has to fit into the 63 characters of a Service's name and of a label's value (api:GAP-41)."""
PORT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

SERVICE_NAME_RULE = Rule(
    cel=f"self == '' || (size(self) <= {NAME_LIMIT} && self.matches('{DNS_LABEL}'))",
    message=f"must be a DNS label of at most {NAME_LIMIT} characters, so that -primary can be added",
    source="GAP-41",
)
TARGET_PORT_RULE = Rule(
    cel="type(self) == int ? self >= 0 && self <= 65535 : "
    f"self == '' || self == '0' || (size(self) <= 15 && self.matches('{PORT_NAME}') && self.matches('[a-z]'))",
    message="must be a port number (1 to 65535) or the name of a container port (at most 15 characters)",
    source="GAP-40",
)

RefName = Annotated[str, Schema(required=True, min_length=1, max_length=253)]
RefNamespace = Annotated[str | None, Schema(min_length=1, max_length=63, pattern=DNS_LABEL)]
RefPort = Annotated[Int32 | None, Schema(minimum=1, maximum=65535)]


class CustomMetadata(ApiModel):
    """Labels and annotations to add to generated objects."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class UnmanagedMetadata(ApiModel):
    """Keys on the generated Services that are others' business."""

    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()


class Retries(ApiModel):
    """When the proxy tries again."""

    attempts: Int32 = 0
    per_try_timeout: str = ""
    retry_on: str = ""


class Rewrite(ApiModel):
    """What becomes of path and host on the way."""

    uri: str = ""
    authority: str = ""
    type: str = ""
    """`ReplacePrefixMatch`; anything else means `ReplaceFullPath`."""


class HeaderOperations(ApiModel):
    """Headers to add, to overwrite and to take away."""

    add: dict[str, str] = Field(default_factory=dict)
    set: dict[str, str] = Field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Headers(ApiModel):
    """Header changes on requests and on responses."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class CorsPolicy(ApiModel):
    """Cross-origin rules."""

    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[OriginMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: str = ""
    allow_credentials: Bool | None = None


class BackendRef(ApiModel):
    """The backend of a static mirror; the group `""` is the core group."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="size(self.group) == 0 && self.kind == 'Service' ? has(self.port) : true",
            message="a core Service needs a port",
            source="schema",
        ),
    )

    group: Annotated[str, Schema(default="", max_length=253, pattern=DNS_SUBDOMAIN_OR_EMPTY)] = ""
    kind: Annotated[str, Schema(default="Service", min_length=1, max_length=63, pattern=GATEWAY_KIND)] = "Service"
    name: RefName = ""
    namespace: RefNamespace = None
    port: RefPort = None


class RequestMirror(ApiModel):
    """A static copy of the requests, unrelated to `analysis.mirror`."""

    backend_ref: Annotated[BackendRef, Schema(required=True)] = BackendRef()


class GatewayRef(ApiModel):
    """A parent of the generated HTTPRoute: a Gateway, or a Service for GAMMA meshes."""

    group: Annotated[str, Schema(default="gateway.networking.k8s.io", max_length=253, pattern=DNS_SUBDOMAIN_OR_EMPTY)] = (
        "gateway.networking.k8s.io"
    )
    kind: Annotated[str, Schema(default="Gateway", min_length=1, max_length=63, pattern=GATEWAY_KIND)] = "Gateway"
    name: RefName = ""
    namespace: RefNamespace = None
    section_name: Annotated[str | None, Schema(min_length=1, max_length=253)] = None
    port: RefPort = None


class Service(ApiModel):
    """How the workload is reached."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.delegation) || !self.delegation || "
            "((!has(self.hosts) || size(self.hosts) == 0) && (!has(self.gateways) || size(self.gateways) == 0))",
            message="delegation needs an empty list of hosts and of gateways",
            source="GAP-43",
        ),
    )

    name: Annotated[str, Schema(max_length=253, rules=(SERVICE_NAME_RULE,), source="GAP-41")] = ""
    port: Annotated[Int32, Schema(required=True, minimum=1, maximum=65535, source="GAP-40")] = 0
    port_name: str = ""
    app_protocol: str = ""
    target_port: Annotated[IntOrString | None, Schema(source="GAP-40", rules=(TARGET_PORT_RULE,))] = None
    port_discovery: Bool = False
    headless: Bool = False
    traffic_distribution: Annotated[str, Schema(enum=TRAFFIC_DISTRIBUTIONS)] = ""
    timeout: str = ""
    backend_timeout: str = ""
    mesh_name: str = ""
    backends: tuple[str, ...] = ()
    hosts: Annotated[tuple[Annotated[str, Schema(max_length=253)], ...], Schema(max_items=100)] = ()
    delegation: Bool = False
    gateways: Annotated[tuple[str, ...], Schema(max_items=100)] = ()
    gateway_refs: Annotated[tuple[GatewayRef, ...], Schema(max_items=32)] = ()
    apex: CustomMetadata | None = None
    primary: CustomMetadata | None = None
    canary: CustomMetadata | None = None
    unmanaged_metadata: UnmanagedMetadata | None = None
    match: Annotated[tuple[HttpMatch, ...], Schema(max_items=32)] = ()
    retries: Retries | None = None
    rewrite: Rewrite | None = None
    headers: Headers | None = None
    mirror: Annotated[tuple[RequestMirror, ...], Schema(max_items=32)] = ()
    cors_policy: CorsPolicy | None = None
    traffic_policy: TrafficPolicy | None = None
