"""What routers and workloads need of a cluster: read from the cache, read live, write. Implemented by `kube`, and by files for `render`."""

from typing import Protocol

from flagger_py.objects.patch import Patch
from flagger_py.objects.resource import Manifest, Ref, Resource


class Objects(Protocol):
    """Kubernetes objects by reference. Every call may raise `ApiError`; every network call has a time-out.

    A manifest that is handed out is shared: it must not be changed in place.
    """

    async def read(self, ref: Ref) -> Manifest | None:
        """The object from the shared cache (starting its watch where needed); `None` if it does not exist. Pod templates may be reduced.

        What was read counts as an input of the Canary's pass: when it changes, the Canary is woken.
        Raises `NotServed` or `Forbidden` where its kind cannot be watched.
        """

    async def get(self, ref: Ref) -> Manifest | None:
        """The whole object as the server has it now; `None` if it does not exist."""

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        """All objects of a namespace as the server has them now, in name order."""

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create it and return what the server stored. Raises `AlreadyExists`."""

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        """Patch it and return what the server stored. Raises `Conflict` where the patch is pinned to an older version."""

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        """Delete it (only this `uid`, where given); succeeds where it does not exist."""
