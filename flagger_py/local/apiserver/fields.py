"""The fields of the built-in kinds, read from the tables in `types/` into the same OpenAPI form that a CRD has.

A field is one line of words: its type, then what the server does with it.

- Type: `string`, `bool`, `int32`, `int64`, `time`, `microtime`, `quantity`, `intstr`, `object` (any fields), `any`, the name of another
  type, `map TYPE`, `atomicmap TYPE`, `[TYPE]`, or a mapping that lists fields in place. `!` behind it: required.
- `=VALUE`: the default, in YAML. `keys=a,b`: a list whose items server-side apply tells apart by these fields; `set`: by their value;
  `atomic`: not at all. `merge=key`: the key of a strategic merge patch (`merge` alone: a list of scalars that is merged);
  `retain`: it also replaces keys that are not sent (`retainKeys`).
- `ptr`: a pointer in Go, so that a zero is kept; other optional fields lose their zero (`omitempty`), as they do on kube-apiserver.
- `.atomic: true` in a type: server-side apply owns it as a whole.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

Schema = dict[str, Any]

FOLDER: Final = Path(__file__).parent / "types"

SCALARS: Final[dict[str, Schema]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "time": {"type": "string", "format": "date-time", "nullable": True},
    "microtime": {"type": "string", "format": "date-time", "nullable": True, "x-micro": True},
    "quantity": {"anyOf": [{"type": "string"}, {"type": "number"}], "x-quantity": True},
    "intstr": {"x-kubernetes-int-or-string": True},
    "object": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}


class FieldTables:
    """All types of `types/`, each expanded once and shared; schemas that are handed out must not be changed."""

    def __init__(self, tables: dict[str, Schema]) -> None:
        self._tables = tables
        self._expanded: dict[str, Schema] = {}

    def type(self, name: str) -> Schema:
        """The schema of a type. Raises `KeyError` for a name that no table has."""
        if name not in self._expanded:
            self._expanded[name] = self._struct(self._tables[name]) | {"x-type": name}
        return self._expanded[name]

    def _struct(self, table: Schema) -> Schema:
        fields = {name: self._field(words) for name, words in table.items() if not name.startswith(".")}
        schema: Schema = {"type": "object", "properties": {name: schema for name, (schema, _) in fields.items()}}
        if required := [name for name, (_, is_required) in fields.items() if is_required]:
            schema["required"] = required
        return schema | ({"x-kubernetes-map-type": "atomic"} if table.get(".atomic") else {})

    def _field(self, words: str | Schema) -> tuple[Schema, bool]:
        if not isinstance(words, str):
            return self._struct(words), False
        kind, _, rest = words.partition(" ")
        if kind in {"map", "atomicmap"}:
            of, _, rest = rest.partition(" ")
            return _decorated(self._map(of, kind == "atomicmap"), rest.split()), False
        required = kind.endswith("!")
        words_left = [*rest.split(), "ptr"] if required else rest.split()
        return _decorated(self._of(kind.removesuffix("!")), words_left), required

    def _of(self, kind: str) -> Schema:
        if kind.startswith("["):
            return {"type": "array", "items": self._of(kind[1:-1])}
        return SCALARS[kind] if kind in SCALARS else self.type(kind)

    def _map(self, of: str, atomic: bool) -> Schema:
        return {"type": "object", "additionalProperties": self._of(of)} | ({"x-kubernetes-map-type": "atomic"} if atomic else {})


def _decorated(schema: Schema, words: list[str]) -> Schema:
    return schema | {key: value for word in words for key, value in _decoration(word).items()}


def _decoration(word: str) -> Schema:
    name, _, value = word.partition("=")
    match name:
        case "":
            return {"default": yaml.safe_load(value)}
        case "keys":
            return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": value.split(",")}
        case "set" | "atomic":
            return {"x-kubernetes-list-type": name}
        case "merge":
            return {"x-kubernetes-patch-strategy": "merge"} | ({"x-kubernetes-patch-merge-key": value} if value else {})
        case "ptr":
            return {"x-keeps-zero": True}
        case "retain":
            return {"x-retain-keys": True}
    raise ValueError(f"unknown word {word!r} in the field tables")


@cache
def field_tables() -> FieldTables:
    """The tables of this package, read once."""
    tables: dict[str, Schema] = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        tables |= yaml.load(file.read_bytes(), yaml.CSafeLoader)
    return FieldTables(tables)
