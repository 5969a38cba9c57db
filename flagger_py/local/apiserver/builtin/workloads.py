"""Deployment, ReplicaSet, DaemonSet, ControllerRevision and HorizontalPodAutoscaler."""

import re
from typing import Any, ClassVar, Final

from flagger_py.local.apiserver.builtin.pods import default_template, template_errors
from flagger_py.local.apiserver.selectors import selector_test
from flagger_py.local.apiserver.status import FieldError, forbidden_value, invalid_value, not_supported, required
from flagger_py.local.apiserver.strategy import Strategy
from flagger_py.objects.resource import Manifest

_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_IMMUTABLE: Final = "field is immutable"
_PERCENT: Final = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
_TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"


class WorkloadStrategy(Strategy):
    """What all owners of a pod template share: defaults of the template, and a selector that matches it and never changes."""

    has_generation = True
    noun: ClassVar[str] = ""

    def set_defaults(self, new: Manifest) -> None:
        spec = new.setdefault("spec", {})
        default_template(spec.setdefault("template", {}))

    def prepare_create(self, new: Manifest) -> None:
        new["status"] = {}

    def is_new_generation(self, new: Manifest, old: Manifest) -> bool:
        return bool(new["spec"] != old["spec"])

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        spec = new["spec"]
        errors = [] if spec.get("replicas", 0) >= 0 else [invalid_value("spec.replicas", spec["replicas"], _NOT_NEGATIVE)]
        errors += self._selector_errors(spec)
        errors += template_errors(spec["template"], "spec.template")
        errors += self.own_errors(spec)
        if old is not None and spec.get("selector") != old["spec"].get("selector"):
            errors.append(invalid_value("spec.selector", spec.get("selector"), _IMMUTABLE))
        return errors

    def own_errors(self, spec: dict[str, Any]) -> list[FieldError]:
        """Complaints about the fields that only this kind has."""
        del spec
        return []

    def _selector_errors(self, spec: dict[str, Any]) -> list[FieldError]:
        selector, labels = spec.get("selector"), spec["template"].get("metadata", {}).get("labels")
        errors = [required("spec.selector")] if selector is None else []
        if selector == {}:
            errors.append(invalid_value("spec.selector", {}, f"empty selector is invalid for {self.noun}"))
        elif not selector_test(selector)(labels or {}):
            errors.append(invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
        return errors


class DeploymentStrategy(WorkloadStrategy):
    """Deployments. Their generation counts changes of annotations too."""

    noun = "deployment"

    def set_defaults(self, new: Manifest) -> None:
        super().set_defaults(new)
        strategy = new["spec"].setdefault("strategy", {"type": "RollingUpdate"})
        if strategy["type"] == "RollingUpdate":
            strategy.setdefault("rollingUpdate", {"maxUnavailable": "25%", "maxSurge": "25%"})

    def is_new_generation(self, new: Manifest, old: Manifest) -> bool:
        annotations = [one["metadata"].get("annotations", {}) for one in (new, old)]
        return bool(super().is_new_generation(new, old) or annotations[0] != annotations[1])

    def own_errors(self, spec: dict[str, Any]) -> list[FieldError]:
        errors = _strategy_errors(spec["strategy"], "spec.strategy")
        if spec.get("minReadySeconds", 0) < 0:
            errors.append(invalid_value("spec.minReadySeconds", spec["minReadySeconds"], _NOT_NEGATIVE))
        deadline = spec["progressDeadlineSeconds"]
        if deadline <= spec.get("minReadySeconds", 0):
            errors.append(invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
        return errors


class ReplicaSetStrategy(WorkloadStrategy):
    noun = "deployment"  # kube-apiserver's own slip

    def prepare_create(self, new: Manifest) -> None:
        new["status"] = {"replicas": 0}


class DaemonSetStrategy(WorkloadStrategy):
    noun = "daemonset"

    def set_defaults(self, new: Manifest) -> None:
        super().set_defaults(new)
        strategy = new["spec"].setdefault("updateStrategy", {"type": "RollingUpdate"})
        if strategy["type"] == "RollingUpdate":
            strategy.setdefault("rollingUpdate", {"maxUnavailable": 1, "maxSurge": 0})

    def prepare_create(self, new: Manifest) -> None:
        counts = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        new["status"] = dict.fromkeys(counts, 0)
        new["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = "1"

    def prepare_update(self, new: Manifest, old: Manifest) -> None:
        super().prepare_update(new, old)
        count = int(old["metadata"].get("annotations", {}).get(_TEMPLATE_GENERATION, "0"))
        if new["spec"]["template"] != old["spec"]["template"]:
            count += 1
        new["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = str(count)


class ControllerRevisionStrategy(Strategy):
    """Revisions: their data never changes."""

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        revision = new.get("revision", 0)
        errors = [] if revision >= 0 else [invalid_value("revision", revision, _NOT_NEGATIVE)]
        if "data" not in new:
            errors.append(required("data", "data is mandatory"))
        elif old is not None and new["data"] != old["data"]:
            errors.append(invalid_value("data", new["data"], _IMMUTABLE))
        return errors

    def set_defaults(self, new: Manifest) -> None:
        new.setdefault("revision", 0)


class AutoscalerStrategy(Strategy):
    """HorizontalPodAutoscalers of autoscaling/v2."""

    def set_defaults(self, new: Manifest) -> None:
        spec = new.setdefault("spec", {})
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": 80}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        behavior = spec.get("behavior")
        if behavior is not None:
            up = [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]
            _default_scaling(behavior.setdefault("scaleUp", {}), up, stabilization=0)
            _default_scaling(behavior.setdefault("scaleDown", {}), up[1:], stabilization=None)

    def prepare_create(self, new: Manifest) -> None:
        new["status"] = {"desiredReplicas": 0, "currentMetrics": None}

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        spec = new["spec"]
        least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
        errors = [] if least >= 1 else [invalid_value("spec.minReplicas", least, "must be greater than or equal to 1")]
        if most < 1:
            errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
        if most < least:
            errors.append(invalid_value("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
        target = spec.get("scaleTargetRef", {})
        return errors + [required(f"spec.scaleTargetRef.{name}") for name in ("kind", "name") if not target.get(name)]


def _default_scaling(rules: dict[str, Any], policies: list[dict[str, Any]], *, stabilization: int | None) -> None:
    if stabilization is not None:
        rules.setdefault("stabilizationWindowSeconds", stabilization)
    rules.setdefault("selectPolicy", "Max")
    rules.setdefault("policies", policies)


def _strategy_errors(strategy: dict[str, Any], field: str) -> list[FieldError]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate")
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden_value(f"{field}.rollingUpdate", why)] if rolling is not None else []
    if kind != "RollingUpdate":
        return [not_supported(field, {"Type": kind, "RollingUpdate": rolling}, ("Recreate", "RollingUpdate"))]
    rolling = rolling or {}
    errors = [
        error
        for name in ("maxUnavailable", "maxSurge")
        for error in _amount_errors(rolling.get(name, "25%"), f"{field}.rollingUpdate.{name}")
    ]
    if not errors and all(str(rolling.get(name)).rstrip("%") == "0" for name in ("maxUnavailable", "maxSurge")):
        errors.append(
            invalid_value(f"{field}.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0")
        )
    return errors


def _amount_errors(amount: int | str, field: str) -> list[FieldError]:
    if isinstance(amount, int):
        return [] if amount >= 0 else [invalid_value(field, amount, _NOT_NEGATIVE)]
    if re.fullmatch(r"[0-9]+%", amount):
        return []
    return [invalid_value(field, amount, f"{_PERCENT}regex used for validation is '[0-9]+%')")]
