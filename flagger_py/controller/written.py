"""`Objects` that remember what was written through them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flagger_py.controller.contests import Written
from flagger_py.objects.patch import MergePatch, Patch
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest, Ref, Resource


def changed_paths(patch: Patch) -> tuple[str, ...]:
    """The fields that a patch sets or removes; the version that it is pinned to is none."""
    if not isinstance(patch, MergePatch):
        return tuple(str(operation["path"]) for operation in patch.body)
    return tuple(path for path in _paths(patch.body, "") if path != "metadata.resourceVersion")


def _paths(body: Mapping[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for key, value in body.items():
        path = f"{prefix}.{key}" if prefix else key
        found += _paths(value, path) if isinstance(value, Mapping) and value else [path]
    return found


def _digest(body: Any) -> str:
    """Of what is set, without the version that it is pinned to."""
    if isinstance(body, Mapping) and "resourceVersion" in body.get("metadata", {}):
        body = {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}}
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=8).hexdigest()


class RecordedObjects:
    """Passes everything on. `take` gives the writes since it was called last."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._written: list[Written] = []

    def take(self) -> list[Written]:
        """What was written, in order."""
        written, self._written = self._written, []
        return written

    async def read(self, ref: Ref) -> Manifest | None:
        return await self._objects.read(ref)

    async def get(self, ref: Ref) -> Manifest | None:
        return await self._objects.get(ref)

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        return await self._objects.find(resource, namespace, label_selector)

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        created = await self._objects.create(resource, manifest)
        self._written.append(Written(Ref.of(resource, created), (), _digest(manifest)))
        return created

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        patched = await self._objects.patch(ref, patch, subresource=subresource)
        self._written.append(Written(ref, changed_paths(patch), _digest(patch.body)))
        return patched

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        await self._objects.delete(ref, uid=uid)
