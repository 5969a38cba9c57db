"""KEDA's ScaledObjects (workloads:§4.2), as raw JSON, so that fields of newer versions survive (KEDA-06)."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar, Final

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import SCALED_OBJECT, Manifest
from flagger_py.rollout.views import ReplicaLimits
from flagger_py.workloads.autoscaling.kind import ScalerKind
from flagger_py.workloads.base import CANARY_SUFFIX, PRIMARY_SUFFIX
from flagger_py.workloads.metadata import LAST_APPLIED, annotations_of, labels_of, without_toolkit_keys
from flagger_py.workloads.primary import primary_name

PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"
PAUSING_PREFIX: Final = "autoscaling.keda.sh/paused"
OWN_NAME_LABEL: Final = "scaledobject.keda.sh/name"
"""KEDA itself labels each ScaledObject with its own name."""


class ScaledObjectKind(ScalerKind):
    """Without a pause KEDA would start pods again that were scaled to zero."""

    resource = SCALED_OBJECT
    least_field = "minReplicaCount"
    most_field = "maxReplicaCount"
    default_limits: ClassVar[ReplicaLimits] = ReplicaLimits(0, 100)

    def copied_spec(self, canary: Canary, source: Manifest) -> Manifest:
        spec = self._for_primary(canary, source)
        for trigger in _triggers(spec):
            _give_query(canary, trigger, _rewritten)
        return spec

    def flaggers_spec(self, canary: Canary, source: Manifest) -> Manifest:
        """Flagger replaces the target's name inside other names too (workloads:KEDA-04)."""
        spec = self._for_primary(canary, source)
        for trigger in _triggers(spec):
            _give_query(canary, trigger, _replaced)
        return spec

    def _for_primary(self, canary: Canary, source: Manifest) -> Manifest:
        """All but the queries (workloads:KEDA-01, KEDA-02)."""
        spec: Manifest = deepcopy(source["spec"])
        spec["scaleTargetRef"] = {**spec["scaleTargetRef"], "name": primary_name(canary)}
        advanced = spec.get("advanced") or {}
        config = advanced.get("horizontalPodAutoscalerConfig") or {}
        if config.get("name"):
            config["name"] += PRIMARY_SUFFIX
        spec["advanced"] = {**advanced, "horizontalPodAutoscalerConfig": config}
        return spec

    def copied_labels(self, source: Manifest) -> dict[str, str]:
        return {key: value for key, value in without_toolkit_keys(labels_of(source)).items() if key != OWN_NAME_LABEL}

    def copied_annotations(self, source: Manifest, prefixes: tuple[str, ...]) -> dict[str, str]:
        """All but those that pause the target, and what belongs to kubectl's own object (workloads:KEDA-03)."""
        del prefixes
        copied = without_toolkit_keys(annotations_of(source))
        return {key: value for key, value in copied.items() if key != LAST_APPLIED and not key.startswith(PAUSING_PREFIX)}

    def pausing_annotations(self, manifest: Manifest) -> dict[str, str]:
        return {key: value for key, value in annotations_of(manifest).items() if key.startswith(PAUSING_PREFIX)}

    def is_paused(self, source: Manifest) -> bool | None:
        """Only at zero: another number is its user's wish (workloads:KEDA-06)."""
        return annotations_of(source).get(PAUSED_REPLICAS) == "0"

    def pause_patch(self, *, paused: bool) -> dict[str, Any]:
        return {"metadata": {"annotations": {PAUSED_REPLICAS: "0" if paused else None}}}

    def remark(self, canary: Canary, source: Manifest) -> str:
        """Also a query for a trigger that does not exist (api:GAP-52)."""
        names = {trigger.get("name") for trigger in _triggers(source["spec"])}
        unknown = sorted(set(_given_queries(canary) or ()) - names)
        if not unknown:
            return super().remark(canary, source)
        known = sorted(name for name in names if name)
        return f"the Canary's primaryScalerQueries name {unknown}, but spec.triggers[].name has {known}"


def _triggers(spec: Manifest) -> list[dict[str, Any]]:
    return [trigger for trigger in spec.get("triggers") or () if isinstance(trigger, dict)]


def _given_queries(canary: Canary) -> dict[str, str] | None:
    ref = canary.spec.autoscaler_ref
    return ref.primary_scaler_queries if ref else None


def _give_query(canary: Canary, trigger: dict[str, Any], rewrite: Callable[[str, str], str]) -> None:
    """Give a trigger of the primary's the query that counts the primary (workloads:KEDA-04)."""
    queries, metadata = _given_queries(canary), trigger.get("metadata") or {}
    if queries is not None:
        if trigger.get("name") in queries:
            trigger["metadata"] = {**metadata, "query": queries[trigger["name"]]}
    elif metadata.get("query"):
        trigger["metadata"] = {**metadata, "query": rewrite(metadata["query"], canary.spec.target_ref.name)}


def _rewritten(query: str, target: str) -> str:
    """The target's name, or that of its canary Service, where it is not part of a longer name.

    `web-[a-z0-9]+` matches the names of its pods, and is rewritten too.
    """
    return re.sub(rf"(?<![\w-]){re.escape(target)}(?:{CANARY_SUFFIX})?(?!\w|-\w)", lambda _: target + PRIMARY_SUFFIX, query)


def _replaced(query: str, target: str) -> str:
    """Wherever the text occurs."""
    return re.sub(rf"{re.escape(target)}(?:{CANARY_SUFFIX})?", lambda _: target + PRIMARY_SUFFIX, query)
