"""What an API server does with a schema of ours: defaults, the structural schema, and CEL. Just enough of it to test the schema."""

from collections.abc import Iterator
from typing import Any

import cel
import jsonschema_rs

JSON = Any


def with_defaults(value: JSON, schema: dict[str, Any]) -> JSON:
    """The value as the server stores it."""
    if isinstance(value, dict):
        properties: dict[str, Any] = schema.get("properties", {})
        given = {name: child["default"] for name, child in properties.items() if "default" in child} | value
        below = {name: properties.get(name, schema.get("additionalProperties", {})) for name in given}
        return {name: with_defaults(item, below[name]) for name, item in given.items()}
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    return value


def refusals(manifest: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Why the server refuses to create the object; empty where it takes it. CEL is tried only where the schema is satisfied."""
    stored = with_defaults(manifest, schema)
    errors = [str(error.message) for error in jsonschema_rs.validator_for(_standard(schema)).iter_errors(stored)]
    return errors or list(_broken_rules(stored, schema))


def _standard(schema: JSON) -> JSON:
    """The schema in words that JSON schema knows."""
    if isinstance(schema, list):
        return [_standard(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    node = {name: _standard(value) for name, value in schema.items() if name not in {"x-kubernetes-validations", "format"}}
    return node | {"type": ["integer", "string"]} if node.pop("x-kubernetes-int-or-string", False) else node


def _broken_rules(value: JSON, schema: dict[str, Any]) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if not cel.evaluate(rule["rule"], _context(value)):
            yield rule["message"]
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _broken_rules(item, schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {})
    elif isinstance(value, list):
        for item in value:
            yield from _broken_rules(item, schema.get("items", {}))


def _context(value: JSON) -> cel.Context:
    context = cel.Context()
    context.add_variable("self", value)
    context.add_variable("oldSelf", cel.OptionalValue.none())
    # functions of Kubernetes' own list library
    context.add_function("isSorted", lambda items: list(items) == sorted(items))
    context.add_function("indexOf", lambda items, item: list(items).index(item))
    context.add_function("lastIndexOf", lambda items, item: len(items) - 1 - list(items)[::-1].index(item))
    return context
