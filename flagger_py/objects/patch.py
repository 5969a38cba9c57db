"""Patches that know their content type, and how a merge patch is rendered from two manifests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flagger_py.objects.resource import Manifest


@dataclass(frozen=True, slots=True)
class MergePatch:
    """A JSON merge patch (RFC 7386): `None` deletes, lists are replaced whole."""

    body: Mapping[str, Any]
    content_type = "application/merge-patch+json"

    @property
    def is_empty(self) -> bool:
        return not self.body


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """A JSON patch (RFC 6902): operations in order."""

    body: tuple[Mapping[str, Any], ...]
    content_type = "application/json-patch+json"

    @property
    def is_empty(self) -> bool:
        return not self.body


Patch = MergePatch | JsonPatch


def merge_patch(old: Manifest, new: Manifest) -> MergePatch:
    """The smallest merge patch that turns `old` into `new`; empty where they are equal.

    The server keeps fields that it owns, so the caller passes an `old` that it has read and a `new` derived from it.
    """
    return MergePatch(_difference(old, new))


def pinned(patch: MergePatch, read: Manifest) -> MergePatch:
    """The same patch, refused by the server (409) if the object is no longer the one that was read."""
    metadata = {**patch.body.get("metadata", {}), "resourceVersion": read["metadata"]["resourceVersion"]}
    return MergePatch({**patch.body, "metadata": metadata})


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            if nested := _difference(before, value):
                changes[key] = nested
        elif key not in old or before != value:
            changes[key] = value
    return changes
