"""The rules that the CRD's schema states: required fields, enums, patterns and bounds. The same markers make both (api:§2)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger_py.api.base import ApiModel, OneOf
from flagger_py.api.problems import Problem, invalid
from flagger_py.api.schema import Schema
from flagger_py.api.shapes import Kind, Shape, fields_of

SCHEMA = "schema"


def schema_problems(model: ApiModel, path: str) -> Iterator[Problem]:
    """Everything in the model that the schema forbids; `path` is where the model stands in its object."""
    yield from _alternative_problems(model, path)
    for field in fields_of(type(model)):
        where = f"{path}.{field.json_name}" if path else field.json_name
        if model.has(field.name):
            yield from _value_problems(getattr(model, field.name), field.shape, where)
        elif field.shape.schema.required:
            yield invalid(where, None, "is required", SCHEMA)


def _value_problems(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    if isinstance(value, ApiModel):
        yield from schema_problems(value, path)
    elif shape.kind is Kind.LIST and shape.element:
        yield from _size_problems(value, shape.schema.min_items, shape.schema.max_items, path, shape.schema)
        for index, item in enumerate(value):
            yield from _value_problems(item, shape.element, f"{path}[{index}]")
    elif shape.kind is Kind.MAP and shape.element:
        yield from _size_problems(value, None, shape.schema.max_properties, path, shape.schema)
        for key, item in value.items():
            yield from _value_problems(item, shape.element, f"{path}[{key}]")
    elif message := _scalar_message(value, shape.schema):
        yield invalid(path, value, message, shape.schema.source or SCHEMA)


def _size_problems(
    value: Sequence[Any] | Mapping[str, Any], minimum: int | None, maximum: int | None, path: str, schema: Schema
) -> Iterator[Problem]:
    if minimum is not None and len(value) < minimum:
        yield invalid(path, list(value), f"must have at least {minimum} item", schema.source or SCHEMA)
    if maximum is not None and len(value) > maximum:
        yield invalid(path, None, f"has {len(value)} entries; at most {maximum} are allowed", schema.source or SCHEMA)


def _scalar_message(value: object, schema: Schema) -> str:
    """What is allowed instead of the value; empty where it is fine."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounds_message(value, schema.minimum, schema.maximum)
    if not isinstance(value, str):
        return ""
    if schema.enum and value not in schema.enum:
        return f"must be one of {', '.join(choice for choice in schema.enum if choice)}"
    if schema.min_length is not None and len(value) < schema.min_length:
        return "must not be empty"
    if schema.max_length is not None and len(value) > schema.max_length:
        return f"has {len(value)} characters; at most {schema.max_length} are allowed"
    if schema.pattern and not re.search(schema.pattern, value):
        return f"must be {schema.allowed}" if schema.allowed else f"must match {schema.pattern}"
    return ""


def _bounds_message(value: int, minimum: int | None, maximum: int | None) -> str:
    if (minimum is None or value >= minimum) and (maximum is None or value <= maximum):
        return ""
    if minimum is None or maximum is None:
        return f"must be at least {minimum}" if maximum is None else f"must be at most {maximum}"
    return f"must be at least {minimum}" if maximum >= 2**31 - 1 else f"must be from {minimum} to {maximum}"


def _alternative_problems(model: ApiModel, path: str) -> Iterator[Problem]:
    given = {field.json_name for field in fields_of(type(model)) if model.has(field.name)}
    if model.one_of and sum(given.issuperset(names) for names in model.one_of) != 1:
        yield invalid(path, sorted(given & _names(model.one_of)) or None, _one_of_message(model.one_of), SCHEMA)
    if len(given.intersection(model.at_most_one_of)) > 1:
        yield invalid(path, sorted(given), f"must have at most one of {', '.join(model.at_most_one_of)}", SCHEMA)


def _one_of_message(alternatives: OneOf) -> str:
    common = [name for name in alternatives[0] if all(name in names for names in alternatives)]
    choices = [" with ".join(name for name in names if name not in common) for names in alternatives]
    return f"must have {', '.join(common)}{' and ' if common else ''}exactly one of {', '.join(choices)}"


def _names(alternatives: OneOf) -> set[str]:
    return {name for names in alternatives for name in names}
