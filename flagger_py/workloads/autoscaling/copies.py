"""The primary's autoscaler: what it is to be, and how a live one compares with that. Pure."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.views import CopyState, ReplicaLimits
from flagger_py.workloads.autoscaling.kind import ScalerKind
from flagger_py.workloads.base import PRIMARY_SUFFIX, WorkloadError
from flagger_py.workloads.metadata import annotations_of, labels_of, owner_reference

KEPT_METADATA = frozenset({"name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences", "deletionTimestamp"})


@dataclass(frozen=True, slots=True)
class Copying:
    """The copy of one autoscaler for one Canary."""

    kind: ScalerKind
    canary: Canary
    source: Manifest
    label_prefixes: tuple[str, ...] = ()

    @property
    def limits(self) -> ReplicaLimits:
        """The source's, or the Canary's own. Raises `WorkloadError` where they exclude each other."""
        limits, ref = self.kind.limits(self.source), self.canary.spec.autoscaler_ref
        own = ref.primary_scaler_replicas if ref else None
        if own is not None:
            least = limits.least if own.min_replicas is None else own.min_replicas
            most = limits.most if own.max_replicas is None else own.max_replicas
            limits = ReplicaLimits(least, most)
        if limits.least > limits.most:
            raise WorkloadError(
                f"spec.autoscalerRef.primaryScalerReplicas: the primary would get {self.kind.least_field} {limits.least} and "
                f"{self.kind.most_field} {limits.most}, in part from {_name(self.source)}; the first must not be greater than the second"
            )
        return limits

    @property
    def digest(self) -> str:
        """16 hex digits over all that the copy is to be."""
        text = json.dumps([self._spec(self.limits), self._labels, self._annotations], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def new(self, least: int = 0) -> Manifest:
        """The copy as it is created, with at least so many least replicas (workloads:HPA-01, HPA-02, KEDA-01..03)."""
        metadata: dict[str, Any] = {
            "name": self.source["metadata"]["name"] + PRIMARY_SUFFIX,
            "namespace": self.canary.namespace,
            "ownerReferences": [owner_reference(self.canary)],
        }
        metadata |= {key: value for key, value in (("labels", self._labels), ("annotations", self._annotations)) if value}
        resource = self.kind.resource
        spec = self._spec(_raised(self.limits, least))
        return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}

    def renewed(self, live: Manifest, least: int = 0) -> Manifest:
        """The live copy as it is to be; labels and annotations that others have put on stay (workloads:KEDA-05)."""
        return {**self._unpaused(live), "spec": self._spec(_raised(self.limits, least))}

    def raised(self, live: Manifest, least: int = 0) -> Manifest:
        """The live copy in the middle of a rollout: no limit sinks, all else waits for the promotion."""
        now, wanted = self.kind.limits(live), self.limits
        limits = _raised(ReplicaLimits(max(now.least, wanted.least), max(now.most, wanted.most)), least)
        unpaused = {**live, "metadata": _without(live["metadata"], self.kind.pausing_annotations(live))}
        return {**unpaused, "spec": self.kind.with_limits(live["spec"], limits)}

    def state(self, live: Manifest | None) -> CopyState:
        """How a live copy compares with what it is to be, whatever its least replicas are."""
        if live is None:
            return CopyState.MISSING
        if self.kind.pausing_annotations(live):
            return CopyState.PAUSED
        spec, kept = self._comparable(live["spec"]), ReplicaLimits(0, self.limits.most)
        if spec == self._comparable(self._spec(kept)):
            return CopyState.IN_STEP if self._unpaused(live) == live else CopyState.DATED
        flaggers = self.kind.with_limits(self.kind.flaggers_spec(self.canary, self.source), kept)
        return CopyState.DATED if spec == self._comparable(flaggers) else CopyState.DIFFERS

    def _spec(self, limits: ReplicaLimits) -> Manifest:
        return self.kind.with_limits(self.kind.copied_spec(self.canary, self.source), limits)

    def _comparable(self, spec: Manifest) -> Manifest:
        return {key: value for key, value in spec.items() if key != self.kind.least_field}

    def _unpaused(self, live: Manifest) -> Manifest:
        unpaused = {**live, "metadata": _without(live["metadata"], self.kind.pausing_annotations(live))}
        merged = {
            "labels": {**labels_of(unpaused), **self._labels},
            "annotations": {**annotations_of(unpaused), **self._annotations},
        }
        return {**unpaused, "metadata": {**unpaused["metadata"], **{key: value for key, value in merged.items() if value}}}

    @property
    def _labels(self) -> dict[str, str]:
        return self.kind.copied_labels(self.source)

    @property
    def _annotations(self) -> dict[str, str]:
        return self.kind.copied_annotations(self.source, self.label_prefixes)


def project(manifest: Manifest) -> Manifest:
    """What the store keeps of an autoscaler: no status, which changes with every measurement, and no earlier form of itself."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key in KEPT_METADATA}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def _raised(limits: ReplicaLimits, least: int) -> ReplicaLimits:
    return replace(limits, least=max(limits.least, min(least, limits.most)))


def _without(metadata: Manifest, annotations: dict[str, str]) -> Manifest:
    if not annotations:
        return metadata
    kept = {key: value for key, value in metadata["annotations"].items() if key not in annotations}
    return {**metadata, "annotations": kept}


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata'].get('namespace', '')}/{manifest['metadata']['name']}"
