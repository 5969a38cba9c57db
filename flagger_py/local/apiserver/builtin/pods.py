"""Pods and pod templates: what kube-apiserver fills in, and what it refuses."""

from collections.abc import Iterator
from typing import Any, Final

from flagger_py.local.apiserver.names import label_errors, label_set_errors
from flagger_py.local.apiserver.quantity import parse_quantity
from flagger_py.local.apiserver.status import FieldError, duplicate_value, forbidden_value, invalid_value, not_supported, required
from flagger_py.local.apiserver.strategy import Strategy
from flagger_py.objects.resource import Manifest

_PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_TOLERATION_SECONDS: Final = 300
_MAY_CHANGE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


class PodStrategy(Strategy):
    """Pods: their containers are nearly immutable, and they are deleted with grace once they run on a node."""

    has_generation = True
    answers_deleted_object = True

    def set_defaults(self, new: Manifest) -> None:
        spec = new.setdefault("spec", {})
        default_pod_spec(spec)
        spec.setdefault("enableServiceLinks", True)
        for container in containers(spec):
            _request_limits(container["resources"])

    def prepare_create(self, new: Manifest) -> None:
        new["status"] = {"phase": "Pending", "qosClass": _quality(new.get("spec", {}))}
        spec = new.get("spec", {})
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        for trouble in ("not-ready", "unreachable"):
            _tolerate(spec, f"node.kubernetes.io/{trouble}")

    def prepare_status(self, new: Manifest, old: Manifest) -> None:
        super().prepare_status(new, old)
        new.setdefault("status", {}).setdefault("qosClass", old["status"].get("qosClass", "BestEffort"))

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        errors = pod_spec_errors(new.get("spec", {}), "spec")
        if old is not None and _fixed_part(new["spec"]) != _fixed_part(old["spec"]):
            errors.append(forbidden_value("spec", _MAY_CHANGE))
        return errors

    def grace_seconds(self, old: Manifest) -> int:
        if not old["spec"].get("nodeName") or old.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            return 0
        seconds: int = old["spec"].get("terminationGracePeriodSeconds", 30)
        return seconds


def default_template(template: dict[str, Any]) -> None:
    """Fill in what depends on other fields of a pod template."""
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: dict[str, Any]) -> None:
    for container in containers(spec):
        container.setdefault("imagePullPolicy", "Always" if _is_moving(container.get("image", "")) else "IfNotPresent")
    for volume in spec.get("volumes", []):
        if not any(name != "name" for name in volume):
            volume["emptyDir"] = {}
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec |= {"serviceAccountName": account, "serviceAccount": account}


def _request_limits(resources: dict[str, Any]) -> None:
    """What a pod may use at most it also requests, unless it says otherwise. Pod templates are left as they are."""
    for name, limit in resources.get("limits", {}).items():
        if name not in resources.get("requests", {}):
            resources.setdefault("requests", {})[name] = limit


def containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Init containers and containers."""
    yield from spec.get("initContainers", [])
    yield from spec.get("containers", [])


def template_errors(template: dict[str, Any], field: str) -> list[FieldError]:
    """Complaints about a pod template's labels and specification."""
    labels = label_set_errors(template.get("metadata", {}).get("labels", {}), f"{field}.labels")
    return [*labels, *pod_spec_errors(template.get("spec", {}), f"{field}.spec")]


def pod_spec_errors(spec: dict[str, Any], field: str) -> list[FieldError]:
    errors = _volume_errors(spec.get("volumes", []), f"{field}.volumes")
    if not spec.get("containers"):
        return [*errors, required(f"{field}.containers")]
    volumes = {volume.get("name") for volume in spec.get("volumes", [])}
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind, [])):
            errors += _container_errors(container, f"{field}.{kind}[{index}]", names, volumes)
    return errors


def _volume_errors(volumes: list[dict[str, Any]], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        name = volume.get("name", "")
        errors += _name_errors(name, f"{field}[{index}].name", names)
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            errors.append(forbidden_value(f"{field}[{index}].{sources[1]}", "may not specify more than 1 volume type"))
    return errors


def _container_errors(container: dict[str, Any], field: str, names: set[str], volumes: set[str | None]) -> list[FieldError]:
    errors = _name_errors(container.get("name", ""), f"{field}.name", names)
    if not container.get("image", "").strip():
        errors.append(required(f"{field}.image"))
    errors += _port_errors(container.get("ports", []), f"{field}.ports")
    for index, variable in enumerate(container.get("env", [])):
        if not variable.get("name"):
            errors.append(required(f"{field}.env[{index}].name"))
    for index, mount in enumerate(container.get("volumeMounts", [])):
        errors += _mount_errors(mount, f"{field}.volumeMounts[{index}]", volumes)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container and not any(handler in container[probe] for handler in _HANDLERS):
            errors.append(required(f"{field}.{probe}", "must specify a handler type"))
    if container["imagePullPolicy"] not in _PULL_POLICIES:
        errors.append(not_supported(f"{field}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES))
    return [*errors, *_resource_errors(container["resources"], f"{field}.resources")]


def _name_errors(name: str, field: str, taken: set[str]) -> list[FieldError]:
    if not name:
        return [required(field)]
    if name in taken:
        return [duplicate_value(field, name)]
    taken.add(name)
    return [invalid_value(field, name, error) for error in label_errors(name)]


def _port_errors(ports: list[dict[str, Any]], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        if (name := port.get("name", "")) and name in names:
            errors.append(duplicate_value(f"{field}[{index}].name", name))
        names.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            errors.append(required(f"{field}[{index}].containerPort"))
        elif not 0 < number < 65536:
            errors.append(invalid_value(f"{field}[{index}].containerPort", number, "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in _PROTOCOLS:
            errors.append(not_supported(f"{field}[{index}].protocol", port.get("protocol"), _PROTOCOLS))
    return errors


def _mount_errors(mount: dict[str, Any], field: str, volumes: set[str | None]) -> list[FieldError]:
    errors = [] if mount.get("name") else [required(f"{field}.name")]
    if mount.get("name") and mount["name"] not in volumes:
        errors.append(FieldError(f"{field}.name", "FieldValueNotFound", f'Not found: "{mount["name"]}"'))
    return errors if mount.get("mountPath") else [*errors, required(f"{field}.mountPath")]


def _resource_errors(resources: dict[str, Any], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits = resources.get("limits", {})
    for name, request in resources.get("requests", {}).items():
        asked, limit = parse_quantity(request), parse_quantity(limits.get(name))
        if asked is not None and limit is not None and asked > limit:
            errors.append(invalid_value(f"{field}.requests", request, f"must be less than or equal to {name} limit of {limits[name]}"))
    return errors


def _is_moving(image: str) -> bool:
    """Whether an image's tag may mean another image tomorrow: `latest`, or no tag at all."""
    name = image.rpartition("/")[2]
    return "@" not in name and (":" not in name or name.endswith(":latest"))


def _fixed_part(spec: dict[str, Any]) -> dict[str, Any]:
    changing = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "containers", "initContainers", "nodeName"}
    images = [[{**container, "image": ""} for container in spec.get(kind, [])] for kind in ("containers", "initContainers")]
    return {name: value for name, value in spec.items() if name not in changing} | {"images": images}


def _tolerate(spec: dict[str, Any], key: str) -> None:
    tolerations = spec.setdefault("tolerations", [])
    if not any(one.get("key") in {key, None} and one.get("effect") in {"NoExecute", None} for one in tolerations):
        seconds = {"tolerationSeconds": _TOLERATION_SECONDS}
        tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", **seconds})


def _quality(spec: dict[str, Any]) -> str:
    """The quality-of-service class that the kubelet goes by."""
    resources = [container.get("resources", {}) for container in containers(spec)]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    compute = {"cpu", "memory"}
    guaranteed = all(compute <= set(one.get("limits", {})) and one.get("requests") == one.get("limits") for one in resources)
    return "Guaranteed" if guaranteed else "Burstable"
