"""Backends that a route is going to lead to are made known to the gateway first, without traffic: a gateway that learns of a Service in
the same moment in which requests go there may fail some of them (Envoy behind Contour: `NC`, no cluster found)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flagger_py.routers.backends import Backends

_LISTS: Final = ("backendRefs", "services")
"""Where an HTTPRoute and an HTTPProxy list the Services of a rule."""

Entry = Mapping[str, Any]


def introduced(spec: Any, wanted: Any, backends: Backends) -> Any:
    """The spec with what `wanted` leads to beside primary and canary, at weight 0; as it is where nothing is new or they do not appear."""
    known = {_identity(entry) for entry in _entries(spec)}
    new = {_identity(entry): entry for entry in _entries(wanted) if _identity(entry) not in known}
    silent = [{key: value for key, value in entry.items() if key != "filters"} | {"weight": 0} for entry in new.values()]
    return _with_entries(spec, silent, backends) if silent else spec


def _identity(entry: Entry) -> tuple[Any, ...]:
    return entry.get("kind", "Service"), entry.get("namespace"), entry.get("name"), entry.get("port")


def _entries(node: Any) -> Iterator[Entry]:
    if isinstance(node, list):
        for item in node:
            yield from _entries(item)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            if key in _LISTS and isinstance(value, list):
                yield from (item for item in value if isinstance(item, Mapping))
            else:
                yield from _entries(value)


def _with_entries(node: Any, entries: list[dict[str, Any]], backends: Backends) -> Any:
    if isinstance(node, list):
        return [_with_entries(item, entries, backends) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: [*value, *entries] if key in _LISTS and backends.appear_in(value) else _with_entries(value, entries, backends)
        for key, value in node.items()
    }
