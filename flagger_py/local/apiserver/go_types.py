"""Whether JSON fits the Go type that kube-apiserver would decode it into, and what Go's decoder says where it does not."""

from typing import Any, Final

from flagger_py.local.apiserver.fields import Schema

_PYTHON: Final[dict[str, tuple[type, ...]]] = {"string": (str,), "boolean": (bool,), "array": (list,), "object": (dict,)}
_INTEGER_BITS: Final = {"int32": 31, "int64": 63}


def type_error(value: Any, schema: Schema) -> str:
    """The complaint about the first value of a wrong type; empty where all fits. Nulls fit everything."""
    found = _find(value, schema, "", "")
    return f"json: cannot unmarshal {found}" if found else ""


def _find(value: Any, schema: Schema, struct: str, path: str) -> str:
    if value is None or not _is_typed(schema):
        return ""
    if not _fits(value, schema):
        field = f"Go struct field {struct}.{path} of type {_go_type(schema)}" if path else f"Go value of type {_go_type(schema)}"
        return f"{_came(value, schema)} into {field}"
    if isinstance(value, dict):
        return _find_in_fields(value, schema, struct, path)
    if isinstance(value, list):
        return next((found for item in value if (found := _find(item, schema["items"], struct, path))), "")
    return ""


def _find_in_fields(value: dict[str, Any], schema: Schema, inherited: str, path: str) -> str:
    struct = schema.get("x-type", "")
    properties, values = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        child = properties.get(name, values)
        owner = struct or inherited
        if child is not None and (found := _find(item, child, owner, _joined(path, name, named=name in properties))):
            return found
    return ""


def _joined(path: str, name: str, *, named: bool) -> str:
    if not named:
        return path
    return f"{path}.{name}" if path else name


def _is_typed(schema: Schema) -> bool:
    return "type" in schema or "x-kubernetes-int-or-string" in schema or "x-quantity" in schema


def _fits(value: Any, schema: Schema) -> bool:
    kind = schema.get("type", "")
    if not kind:
        return isinstance(value, str | int | float) and not isinstance(value, bool)
    if kind == "integer":
        bits = _INTEGER_BITS[schema["format"]]
        return isinstance(value, int) and not isinstance(value, bool) and -(2**bits) <= value < 2**bits
    return isinstance(value, _PYTHON[kind])


def _came(value: Any, schema: Schema) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if schema.get("type") == "integer" else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _go_type(schema: Schema) -> str:
    kind = schema.get("type", "")
    if kind == "array":
        return f"[]{_qualified(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map[string]{_go_type(schema['additionalProperties'])}"
    return _qualified(schema)


def _qualified(schema: Schema) -> str:
    if "x-type" in schema:
        return f"v1.{schema['x-type']}"
    names = {"integer": schema.get("format", "int"), "boolean": "bool", "string": "string", "array": "[]", "object": "v1.Struct"}
    return str(names.get(schema.get("type", ""), "intstr.IntOrString"))
