"""`-observe-only`: objects that are read as they are, and whose writes are noted instead of sent."""

from flagger_py.controller.written import changed_paths
from flagger_py.objects.patch import Patch
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
        self.writes.append(f"patch {ref}{f' {subresource}' if subresource else ''}: {', '.join(changed_paths(patch))}")
        return await self._objects.get(ref) or {}

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        self.writes.append(f"delete {ref}")
