"""Comparing what is wanted with what is stored by meaning: absent equals empty, and the metadata of others does not count."""

from collections.abc import Mapping
from typing import Any

from flagger_py.objects.resource import Manifest

_ABSENT = object()


def without_empty(value: Any) -> Any:
    """The value without members that are null, empty or `""`; a member that only becomes empty thereby stays (routers:IST-25)."""
    if isinstance(value, Mapping):
        return {key: without_empty(item) for key, item in value.items() if item is not None and item not in ("", [], {})}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


def metadata_difference(wanted: Manifest, stored: Manifest) -> str | None:
    """The first label or annotation that is wanted and not stored so (routers:MD-04)."""
    for part in ("labels", "annotations"):
        kept = stored["metadata"].get(part) or {}
        for key, value in (wanted["metadata"].get(part) or {}).items():
            if kept.get(key) != value:
                return f"metadata.{part}[{key}]"
    return None


def first_difference(wanted: Any, stored: Any, path: str) -> str | None:
    """The path of the first value that is not the same in both; `None` where they are equal."""
    if isinstance(wanted, Mapping) and isinstance(stored, Mapping):
        keys = sorted({*wanted, *stored})
        pairs = ((wanted.get(key, _ABSENT), stored.get(key, _ABSENT), f"{path}.{key}") for key in keys)
    elif isinstance(wanted, list) and isinstance(stored, list) and len(wanted) == len(stored):
        pairs = ((one, other, f"{path}[{index}]") for index, (one, other) in enumerate(zip(wanted, stored, strict=True)))
    else:
        return None if wanted == stored else path
    return next((found for one, other, at in pairs if (found := first_difference(one, other, at))), None)
