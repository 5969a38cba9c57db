"""References to other objects: the target, its autoscaler, and what single routers need."""

from typing import Annotated, ClassVar

from flagger_py.api.base import ApiModel, Int32
from flagger_py.api.schema import Rule, Schema

RequiredText = Annotated[str, Schema(required=True)]
RequiredName = Annotated[str, Schema(required=True, max_length=253)]

TARGET_KINDS = ("DaemonSet", "Deployment", "Service")
HORIZONTAL_POD_AUTOSCALER = "HorizontalPodAutoscaler"
SCALED_OBJECT = "ScaledObject"
AUTOSCALER_KINDS = (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
TARGET_NAME_LIMIT = 55
"""`<name>-primary` becomes a label's value, which has at most 63 characters (api:GAP-41)."""
KNATIVE_API_VERSION = "serving.knative.dev/v1"


def target_kind(kind: str, api_version: str) -> str:
    """What a kind of target is called where the two kinds named `Service` have to be told apart."""
    return f"Knative {kind}" if (kind, api_version) == ("Service", KNATIVE_API_VERSION) else kind


class TargetRef(ApiModel):
    """What is released. Kind `Service` with `serving.knative.dev/v1` is a Knative service, any other `Service` a core one."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.apiVersion == '{KNATIVE_API_VERSION}' || size(self.name) <= {TARGET_NAME_LIMIT}",
            message=f"the name must have at most {TARGET_NAME_LIMIT} characters, so that -primary can be added",
            source="GAP-41",
        ),
    )

    api_version: RequiredName = ""
    kind: Annotated[str, Schema(required=True, enum=TARGET_KINDS)] = ""
    name: RequiredName = ""

    @property
    def is_knative(self) -> bool:
        return self.kind == "Service" and self.api_version == KNATIVE_API_VERSION

    @property
    def is_core_service(self) -> bool:
        return self.kind == "Service" and not self.is_knative

    @property
    def kind_name(self) -> str:
        """As `target_kind`."""
        return target_kind(self.kind, self.api_version)


class ScalerReplicas(ApiModel):
    """Replica limits that the primary's autoscaler gets instead of the target's."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            message="minReplicas must not be greater than maxReplicas",
            source="GAP-51",
        ),
    )

    min_replicas: Annotated[Int32 | None, Schema(minimum=0)] = None
    """0 for a ScaledObject only."""
    max_replicas: Annotated[Int32 | None, Schema(minimum=1)] = None


class AutoscalerRef(ApiModel):
    """The autoscaler of the target; the primary gets a copy."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "self.kind == 'ScaledObject' || !has(self.primaryScalerReplicas) || "
                "!has(self.primaryScalerReplicas.minReplicas) || self.primaryScalerReplicas.minReplicas >= 1"
            ),
            message="only a ScaledObject may have primaryScalerReplicas.minReplicas 0",
            source="VAL-04",
        ),
    )

    api_version: RequiredText = ""
    kind: Annotated[str, Schema(required=True, enum=AUTOSCALER_KINDS)] = ""
    name: RequiredName = ""
    primary_scaler_queries: dict[str, str] | None = None
    """KEDA trigger name to the query of the primary's trigger."""
    primary_scaler_replicas: ScalerReplicas | None = None


class IngressRef(ApiModel):
    """The Ingress of the nginx and skipper routers."""

    api_version: RequiredText = ""
    kind: Annotated[str, Schema(required=True, enum=("Ingress",))] = ""
    name: RequiredName = ""


class RouteRef(ApiModel):
    """The ApisixRoute of the apisix router."""

    api_version: RequiredText = ""
    kind: Annotated[str, Schema(required=True, enum=("ApisixRoute",))] = ""
    name: RequiredName = ""


class UpstreamRef(ApiModel):
    """The Gloo Upstream whose configuration the gloo router copies."""

    api_version: RequiredText = ""
    kind: Annotated[str, Schema(required=True, enum=("Upstream",))] = ""
    name: RequiredName = ""
    namespace: str = ""


class ObjectRef(ApiModel):
    """An object of ours by name; no namespace means the Canary's."""

    name: RequiredName = ""
    namespace: Annotated[str, Schema(max_length=63)] = ""
