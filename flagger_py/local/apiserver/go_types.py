"""Whether JSON fits the Go type that kube-apiserver would decode it into, and what Go's decoder says where it does not."""

import re
from typing import Any, Final

from flagger_py.local.apiserver.fields import Schema
from flagger_py.local.apiserver.quantity import parse_quantity

_PYTHON: Final[dict[str, tuple[type, ...]]] = {"string": (str,), "boolean": (bool,), "array": (list,), "object": (dict,)}
_LAYOUT: Final = "2006-01-02T15:04:05"
_SECONDS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_TIME: Final = re.compile(_SECONDS.pattern + r"(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MICRO_TIME: Final = re.compile(_SECONDS.pattern + r"\.\d{6}(Z|[+-]\d\d:\d\d)")
_INTEGER_BITS: Final = {"int32": 31, "int64": 63}


def type_error(value: Any, schema: Schema) -> str:
    """The complaint about the first value of a wrong type; empty where all fits. Nulls fit everything."""
    return _find(value, schema, "", "")


def _find(value: Any, schema: Schema, struct: str, path: str) -> str:
    if value is None or not _is_typed(schema):
        return ""
    if problem := _format_error(value, schema):
        return problem
    if not _fits(value, schema):
        field = f"Go struct field {struct}.{path} of type {_go_type(schema)}" if path else f"Go value of type {_go_type(schema)}"
        return f"json: cannot unmarshal {_came(value, schema)} into {field}"
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


def _format_error(value: Any, schema: Schema) -> str:
    """What Go's own parsers say about a quantity or a time."""
    if "x-quantity" in schema and isinstance(value, str) and parse_quantity(value) is None:
        return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    if schema.get("format") != "date-time" or not isinstance(value, str):
        return ""
    pattern, layout = (_MICRO_TIME, f"{_LAYOUT}.000000Z07:00") if "x-micro" in schema else (_TIME, f"{_LAYOUT}Z07:00")
    if pattern.fullmatch(value):
        return ""
    rest, wanted = (value, "2006") if not _SECONDS.match(value) else (value[19:], ".000000" if "x-micro" in schema else "Z07:00")
    return f'parsing time "{value}" as "{layout}": cannot parse "{rest}" as "{wanted}"'


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
