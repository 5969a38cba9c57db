"""What differs between the kinds of autoscaler. Pure; manifests are from the store or whole."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest, Resource
from flagger_py.rollout.views import ReplicaLimits


class ScalerKind(ABC):
    """One kind of autoscaler."""

    resource: ClassVar[Resource]
    least_field: ClassVar[str]
    most_field: ClassVar[str]
    default_limits: ClassVar[ReplicaLimits]
    """What the fields mean where they are absent."""

    def limits(self, manifest: Manifest) -> ReplicaLimits:
        """Between which numbers it moves."""
        spec = manifest.get("spec") or {}
        least, most = spec.get(self.least_field), spec.get(self.most_field)
        return ReplicaLimits(
            self.default_limits.least if least is None else int(least),
            self.default_limits.most if most is None else int(most),
        )

    def with_limits(self, spec: Mapping[str, Any], limits: ReplicaLimits) -> Manifest:
        """The spec with other limits; a field that says the same by being absent stays so."""
        current = self.limits({"spec": spec})
        changed = {}
        if limits.least != current.least:
            changed[self.least_field] = limits.least
        if limits.most != current.most:
            changed[self.most_field] = limits.most
        return {**spec, **changed}

    @abstractmethod
    def copied_spec(self, canary: Canary, source: Manifest) -> Manifest:
        """The spec of the primary's, before the Canary's own limits."""

    def flaggers_spec(self, canary: Canary, source: Manifest) -> Manifest:
        """As Flagger would have written it: equal to ours, unless a kind says otherwise."""
        return self.copied_spec(canary, source)

    @abstractmethod
    def copied_labels(self, source: Manifest) -> dict[str, str]:
        """The labels that the primary's gets."""

    @abstractmethod
    def copied_annotations(self, source: Manifest, prefixes: tuple[str, ...]) -> dict[str, str]:
        """The annotations that the primary's gets; `prefixes` are those of `-include-label-prefix`."""

    def pausing_annotations(self, manifest: Manifest) -> dict[str, str]:
        """Those that hold its workload at a number of pods."""
        del manifest
        return {}

    def is_paused(self, source: Manifest) -> bool | None:
        """Whether it holds the target at zero; `None` where Kubernetes itself leaves a target at zero alone."""
        del source
        return None

    def pause_patch(self, *, paused: bool) -> dict[str, Any]:
        """The merge patch that pauses the target's or lets it go on."""
        del paused
        return {}

    def remark(self, canary: Canary, source: Manifest) -> str:
        """What is odd about it; empty where nothing is."""
        scaled = source["spec"]["scaleTargetRef"]
        kind, name = scaled.get("kind") or "Deployment", scaled.get("name")
        target = canary.spec.target_ref
        if (kind, name) == (target.kind, target.name):
            return ""
        return f"spec.scaleTargetRef is {kind} {name}, not the Canary's target {target.kind} {target.name}"
