"""The fields of a model as the API sees them: JSON name, kind of value and constraints. `crds` and `validation` both walk over these."""

import types
import typing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from flagger_py.api.base import ApiModel
from flagger_py.api.schema import NO_CONSTRAINTS, Schema, merged


class Kind(StrEnum):
    """What a JSON value is."""

    TEXT = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INT_OR_STRING = "int-or-string"
    LIST = "array"
    MAP = "map"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Shape:
    """One value: `element` is the shape of a list's items and of a map's values, `model` that of an object."""

    kind: Kind
    schema: Schema
    element: "Shape | None" = None
    model: type[ApiModel] | None = None


@dataclass(frozen=True, slots=True)
class FieldShape:
    """One field of a model."""

    name: str
    json_name: str
    shape: Shape


@cache
def fields_of(model: type[ApiModel]) -> tuple[FieldShape, ...]:
    """All fields of a model, in the order of the source."""
    hints = typing.get_type_hints(model, include_extras=True)
    return tuple(FieldShape(name, field.alias or name, shape_of(hints[name])) for name, field in model.model_fields.items())


def shape_of(hint: Any) -> Shape:
    """The shape of an annotation such as `Annotated[tuple[str, ...], Schema(max_items=3)] | None`."""
    hint, schema = _unwrapped(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return Shape(Kind.LIST, schema, element=shape_of(arguments[0]))
    if origin is dict:
        return Shape(Kind.MAP, schema, element=shape_of(arguments[1]))
    if set(arguments) == {int, str}:
        return Shape(Kind.INT_OR_STRING, schema)
    return _plain(hint, schema)


def _unwrapped(hint: Any) -> tuple[Any, Schema]:
    """The annotation without `Annotated` and `None`, and all constraints that stood there."""
    schema = NO_CONSTRAINTS
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            for mark in reversed(hint.__metadata__):
                schema = merged(mark, schema) if isinstance(mark, Schema) else schema
            hint = hint.__origin__
        elif (options := _without_none(hint)) is not None:
            hint = options
        else:
            return hint, schema


def _without_none(hint: Any) -> Any:
    """`X` for `X | None`; `None` for anything else."""
    if typing.get_origin(hint) not in {typing.Union, types.UnionType}:
        return None
    options = [option for option in typing.get_args(hint) if option is not types.NoneType]
    return options[0] if len(options) == 1 else None


_SCALARS = ((bool, Kind.BOOLEAN), (int, Kind.INTEGER), (float, Kind.NUMBER), (str, Kind.TEXT), (datetime, Kind.TEXT))


def _plain(hint: Any, schema: Schema) -> Shape:
    if issubclass(hint, ApiModel):
        return Shape(Kind.OBJECT, schema, model=hint)
    for scalar, kind in _SCALARS:
        if issubclass(hint, scalar):
            return Shape(kind, schema)
    raise TypeError(f"no JSON kind is known for {hint!r}")
