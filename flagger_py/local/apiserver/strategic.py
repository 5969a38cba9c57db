"""Strategic merge patches: lists are merged by the keys that the field tables name, and directives steer the merge."""

from typing import Any, Final

from flagger_py.local.apiserver.schema import ANYTHING, Node
from flagger_py.local.apiserver.status import Refused

DIRECTIVE: Final = "$patch"
RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE_SCALARS: Final = "$deleteFromPrimitiveList/"


def strategic_merge(value: Any, patch: Any, node: Node | None) -> Any:
    """The value with a patch applied under its schema; the value may be changed. Raises 500 for an unknown directive or a missing key."""
    if not isinstance(patch, dict) or not isinstance(value, dict | None):
        return _stripped(patch)
    return _merge_fields(value or {}, patch, node or ANYTHING)


def _merge_fields(value: dict[str, Any], patch: dict[str, Any], node: Node) -> dict[str, Any] | None:
    directive = patch.get(DIRECTIVE, "merge")
    if directive == "replace":
        return {name: _stripped(item) for name, item in patch.items() if name != DIRECTIVE}
    if directive == "delete":
        return None
    if directive != "merge":
        raise Refused(500, "", f"unknown patch type: {directive} in map: {patch}")
    if RETAIN in patch:
        value = {name: item for name, item in value.items() if name in patch[RETAIN]}
    before = dict(value)
    for name, item in patch.items():
        if name.startswith("$"):
            continue
        if item is None:
            value.pop(name, None)
            continue
        merged = _merge_field(value.get(name), item, node.child(name))
        if merged is None:
            value.pop(name, None)
        else:
            value[name] = merged
    _apply_list_directives(value, patch, node, before)
    return value


def _merge_field(value: Any, patch: Any, node: Node | None) -> Any:
    if isinstance(patch, list) and node is not None and node.merges_list:
        current = value if isinstance(value, list) else []
        return _merge_objects(current, patch, node) if node.merge_key else _merge_scalars(current, patch)
    if isinstance(patch, dict):
        return strategic_merge(value if isinstance(value, dict) else None, patch, node)
    return _stripped(patch)


def _merge_scalars(value: list[Any], patch: list[Any]) -> list[Any]:
    return [*value, *(item for item in patch if item not in value)]


def _merge_objects(value: list[Any], patch: list[Any], node: Node) -> list[Any]:
    if any(item.get(DIRECTIVE) == "replace" and len(item) == 1 for item in patch):
        return [_stripped(item) for item in patch if DIRECTIVE not in item]
    key, rest = node.merge_key, list(value)
    patched: list[Any] = []
    for item in patch:
        wanted = _key_of(item, key)
        index = next((index for index, one in enumerate(rest) if one.get(key) == wanted), None)
        before = rest.pop(index) if index is not None else None
        if item.get(DIRECTIVE) != "delete":
            patched.append(strategic_merge(before, item, node.items))
    return _interleaved(patched, rest, value, key)


def _interleaved(leading: list[Any], rest: list[Any], before: list[Any], key: str) -> list[Any]:
    """Both lists in their own order; an item of the rest goes before a leading one that stood behind it."""
    places = {_identity(item, key): place for place, item in enumerate(before)}
    merged: list[Any] = []
    waiting = list(rest)
    for item in leading:
        place = places.get(_identity(item, key), -1)
        while waiting and places.get(_identity(waiting[0], key), -1) < place:
            merged.append(waiting.pop(0))
        merged.append(item)
    return merged + waiting


def _apply_list_directives(value: dict[str, Any], patch: dict[str, Any], node: Node, before: dict[str, Any]) -> None:
    for name, wanted in patch.items():
        if name.startswith(_DELETE_SCALARS):
            field = name.removeprefix(_DELETE_SCALARS)
            value[field] = [item for item in value.get(field, []) if item not in wanted]
        elif name.startswith(_ORDER) and isinstance(value.get(field := name.removeprefix(_ORDER)), list):
            child = node.child(field)
            value[field] = _reordered(value[field], wanted, before.get(field) or [], child.merge_key if child else "")


def _reordered(items: list[Any], wanted: list[Any], before: list[Any], key: str) -> list[Any]:
    """The items that are mentioned in the order asked for, the others where they stood among them."""
    places = {_identity(item, key): place for place, item in enumerate(wanted)}
    mentioned = [item for item in items if _identity(item, key) in places]
    mentioned.sort(key=lambda item: places[_identity(item, key)])
    return _interleaved(mentioned, [item for item in items if _identity(item, key) not in places], before, key)


def _identity(item: Any, key: str) -> str:
    return repr(item.get(key)) if isinstance(item, dict) else repr(item)


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        message = f"map: {item} does not contain declared merge key: {key}"
        raise Refused(500, "", message)
    return item[key]


def _stripped(value: Any) -> Any:
    """A value of a patch without directives and without nulls, for a place where nothing was."""
    if isinstance(value, dict):
        return {name: _stripped(item) for name, item in value.items() if not name.startswith("$") and item is not None}
    if isinstance(value, list):
        return [_stripped(item) for item in value if not (isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
    return value
