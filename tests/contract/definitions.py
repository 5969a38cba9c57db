"""CustomResourceDefinitions for the tests: one kind, `Widget`, in a group of the test's own."""

from typing import Any

Json = dict[str, Any]

SPEC: Json = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 1000},
        "replicas": {"type": "integer"},
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "title": {"type": "string", "pattern": "^a", "minLength": 2, "maxLength": 5},
        "fixed": {"type": "string"},
        "either": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "maybe": {"type": "string", "nullable": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "items": {
            "type": "array",
            "maxItems": 3,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
            "items": {
                "type": "object",
                "required": ["key"],
                "properties": {"key": {"type": "string"}, "count": {"type": "integer", "default": 7}},
            },
        },
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "choice": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
    },
    "required": ["size"],
    "x-kubernetes-validations": [
        {"rule": "self.size < 100", "message": "too big"},
        {"rule": "self.size != 13"},
        {"rule": "!has(oldSelf.fixed) || (has(self.fixed) && self.fixed == oldSelf.fixed)", "message": "fixed is immutable"},
    ],
}
STATUS: Json = {
    "type": "object",
    "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}, "selector": {"type": "string"}},
}


def version(name: str = "v1", *, storage: bool = True, spec: Json | None = None, **extra: Any) -> Json:
    """A served version with the sub-resources status and scale."""
    properties = {"spec": SPEC if spec is None else spec, "status": STATUS}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"status": {}, "scale": scale},
        **extra,
    }


def definition(group: str, *versions: Json, scope: str = "Namespaced") -> Json:
    """The CRD of `Widget`."""
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]}
    spec = {"group": group, "scope": scope, "names": names, "versions": list(versions) or [version()]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": spec,
    }


def widget(group: str, name: str = "w", *, api_version: str = "v1", **spec: Any) -> Json:
    """A Widget of size 1, unless another is asked for."""
    return {"apiVersion": f"{group}/{api_version}", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1, **spec}}
