"""Structural schemas, compiled: which fields an object may have, which defaults it gets, and how its lists and maps are merged.

A schema comes as OpenAPI v3 (of a CRD, or of the built-in field tables) and becomes a tree of `Node`. Values that the functions here
change are decoded JSON that nobody else holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.local.apiserver.fields import Schema, field_tables
from flagger_py.local.apiserver.quantity import canonical_quantity

NO_DEFAULT: Final = object()

EMPTY: Final[tuple[Any, ...]] = ("", 0, False, [], {}, None)
"""What Go's `omitempty` leaves out."""


@dataclass(slots=True, eq=False)
class Node:
    """One place in a schema. `values` is the schema of a map's values, `items` that of a list's items."""

    raw: Schema
    properties: dict[str, "Node"] = field(default_factory=dict)
    values: "Node | None" = None
    items: "Node | None" = None
    keeps_unknown: bool = False
    is_nullable: bool = False
    is_go: bool = False
    """Part of a built-in kind, whose objects are Go structs."""
    drops_zero: bool = False
    default: Any = NO_DEFAULT
    has_defaults: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    is_atomic: bool = False
    """Owned and replaced as a whole by server-side apply."""
    normalise: Callable[[Any], Any] | None = None

    @property
    def merge_key(self) -> str:
        """The key of a strategic merge patch; empty where the list is replaced or holds scalars."""
        key: str = self.raw.get("x-kubernetes-patch-merge-key", "")
        return key

    @property
    def merges_list(self) -> bool:
        return self.raw.get("x-kubernetes-patch-strategy") == "merge"

    def child(self, name: str) -> "Node | None":
        """The schema of a field, known or free; `None` where the schema says nothing."""
        return self.properties.get(name) or self.values


ANYTHING: Final = Node({"x-kubernetes-preserve-unknown-fields": True}, keeps_unknown=True, is_nullable=True)


class Compiler:
    """Turns OpenAPI into nodes; the same sub-schema becomes the same node. `go_types`: empty optional fields vanish, as in Go structs."""

    def __init__(self, *, go_types: bool) -> None:
        self._go_types = go_types
        self._done: dict[int, tuple[Schema, Node]] = {}

    def compile(self, raw: Schema) -> Node:
        known = self._done.get(id(raw))
        if known is None:
            known = self._done[id(raw)] = (raw, self._node(raw))
        return known[1]

    def _node(self, raw: Schema) -> Node:
        values = raw.get("additionalProperties")
        node = Node(
            raw,
            properties={name: self.compile(child) for name, child in raw.get("properties", {}).items()},
            values=self.compile(values) if isinstance(values, dict) else ANYTHING if values is True else None,
            items=self.compile(raw["items"]) if "items" in raw else None,
            keeps_unknown=bool(raw.get("x-kubernetes-preserve-unknown-fields")),
            is_nullable=bool(raw.get("nullable")) and not self._go_types,
            is_go=self._go_types,
            default=raw.get("default", NO_DEFAULT),
            list_type=raw.get("x-kubernetes-list-type", ""),
            list_keys=tuple(raw.get("x-kubernetes-list-map-keys", ())),
            normalise=canonical_quantity if raw.get("x-quantity") else None,
        )
        node.drops_zero = self._go_types and not raw.get("x-keeps-zero") and not node.properties and not node.keeps_unknown
        node.is_atomic = _is_atomic(raw, node)
        if raw.get("x-kubernetes-embedded-resource"):
            _embed(node)
        node.has_defaults = node.default is not NO_DEFAULT or any(child.has_defaults for child in _children(node))
        return node


def _children(node: Node) -> list[Node]:
    return [*node.properties.values(), *(child for child in (node.values, node.items) if child)]


def _is_atomic(raw: Schema, node: Node) -> bool:
    if raw.get("type") == "array":
        return node.list_type in {"", "atomic"}
    return raw.get("x-kubernetes-map-type") == "atomic"


def built_in(type_name: str) -> Node:
    """The compiled schema of a built-in kind. Raises `KeyError` for an unknown type."""
    node = _GO_TYPES.compile(field_tables().type(type_name))
    _embed(node)
    return node


def custom(raw: Schema) -> Node:
    """The compiled schema of one version of a CRD; `apiVersion`, `kind` and `metadata` are those of every object."""
    node = Compiler(go_types=False).compile(raw)
    _embed(node)
    return node


_GO_TYPES: Final = Compiler(go_types=True)
_STRING: Final = Node({"type": "string"})


def _embed(node: Node) -> None:
    node.properties |= {"apiVersion": _STRING, "kind": _STRING, "metadata": _GO_TYPES.compile(field_tables().type("ObjectMeta"))}


def prune(value: Any, node: Node, path: str = "", unknown: list[str] | None = None) -> Any:
    """The value without the fields that the schema does not have (their paths go to `unknown`) and without empty Go fields."""
    if isinstance(value, dict):
        return _prune_fields(value, node, path, unknown)
    if isinstance(value, list) and node.items is not None:
        return [prune(item, node.items, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    return value if node.normalise is None else node.normalise(value)


def _prune_fields(value: dict[str, Any], node: Node, path: str, unknown: list[str] | None) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, item in value.items():
        child = node.properties.get(name) or node.values
        if child is None:
            if node.keeps_unknown:
                kept[name] = item
            elif unknown is not None:
                unknown.append(f"{path}.{name}" if path else name)
            continue
        if item is None and not child.is_nullable and not child.keeps_unknown:
            continue
        pruned = prune(item, child, f"{path}.{name}" if path else name, unknown)
        if not (child.drops_zero and node.values is None and pruned in EMPTY):
            kept[name] = pruned
    return kept


def set_defaults(value: Any, node: Node) -> None:
    """Fill in what is missing, in place."""
    if not node.has_defaults:
        return
    if isinstance(value, dict):
        for name, child in node.properties.items():
            if name not in value and child.default is not NO_DEFAULT:
                value[name] = copied(child.default)
            if child.has_defaults and name in value:
                set_defaults(value[name], child)
        if node.values is not None and node.values.has_defaults:
            for item in value.values():
                set_defaults(item, node.values)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            set_defaults(item, node.items)


def copied(value: Any) -> Any:
    """A copy of a JSON value that shares nothing with it."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value
