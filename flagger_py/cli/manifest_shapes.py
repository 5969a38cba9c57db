"""The shape of the Kubernetes objects that are read from files, as far as our code relies on it: an API server would refuse the rest."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flagger_py.api.problems import Problem, invalid, join_path
from flagger_py.objects.resource import Manifest

_REQUIRED: Final = "!"
"""At the end of a field's name: it must be there."""

Path = tuple[str | int, ...]

_EACH: Final = "*"
"""Stands for every field of a map."""

_TEXTS: Final = {_EACH: str}
_CONFIG: Final = {"name": str, "secretName": str}
_CONTAINERS: Final = [
    {
        "name!": str,
        "ports": [{"containerPort!": int, "name": str}],
        "env": [{"valueFrom": {"configMapKeyRef": _CONFIG, "secretKeyRef": _CONFIG}}],
        "envFrom": [{"configMapRef": _CONFIG, "secretRef": _CONFIG}],
    }
]
_SELECTOR: Final = {"matchExpressions": [{"key!": str, "values": [str]}], "matchLabels": _TEXTS}
_TERM: Final = {"labelSelector": _SELECTOR}
_POD: Final = {
    "containers!": _CONTAINERS,
    "initContainers": _CONTAINERS,
    "volumes": [{"configMap": _CONFIG, "secret": _CONFIG, "projected": {"sources": [{"configMap": _CONFIG, "secret": _CONFIG}]}}],
    "nodeSelector": _TEXTS,
    "topologySpreadConstraints": [_TERM],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": _TERM}],
            "requiredDuringSchedulingIgnoredDuringExecution": [_TERM],
        }
    },
}
_OBJECT: Final[Mapping[str, Any]] = {
    "apiVersion!": str,
    "kind!": str,
    "metadata!": {
        "name!": str,
        "namespace": str,
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "ownerReferences": [{"name!": str, "kind!": str}],
    },
}
_WORKLOAD: Final[Mapping[str, Any]] = {
    "selector!": {"matchLabels": _TEXTS},
    "template!": {"metadata": {"labels": _TEXTS, "annotations": _TEXTS}, "spec!": _POD},
}
_BY_KIND: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("apps", "Deployment"): {"spec!": {"replicas": int, **_WORKLOAD}},
    ("apps", "DaemonSet"): {"spec!": {"updateStrategy": {"type": str}, **_WORKLOAD}},
    ("", "Service"): {"spec!": {"selector": _TEXTS, "ports": [{"port!": int}]}},
    ("", "ConfigMap"): {"data": _TEXTS, "binaryData": _TEXTS},
    ("", "Secret"): {"data": _TEXTS, "stringData": _TEXTS, "type": str},
}


def shape_problems(manifest: Manifest) -> Iterator[Problem]:
    """Every field that is missing or no value of its type."""
    group, kind = str(manifest.get("apiVersion", "")).rpartition("/")[0], str(manifest.get("kind"))
    yield from _problems(manifest, {**_OBJECT, **_BY_KIND.get((group, kind), {})}, ())


def _problems(value: Any, shape: Any, path: Path) -> Iterator[Problem]:
    if isinstance(shape, Mapping):
        yield from _map_problems(value, shape, path)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield _wrong(path, value, "must be a list")
            return
        for index, item in enumerate(value):
            yield from _problems(item, shape[0], (*path, index))
    elif not isinstance(value, shape) or isinstance(value, bool):
        yield _wrong(path, value, "must be a string" if shape is str else "must be a whole number")


def _map_problems(value: Any, shape: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield _wrong(path, value, "must be a map")
        return
    if _EACH in shape:
        shape = dict.fromkeys(value, shape[_EACH])
    for field, inner in shape.items():
        name = field.removesuffix(_REQUIRED)
        if value.get(name) is not None:
            yield from _problems(value[name], inner, (*path, name))
        elif field != name:
            yield _wrong((*path, name), None, "is required")


def _wrong(path: Path, value: Any, message: str) -> Problem:
    return invalid(join_path(path), value if isinstance(value, str | int | float) else None, message, "schema")
