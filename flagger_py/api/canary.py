"""The Canary: a workload that is released step by step."""

from typing import Annotated

from flagger_py.api.analysis import Analysis
from flagger_py.api.base import ApiModel, ApiObject, Bool, Int32
from flagger_py.api.references import AutoscalerRef, IngressRef, RouteRef, TargetRef, UpstreamRef
from flagger_py.api.schema import Schema
from flagger_py.api.service import Service
from flagger_py.api.status import CanaryStatus


class CanarySpec(ApiModel):
    """What is released, how it is reached, and how it is judged."""

    provider: Annotated[str, Schema(min_length=1, max_length=253)] = ""
    metrics_server: str = ""
    target_ref: Annotated[TargetRef, Schema(required=True)] = TargetRef()
    autoscaler_ref: AutoscalerRef | None = None
    ingress_ref: IngressRef | None = None
    route_ref: RouteRef | None = None
    upstream_ref: UpstreamRef | None = None
    service: Service | None = None
    analysis: Annotated[Analysis | None, Schema(required=True)] = None
    progress_deadline_seconds: Int32 | None = None
    skip_analysis: Bool = False
    revert_on_deletion: Bool = False
    suspend: Bool = False


class Canary(ApiObject):
    """Describes the progressive delivery of one workload, and where it stands."""

    kind: str = "Canary"
    spec: CanarySpec = CanarySpec()
    status: CanaryStatus = CanaryStatus()
