"""OpenAPI documents: v3 per group and version, as clients check fields and parameters with; v2 only as much as old clients insist on."""

import hashlib
from typing import Any, Final

import orjson

from flagger_py.local.apiserver.answers import PAGE_NOT_FOUND, Answer, json_answer
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.fields import Schema
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.registry import Registry

Document = dict[str, Any]

_OWN_WORDS: Final = frozenset({"x-type", "x-micro", "x-quantity", "x-keeps-zero", "x-retain-keys"})
_WRITE_PARAMETERS: Final = [
    {"name": name, "in": "query", "description": description, "schema": {"type": "string", "uniqueItems": True}}
    for name, description in (
        ("dryRun", "When it is All, nothing is stored."),
        ("fieldManager", "The name of the writer in metadata.managedFields."),
        ("fieldValidation", "What is done with unknown and duplicate fields: Ignore, Warn or Strict."),
    )
]
_FORCE: Final = {"name": "force", "in": "query", "description": "Takes fields from other managers.", "schema": {"type": "boolean"}}
_PATCH_TYPES: Final = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_METHODS: Final = {"get": "get", "list": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}


class OpenApi:
    """Builds documents when they are asked for and keeps them until the registry changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._documents: dict[tuple[str, str], bytes] = {}

    def answer(self, call: Call) -> Answer:
        """The index, a document, or 404."""
        if self._generation != self._registry.generation:
            self._generation, self._documents = self._registry.generation, {}
        path = call.path.rstrip("/")
        if path == "/openapi/v2":
            return json_answer(self._v2())
        if path == "/openapi/v3":
            return json_answer(self._index())
        parts = path.removeprefix("/openapi/v3/").split("/")
        group, version = ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else (parts[1], parts[2]) if len(parts) == 3 else ("", "")
        if not self._registry.in_version(group, version):
            return PAGE_NOT_FOUND
        return Answer(200, self._document(group, version))

    def _index(self) -> Document:
        paths = {}
        for group, versions in self._registry.groups().items():
            for version in versions:
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = hashlib.sha256(self._document(group, version)).hexdigest().upper()
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": paths}

    def _document(self, group: str, version: str) -> bytes:
        key = (group, version)
        if key not in self._documents:
            self._documents[key] = orjson.dumps(_build(self._registry.in_version(group, version)))
        return self._documents[key]

    def _v2(self) -> Document:
        """A document without definitions: kubectl then relies on the server's own validation."""
        return {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": {}, "definitions": {}}


def _build(kinds: list[Kind]) -> Document:
    components: dict[str, Schema] = {}
    paths: Document = {}
    for kind in kinds:
        components[_component_name(kind)] = _component(kind, components)
        paths |= _paths(kind)
    info = {"title": "Kubernetes", "version": "v1.36.0"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": components}}


def _component(kind: Kind, components: dict[str, Schema]) -> Schema:
    schema = _schema(kind.schema.raw, kind, components, is_root=True)
    named = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    metadata = {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}], "default": {}}
    meta_type = kind.schema.properties["metadata"].raw
    components["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"] = _schema(meta_type, kind, components, is_root=True)
    schema["properties"] = {**named, **schema.get("properties", {}), "metadata": metadata}
    return schema | {"x-kubernetes-group-version-kind": [_group_version_kind(kind)]}


def _schema(raw: Schema, kind: Kind, components: dict[str, Schema], *, is_root: bool = False) -> Schema:
    """A schema without the words that only this server knows; named types of the field tables become references."""
    if not is_root and "x-type" in raw:
        return _reference(raw, kind, components)
    shown: Schema = {name: value for name, value in raw.items() if name not in _OWN_WORDS}
    if "properties" in raw:
        shown["properties"] = {name: _schema(child, kind, components) for name, child in raw["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(raw.get(name), dict):
            shown[name] = _schema(raw[name], kind, components)
    return shown


def _reference(raw: Schema, kind: Kind, components: dict[str, Schema]) -> Schema:
    name = f"{_prefix(kind)}.{raw['x-type']}"
    if name not in components:
        components[name] = {}  # so that a type within itself ends here
        components[name] = _schema(raw, kind, components, is_root=True)
    words: Schema = {key: raw[key] for key in ("x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key", "default") if key in raw}
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **words}


def _component_name(kind: Kind) -> str:
    return f"{_prefix(kind)}.{kind.resource.kind}"


def _prefix(kind: Kind) -> str:
    """Groups of custom resources are written backwards, as Go packages of built-in ones are named."""
    resource = kind.resource
    if kind.is_custom:
        return ".".join([*reversed(resource.group.split(".")), resource.version])
    return f"io.k8s.api.{resource.group.partition('.')[0] or 'core'}.{resource.version}"


def _paths(kind: Kind) -> Document:
    resource = kind.resource
    collection = resource.path("{namespace}")
    paths = {
        collection: _operations(kind, ("list", "create")),
        f"{collection}/{{name}}": _operations(kind, ("get", "update", "patch", "delete")),
    }
    if kind.has_status:
        paths[f"{collection}/{{name}}/status"] = _operations(kind, ("get", "update", "patch"))
    if resource.namespaced:
        paths[resource.path()] = _operations(kind, ("list",))
    return paths


def _operations(kind: Kind, verbs: tuple[str, ...]) -> Document:
    return {_METHODS[verb]: _operation(kind, verb) for verb in verbs if verb in kind.verbs}


def _operation(kind: Kind, verb: str) -> Document:
    action = {"create": "post", "update": "put"}.get(verb, verb)
    reference = {"schema": {"$ref": f"#/components/schemas/{_component_name(kind)}"}}
    operation: Document = {
        "responses": {"200": {"description": "OK", "content": {"application/json": reference}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _group_version_kind(kind),
    }
    if verb in {"create", "update", "patch"}:
        operation["parameters"] = [*_WRITE_PARAMETERS, *([_FORCE] if verb == "patch" else [])]
        types = _PATCH_TYPES if verb == "patch" else ("application/json",)
        operation["requestBody"] = {"content": dict.fromkeys(types, reference)}
    return operation


def _group_version_kind(kind: Kind) -> Document:
    return {"group": kind.resource.group, "kind": kind.resource.kind, "version": kind.resource.version}
