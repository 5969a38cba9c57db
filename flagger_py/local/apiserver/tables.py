"""Objects as rows, for `kubectl get`."""

from collections.abc import Mapping
from typing import Any

import orjson

from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.store import Record


def table(
    state: State,
    kind: Kind,
    records: list[Record],
    version: int,
    query: Mapping[str, str],
    token: str = "",
    remaining: int | None = None,
    *,
    with_columns: bool = True,
) -> bytes:
    """A `meta.k8s.io/v1 Table`."""
    del state, kind, query, token, remaining, with_columns
    body: dict[str, Any] = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": str(version)},
        "rows": [{"cells": [r.manifest["metadata"]["name"]], "object": r.manifest} for r in records],
        "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}],
    }
    return orjson.dumps(body)
