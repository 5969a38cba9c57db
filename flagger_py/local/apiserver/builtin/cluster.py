"""Namespaces, leases, events, endpoint slices, RBAC objects and CustomResourceDefinitions."""

from typing import Any, Final

from flagger_py.local.apiserver.definitions import CLEANUP, pending_status, unsupported_rules
from flagger_py.local.apiserver.names import label_errors, path_segment_errors
from flagger_py.local.apiserver.status import FieldError, invalid_value, not_supported, required
from flagger_py.local.apiserver.strategy import Strategy, keep_field
from flagger_py.objects.resource import Manifest

_ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")
_KEPT: Final = frozenset({"default", "kube-system", "kube-public"})
_SCOPES: Final = ("Cluster", "Namespaced")
_RBAC: Final = "rbac.authorization.k8s.io"


class NamespaceStrategy(Strategy):
    """Namespaces: a finalizer in their specification holds them until their contents are gone."""

    name_errors = staticmethod(label_errors)
    answers_deleted_object = True

    def set_defaults(self, new: Manifest) -> None:
        if name := new["metadata"].get("name"):
            new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name

    def prepare_create(self, new: Manifest) -> None:
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}

    def prepare_update(self, new: Manifest, old: Manifest) -> None:
        keep_field(new, old, "status")
        keep_field(new, old, "spec")

    def prepare_subresource(self, new: Manifest, old: Manifest) -> None:
        """`finalize` changes the finalizers and nothing else."""
        keep_field(new, old, "status")
        new["metadata"] = {**old["metadata"]}

    def deletion_refusal(self, old: Manifest) -> str:
        return "this namespace may not be deleted" if old["metadata"]["name"] in _KEPT else ""

    def prepare_deletion(self, new: Manifest) -> None:
        new["status"] = {**new.get("status", {}), "phase": "Terminating"}

    def is_held(self, manifest: Manifest) -> bool:
        return bool(manifest.get("spec", {}).get("finalizers"))


class LeaseStrategy(Strategy):
    creates_on_update = True

    def set_defaults(self, new: Manifest) -> None:
        new.setdefault("spec", {})

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        spec = new["spec"]
        errors = []
        if spec.get("leaseDurationSeconds", 1) <= 0:
            errors.append(invalid_value("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
        if spec.get("leaseTransitions", 0) < 0:
            errors.append(invalid_value("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0"))
        return errors


class EventStrategy(Strategy):
    """Events: they live in the namespace of what they are about; those about cluster-wide objects live in `default`."""

    creates_on_update = True

    def set_defaults(self, new: Manifest) -> None:
        for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
            new.setdefault(name, None)
        for name in ("reportingComponent", "reportingInstance"):
            new.setdefault(name, "")

    def unowned(self, new: Manifest) -> frozenset[tuple[str, ...]]:
        names = ("firstTimestamp", "lastTimestamp", "eventTime", "reportingComponent", "reportingInstance")
        return frozenset((f"f:{name}",) for name in names if not new.get(name))

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        about, own = new.get("involvedObject", {}).get("namespace", ""), new["metadata"]["namespace"]
        if about != own and not (not about and own in {"default", "kube-system"}):
            return [invalid_value("involvedObject.namespace", about, "does not match event.namespace")]
        return []


class EndpointsStrategy(Strategy):
    creates_on_update = True


class ServiceAccountStrategy(Strategy):
    answers_deleted_object = True


class EndpointSliceStrategy(Strategy):
    has_generation = True

    def prepare_create(self, new: Manifest) -> None:
        pass

    def prepare_update(self, new: Manifest, old: Manifest) -> None:
        pass

    def is_new_generation(self, new: Manifest, old: Manifest) -> bool:
        return any(new.get(name) != old.get(name) for name in ("endpoints", "ports", "addressType"))

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        errors = []
        if new.get("addressType") not in _ADDRESS_TYPES:
            errors.append(not_supported("addressType", new.get("addressType", ""), _ADDRESS_TYPES))
        for index, endpoint in enumerate(new.get("endpoints", [])):
            if not endpoint.get("addresses"):
                errors.append(required(f"endpoints[{index}].addresses", "must contain at least 1 address"))
        if old is not None and new.get("addressType") != old.get("addressType"):
            errors.append(invalid_value("addressType", new.get("addressType"), "field is immutable"))
        return errors


class RoleStrategy(Strategy):
    creates_on_update = True
    name_errors = staticmethod(path_segment_errors)

    def set_defaults(self, new: Manifest) -> None:
        new.setdefault("rules", None)

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        errors = []
        for index, rule in enumerate(new.get("rules") or []):
            errors += _rule_errors(rule, f"rules[{index}]")
        return errors


class BindingStrategy(Strategy):
    creates_on_update = True
    name_errors = staticmethod(path_segment_errors)

    def __init__(self, *, roles: tuple[str, ...]) -> None:
        self._roles = roles

    def set_defaults(self, new: Manifest) -> None:
        for subject in new.get("subjects", []):
            if subject.get("kind") in {"User", "Group"}:
                subject.setdefault("apiGroup", _RBAC)

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        role = new.get("roleRef", {})
        errors = []
        if role.get("kind") not in self._roles:
            errors.append(not_supported("roleRef.kind", role.get("kind", ""), self._roles))
        if not role.get("name"):
            errors.append(required("roleRef.name"))
        if old is not None and role != old["roleRef"]:
            shown = {"APIGroup": role.get("apiGroup", ""), "Kind": role.get("kind", ""), "Name": role.get("name", "")}
            errors.append(invalid_value("roleRef", shown, "cannot change roleRef"))
        return errors


class DefinitionStrategy(Strategy):
    """CustomResourceDefinitions; what they define is served by `definitions.Definitions`."""

    has_generation = True
    deletion_finalizers = (CLEANUP,)

    def set_defaults(self, new: Manifest) -> None:
        names = new["spec"].setdefault("names", {})
        if kind := names.get("kind"):
            names.setdefault("singular", kind.lower())
            names.setdefault("listKind", f"{kind}List")

    def prepare_create(self, new: Manifest) -> None:
        new["status"] = pending_status(new)

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        spec, name = new["spec"], new["metadata"].get("name", "")
        expected = f"{spec['names'].get('plural', '')}.{spec.get('group', '')}"
        errors = []
        if name != expected:
            errors.append(invalid_value("metadata.name", name, f'must be spec.names.plural+"."+spec.group, expected "{expected}"'))
        errors += _scope_errors(spec)
        stored = [version["name"] for version in spec.get("versions", []) if version.get("storage")]
        if len(stored) != 1:
            why = "must have exactly one version marked as storage version"
            errors.append(invalid_value("spec.versions", [version.get("name") for version in spec.get("versions", [])], why))
        errors += _version_errors(spec.get("versions", []))
        if old is not None:
            errors += [
                invalid_value(f"spec.{field}", new_value, "field is immutable")
                for field, new_value, old_value in _fixed_fields(spec, old["spec"])
                if new_value != old_value
            ]
        return errors

    def warnings(self, new: Manifest) -> list[str]:
        return unsupported_rules(new)


def _scope_errors(spec: dict[str, Any]) -> list[FieldError]:
    scope, names = spec.get("scope", ""), spec["names"]
    errors = [] if scope in _SCOPES else [not_supported("spec.scope", scope, _SCOPES) if scope else required("spec.scope")]
    errors += [required(f"spec.names.{name}") for name in ("plural", "kind") if not names.get(name)]
    for name in ("plural", "singular", "listKind", "kind"):
        errors += [invalid_value(f"spec.names.{name}", names[name], one) for one in label_errors(names.get(name, "x").lower())]
    return errors


def _version_errors(versions: list[dict[str, Any]]) -> list[FieldError]:
    errors = []
    for index, version in enumerate(versions):
        if not version.get("schema", {}).get("openAPIV3Schema"):
            errors.append(required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required"))
    return errors


def _fixed_fields(spec: dict[str, Any], old: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    names = [(f"names.{name}", spec["names"].get(name), old["names"].get(name)) for name in ("kind", "plural")]
    return [(name, spec.get(name), old.get(name)) for name in ("group", "scope")] + names


def _rule_errors(rule: dict[str, Any], field: str) -> list[FieldError]:
    errors = [] if rule.get("verbs") else [required(f"{field}.verbs", "verbs must contain at least one value")]
    if rule.get("nonResourceURLs"):
        return errors
    for name, noun in (("apiGroups", "one api group"), ("resources", "one resource")):
        if not rule.get(name):
            errors.append(required(f"{field}.{name}", f"resource rules must supply at least {noun}"))
    return errors
