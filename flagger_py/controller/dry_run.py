"""`-observe-only`: objects that are read as they are, and whose writes are noted instead of sent."""

from collections.abc import Mapping
from typing import Any

from flagger_py.objects.patch import MergePatch, Patch
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest, Ref, Resource


class NotedObjects:
    """`Objects` that change nothing. `writes` says in words what would have been sent, in order."""

    def __init__(self, objects: Objects) -> None:
        self.writes: list[str] = []
        self._objects = objects

    async def read(self, ref: Ref) -> Manifest | None:
        return await self._objects.read(ref)

    async def get(self, ref: Ref) -> Manifest | None:
        return await self._objects.get(ref)

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        return await self._objects.find(resource, namespace, label_selector)

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        self.writes.append(f"create {Ref.of(resource, manifest)}")
        return manifest

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "", field_validation: str = "") -> Manifest:
        paths = _paths(patch.body) if isinstance(patch, MergePatch) else [str(operation["path"]) for operation in patch.body]
        self.writes.append(f"patch {ref}{f' {subresource}' if subresource else ''}: {', '.join(paths)}")
        return await self._objects.get(ref) or {}

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        self.writes.append(f"delete {ref}")


def _paths(body: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The fields that a merge patch sets or removes; the version that it is pinned to is none."""
    found: list[str] = []
    for key, value in body.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping) and value:
            found += _paths(value, path)
        elif path != "metadata.resourceVersion":
            found.append(path)
    return found
