"""Sets of fields as `managedFields` has them: which exist in an object, which a write changed, and their `FieldsV1` form.

A field is a path of `FieldsV1` keys (`f:spec`, `k:{"name":"app"}`, `v:"x"`); a set of fields is a set of paths. A struct, map or list can
be a field of its own besides those in it: `FieldsV1` shows that as `.`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from flagger_py.local.apiserver.schema import ANYTHING, Node

Path = tuple[str, ...]
Fields = frozenset[Path]

_ALWAYS_THERE: Final = frozenset(
    {"metadata", "spec", "status", "template", "strategy", "updateStrategy", "source", "loadBalancer", "containers"}
)
"""Fields of Go structs that are no pointers: an empty object has them already, so nobody owns that they exist."""
_UNTRACKED: Final = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion")
    }
)


def applied_fields(value: Any, node: Node) -> Fields:
    """What an applied configuration owns: its leaves, and the items of its keyed lists."""
    return _tracked(_walk(value, node, (), containers=False))


def changed_fields(old: Any, new: Any, node: Node) -> tuple[Fields, Fields]:
    """The fields that an update added or gave another value, and those that it removed. `old` is `None` for a creation."""
    before = _tracked(_walk(old or {}, node, (), containers=True))
    after = _tracked(_walk(new, node, (), containers=True))
    inner = {path[:-1] for path in before | after}
    modified = {path for path in (before & after) - inner if value_at(old, path) != value_at(new, path)}
    return (after - before) | modified, before - after


def value_at(value: Any, path: Path) -> Any:
    """The value of a field; `None` where it does not exist."""
    for part in path:
        value = _step(value, part)
        if value is None:
            return None
    return value


def remove_at(value: Any, path: Path) -> None:
    """Remove a field, in place; nothing happens where it does not exist."""
    parent = value_at(value, path[:-1])
    kind, _, name = path[-1].partition(":")
    if isinstance(parent, dict) and kind == "f":
        parent.pop(name, None)
    elif isinstance(parent, list) and (item := _step(parent, path[-1])) is not None:
        parent.remove(item)


def to_fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """The nested form that `managedFields` stores."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        level = tree
        for part in path:
            level = level.setdefault(part, {})
    for path in fields:
        node = _subtree(tree, path)
        if node:
            node["."] = {}
    return tree


def from_fields_v1(tree: dict[str, Any]) -> Fields:
    """A set of fields from its nested form."""
    return frozenset(_members(tree, ()))


def shown(path: Path) -> str:
    """A path as kube-apiserver prints it in a conflict: `.spec.containers[name="app"].image`."""
    text = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "k":
            text += f"[{','.join(f'{name}={orjson.dumps(item).decode()}' for name, item in sorted(orjson.loads(rest).items()))}]"
        else:
            text += f"[={rest}]" if kind == "v" else f".{rest}"
    return text


def item_key(item: Any, node: Node) -> str:
    """The key of an item in a keyed list or a set; a missing key field counts as its default."""
    if node.list_type == "set":
        return f"v:{orjson.dumps(item).decode()}"
    found = {name: item.get(name, _default(node, name)) if isinstance(item, dict) else None for name in node.list_keys}
    keys = {name: value for name, value in found.items() if value is not None}
    return f"k:{orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()}"


def _tracked(paths: Iterator[Path]) -> Fields:
    return frozenset(path for path in paths if path not in _UNTRACKED)


def _walk(value: Any, node: Node, path: Path, *, containers: bool) -> Iterator[Path]:
    """The fields of a value; with `containers`, structs, maps and lists too."""
    if isinstance(value, dict) and not node.is_atomic:
        if path and (containers or not value) and not _is_implied(node, path, value):
            yield path
        for name, item in value.items():
            yield from _walk(item, node.child(name) or ANYTHING, (*path, f"f:{name}"), containers=containers)
    elif isinstance(value, list) and node.list_type in {"map", "set"}:
        if (containers or not value) and not _is_implied(node, path, value):
            yield path
        for item in value:
            key = item_key(item, node)
            yield (*path, key)
            if node.list_type == "map":
                yield from _walk_item(item, node, (*path, key), containers=containers)
    elif path:
        yield path


def _walk_item(item: Any, node: Node, path: Path, *, containers: bool) -> Iterator[Path]:
    inner = node.items or ANYTHING
    for name, value in item.items() if isinstance(item, dict) else ():
        yield from _walk(value, inner.child(name) or ANYTHING, (*path, f"f:{name}"), containers=containers)


def _is_implied(node: Node, path: Path, value: Any) -> bool:
    """Whether a Go object always has this struct, so that its presence says nothing. In a list item nothing is implied."""
    in_item = any(not part.startswith("f:") for part in path)
    return bool(node.is_go and not in_item and path[-1].removeprefix("f:") in _ALWAYS_THERE and (value or "x-type" in node.raw))


def _step(value: Any, part: str) -> Any:
    kind, _, text = part.partition(":")
    if kind == "f":
        return value.get(text) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    wanted = orjson.loads(text)
    if kind == "v":
        return wanted if wanted in value else None
    return next((item for item in value if isinstance(item, dict) and _has_key(item, wanted)), None)


def _has_key(item: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(item.get(name, value) == value for name, value in wanted.items())


def _default(node: Node, name: str) -> Any:
    child = node.items.properties.get(name) if node.items else None
    return child.raw.get("default") if child else None


def _subtree(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    for part in path:
        tree = tree[part]
    return tree


def _members(tree: dict[str, Any], path: Path) -> Iterator[Path]:
    for part, below in tree.items():
        if part == ".":
            yield path
        elif below:
            yield from _members(below, (*path, part))
        else:
            yield (*path, part)
