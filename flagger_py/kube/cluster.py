"""What the controller knows of the cluster: one watch and one store per kind in use, and reads and writes that go through them."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from flagger_py.kube.client import Client
from flagger_py.kube.retry import Jitter
from flagger_py.kube.store import Key, Projection, Store
from flagger_py.kube.watch import Listeners, Watcher, WatchTarget
from flagger_py.kube.watch_state import Change, ListBegun, ListComplete, Removed, Upserted, is_unavailable
from flagger_py.objects.errors import ApiError, NotFound, Unreachable
from flagger_py.objects.patch import Patch
from flagger_py.objects.resource import Manifest, Ref, Resource

FIRST_LIST_LIMIT: Final = 20.0
"""Seconds that a read waits for the first list of its kind."""
LISTS_AT_ONCE: Final = 2
"""More would only take memory: each holds a page of whole objects, and the second is for when the first hangs."""

OnRef = Callable[[Ref], None]


@dataclass(frozen=True, slots=True)
class WatchState:
    """How one watch is doing, for `/readyz`."""

    has_synced: bool
    """Its first list has been complete; reads are answered, even if the watch is broken at the moment."""
    problem: ApiError | None
    objects: int


def kind_of(resource: Resource) -> Ref:
    """Stands for a kind as a whole: subscribers get it when reads of the kind begin or cease to be possible."""
    return Ref(resource, "", "")


class Cluster:
    """Watches each kind from its first read on, in the version of that read.

    As a context manager it owns the watches' tasks; leaving it ends them. With a `namespace`, only that one is watched, and
    what is read elsewhere is read live.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str = "",
        projections: Mapping[Resource, Projection] | None = None,
        on_watch_ended: Callable[[Resource], None] = lambda resource: None,
        jitter: Jitter = random.random,
    ) -> None:
        self.client = client
        self.namespace = namespace
        self._projections = projections or {}
        self._on_watch_ended = on_watch_ended
        self._jitter = jitter
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._subscribers: list[OnRef] = []
        self._tasks = asyncio.TaskGroup()
        self._list_gate = asyncio.Semaphore(LISTS_AT_ONCE)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for watched in self._kinds.values():
            watched.stop()
        if isinstance(error, asyncio.CancelledError):  # perhaps by the group itself, because a watch has crashed
            await self._tasks.__aexit__(kind, error, traceback)
        else:  # an error of the body goes on as it is, outside of any group
            await self._tasks.__aexit__(None, None, None)

    def subscribe(self, callback: OnRef) -> None:
        """Call it with each object that appears, changes in something that we keep, or goes; with `kind_of(resource)` for a whole kind.

        Own writes count too: they are seen at once. It must not block or raise.
        """
        self._subscribers.append(callback)

    def unsubscribe(self, callback: OnRef) -> None:
        """Call it no more."""
        self._subscribers.remove(callback)

    async def ensure_watched(self, resource: Resource) -> None:
        """Watch it, if it is not yet, and wait for its first list.

        Raises `Forbidden` or `NotServed` where it cannot be watched now (it is tried again by itself), and `Unreachable`
        where no list came in time.
        """
        await self._kind(resource).ready()

    def objects(self, on_read: OnRef = lambda ref: None, *, client: Client | None = None) -> "ClusterObjects":
        """The cluster as `Objects`. `on_read` gets what each read depends on; `client` is one with a fence, for a leader's writes."""
        return ClusterObjects(self, client or self.client, on_read)

    def items(self, resource: Resource, namespace: str = "") -> Iterable[Manifest]:
        """All stored objects of a kind, in no order; none before its first list."""
        kind = self._kinds.get(_identity(resource))
        return kind.store.items(namespace) if kind else ()

    def health(self) -> Mapping[Resource, WatchState]:
        """The state of each watch."""
        return {kind.store.resource: kind.state() for kind in self._kinds.values()}

    async def read(self, ref: Ref, on_read: OnRef) -> Manifest | None:
        """The object from the store of its kind; live where that one is in another version or the namespace is not watched."""
        if self._is_outside(ref):
            on_read(ref)
            return await self.get(ref, self.client)
        kind = self._kind(ref.resource)
        on_read(Ref(kind.store.resource, ref.namespace, ref.name))
        on_read(kind.ref)
        await kind.ready()
        if kind.store.resource != ref.resource:
            return await self.get(ref, self.client)
        return kind.store.read(ref.namespace, ref.name)

    async def get(self, ref: Ref, client: Client) -> Manifest | None:
        """The object from the server, which the store takes in."""
        try:
            found = await client.get(ref)
        except NotFound:
            return None
        self.absorb(ref.resource, found)
        return found

    def absorb(self, resource: Resource, reply: Manifest) -> None:
        """Let the store know the reply to a write; a reply that is another kind (a `Status`, a `Scale`) is left out."""
        kind = self._kinds.get(_identity(resource))
        if kind and kind.store.resource == resource and reply.get("kind") == resource.kind:
            kind.announce(kind.store.absorb(reply))

    def forget(self, ref: Ref, uid: str) -> None:
        """Let the store know that the server has deleted this object."""
        if kind := self._kinds.get(_identity(ref.resource)):
            kind.announce(kind.store.forget(ref.namespace, ref.name, uid))

    def _is_outside(self, ref: Ref) -> bool:
        return bool(self.namespace and ref.resource.namespaced and ref.namespace != self.namespace)

    def _kind(self, resource: Resource) -> "_Kind":
        identity = _identity(resource)
        if identity not in self._kinds:
            kind = _Kind(Store(resource, self._projections.get(resource, Projection())), self._announce)
            self._kinds[identity] = kind
            kind.task = self._tasks.create_task(self._watcher(kind).run(), name=f"watch {resource}")
        return self._kinds[identity]

    def _watcher(self, kind: "_Kind") -> Watcher:
        resource = kind.store.resource
        metadata_only = self._projections.get(resource, Projection()).metadata_only
        target = WatchTarget(resource, self.namespace if resource.namespaced else "", metadata_only)
        listeners = Listeners(kind.take, kind.report, lambda: self._on_watch_ended(resource))
        return Watcher(self.client, target, listeners, list_gate=self._list_gate, jitter=self._jitter)

    def _announce(self, ref: Ref) -> None:
        for callback in self._subscribers:
            callback(ref)


class _Kind:
    """One watched kind: its store, and whether reads of it can be answered."""

    def __init__(self, store: Store, announce: OnRef) -> None:
        self.store = store
        self.ref = kind_of(store.resource)
        self.task: asyncio.Task[None] | None = None
        self._announce = announce
        self._problem: ApiError | None = None
        self._has_synced = False
        self._has_missed = False
        """A read was given up before the first list came: its Canary has to be told."""
        self._settled = asyncio.Event()
        """Set once a read can be answered, by an object or by an error."""

    async def ready(self) -> None:
        if not self._settled.is_set():
            await self._wait()
        if self._problem and is_unavailable(self._problem):
            raise self._problem.with_traceback(None)  # the one object is raised often: its traceback must not grow

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(FIRST_LIST_LIMIT):
                await self._settled.wait()
        except TimeoutError as error:
            self._has_missed = True
            reason = self._problem or f"no answer within {FIRST_LIST_LIMIT:g} s"
            raise Unreachable(f"{self.store.resource} could not be listed yet: {reason}") from error

    def stop(self) -> None:
        if self.task:
            self.task.cancel()

    def state(self) -> WatchState:
        return WatchState(self._has_synced, self._problem, len(self.store))

    def announce(self, keys: list[Key]) -> None:
        for namespace, name in keys:
            self._announce(Ref(self.store.resource, namespace, name))

    def take(self, change: Change) -> None:
        match change:
            case ListBegun():
                self.store.begin_list()
            case Upserted(manifest):
                self.announce(self.store.upsert(manifest))
            case Removed(manifest):
                self.announce(self.store.remove(manifest))
            case ListComplete():
                self.announce(self.store.complete_list())
                self._sync()

    def report(self, problem: ApiError | None) -> None:
        was_unavailable, self._problem = is_unavailable(self._problem), problem
        if is_unavailable(problem):
            self._settled.set()
        elif not self._has_synced:
            self._settled.clear()
        if was_unavailable != is_unavailable(problem):
            self._announce(self.ref)

    def _sync(self) -> None:
        if not self._has_synced:
            self._has_synced = True
            self._settled.set()
            if self._has_missed:
                self._announce(self.ref)


class ClusterObjects:
    """`objects.protocol.Objects` over a cluster: cached reads that are recorded, live reads, and writes that the stores see at once."""

    def __init__(self, cluster: Cluster, client: Client, on_read: OnRef) -> None:
        self._cluster = cluster
        self._client = client
        self._on_read = on_read

    async def read(self, ref: Ref) -> Manifest | None:
        return await self._cluster.read(ref, self._on_read)

    async def get(self, ref: Ref) -> Manifest | None:
        return await self._cluster.get(ref, self._client)

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        return await self._client.find(resource, namespace, label_selector=label_selector)

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        created = await self._client.create(resource, manifest)
        self._cluster.absorb(resource, created)
        return created

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "", field_validation: str = "") -> Manifest:
        """As the protocol says; `field_validation="Strict"` refuses (`Invalid`) what the schema would prune."""
        patched = await self._client.patch(ref, patch, subresource=subresource, field_validation=field_validation)
        self._cluster.absorb(ref.resource, patched)
        return patched

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        try:
            reply = await self._client.delete(ref, uid=uid)
        except NotFound:
            return
        if reply.get("kind") == ref.resource.kind:
            self._cluster.absorb(ref.resource, reply)
        else:
            self._cluster.forget(ref, (reply.get("details") or {}).get("uid") or uid)


def _identity(resource: Resource) -> tuple[str, str]:
    return resource.group, resource.plural
