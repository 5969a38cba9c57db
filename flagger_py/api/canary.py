"""The Canary: a workload that is released step by step."""

from typing import Annotated, ClassVar

from flagger_py.api.analysis import Analysis
from flagger_py.api.base import ApiModel, ApiObject, Bool, Int32
from flagger_py.api.canary_rules import CANARY_RULES
from flagger_py.api.metric_template import PLUGIN_NAME, PLUGIN_NAME_IN_WORDS
from flagger_py.api.references import AutoscalerRef, IngressRef, RouteRef, TargetRef, UpstreamRef
from flagger_py.api.schema import SPEC_RULE, Rule, Schema
from flagger_py.api.service import Service
from flagger_py.api.status import CanaryStatus


class CanarySpec(ApiModel):
    """What is released, how it is reached, and how it is judged."""

    rules: ClassVar[tuple[Rule, ...]] = CANARY_RULES

    provider: Annotated[str, Schema(min_length=1, max_length=253, pattern=PLUGIN_NAME, allowed=PLUGIN_NAME_IN_WORDS)] = ""
    """Who splits the traffic; the controller's own default where unset."""
    metrics_server: str = ""
    """The Prometheus of built-in checks and inline queries."""
    target_ref: Annotated[TargetRef, Schema(required=True)] = TargetRef()
    autoscaler_ref: AutoscalerRef | None = None
    ingress_ref: IngressRef | None = None
    route_ref: RouteRef | None = None
    upstream_ref: UpstreamRef | None = None
    service: Service | None = None
    analysis: Annotated[Analysis | None, Schema(required=True)] = None
    progress_deadline_seconds: Annotated[Int32 | None, Schema(minimum=0, source="GAP-54")] = None
    """How long a version may be unready before the run is rolled back; 600 by default."""
    skip_analysis: Bool = False
    """Promote new versions without checks."""
    revert_on_deletion: Bool = False
    """Put everything back as it was when the Canary is deleted."""
    suspend: Bool = False
    """Touch nothing until this is false again."""


class Canary(ApiObject):
    """Describes the progressive delivery of one workload, and where it stands."""

    rules: ClassVar[tuple[Rule, ...]] = (SPEC_RULE,)

    kind: str = "Canary"
    spec: CanarySpec = CanarySpec()
    status: CanaryStatus = CanaryStatus()
