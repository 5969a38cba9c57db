"""HorizontalPodAutoscalers of `autoscaling/v2` (workloads:§4.1)."""

from copy import deepcopy
from typing import ClassVar

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import HORIZONTAL_POD_AUTOSCALER, Manifest
from flagger_py.rollout.views import ReplicaLimits
from flagger_py.workloads.autoscaling.kind import ScalerKind
from flagger_py.workloads.metadata import annotations_of, included, labels_of, without_toolkit_keys
from flagger_py.workloads.primary import primary_name


class HorizontalPodAutoscalerKind(ScalerKind):
    """Kubernetes' own. It leaves a Deployment at zero alone, so that it needs no pause (workloads:AS-04)."""

    resource = HORIZONTAL_POD_AUTOSCALER
    least_field = "minReplicas"
    most_field = "maxReplicas"
    default_limits: ClassVar[ReplicaLimits] = ReplicaLimits(1, 1)

    def copied_spec(self, canary: Canary, source: Manifest) -> Manifest:
        """Metrics and behaviour as they are; only what is scaled is another (workloads:HPA-01)."""
        spec = deepcopy(source["spec"])
        return {**spec, "scaleTargetRef": {**spec["scaleTargetRef"], "name": primary_name(canary)}}

    def copied_labels(self, source: Manifest) -> dict[str, str]:
        return without_toolkit_keys(labels_of(source))

    def copied_annotations(self, source: Manifest, prefixes: tuple[str, ...]) -> dict[str, str]:
        """Those that `-include-label-prefix` names (workloads:HPA-03)."""
        return included(annotations_of(source), prefixes)
