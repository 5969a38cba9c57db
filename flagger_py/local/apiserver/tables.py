"""Objects as rows, for `kubectl get`: the columns of built-in kinds, and the printer columns of CRDs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from flagger_py.local.apiserver.ages import age
from flagger_py.local.apiserver.cells import AGE, COLUMNS, NAME, Column
from flagger_py.local.apiserver.encoding import METADATA_ONLY
from flagger_py.local.apiserver.json_path import first_match
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import bad_request
from flagger_py.local.apiserver.store import Record
from flagger_py.objects.resource import Manifest

_TYPES: Final = frozenset({"integer", "number", "boolean", "date"})


def table(
    state: State, kind: Kind, records: list[Record], version: int, query: Mapping[str, str], *, metadata: Mapping[str, Any] | None = None
) -> bytes:
    """A `meta.k8s.io/v1 Table`. `includeObject` of the query says what each row carries: metadata (default), the object, or nothing."""
    columns, now = columns_of(kind), state.now()
    rows = [_row(state, kind, record, columns, now, query.get("includeObject", "Metadata")) for record in records]
    body = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": str(version), **(metadata or {})},
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": rows,
    }
    return orjson.dumps(body)


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """The columns of a kind: those of its CRD, its own, or name and age."""
    if kind.is_custom:
        return NAME, *(_custom_column(one) for one in kind.columns)
    return COLUMNS.get((kind.resource.group, kind.resource.plural), (NAME, AGE))


def _custom_column(raw: Mapping[str, Any]) -> Column:
    path, kind = raw["jsonPath"], raw["type"]

    def cell(manifest: Manifest, now: datetime) -> Any:
        value = first_match(manifest, path)
        if kind == "date":
            return age(value, now) if value else None
        return value if value is None or kind in _TYPES else _text(value)

    description = raw.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    return Column(raw["name"], cell, kind, raw.get("format", ""), raw.get("priority", 0), description)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _definition(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row(state: State, kind: Kind, record: Record, columns: tuple[Column, ...], now: datetime, include: str) -> dict[str, Any]:
    cells = [column.cell(record.manifest, now) for column in columns]
    match include:
        case "None":
            return {"cells": cells}
        case "Object":
            return {"cells": cells, "object": orjson.Fragment(state.encode(kind, record))}
        case "Metadata":
            partial = {"kind": METADATA_ONLY, "apiVersion": "meta.k8s.io/v1", "metadata": record.manifest["metadata"]}
            return {"cells": cells, "object": partial}
    raise bad_request(f'unrecognized includeObject value: "{include}"')
