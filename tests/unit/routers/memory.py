"""Routing objects in memory: optimistic locking, what each kind's schema defaults and drops, and faults on request."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from flagger_py.objects.errors import AlreadyExists, ApiError, Conflict, NotFound
from flagger_py.objects.patch import JsonPatch, Patch
from flagger_py.objects.resource import Manifest, Ref, Resource

Change = Callable[[Manifest], None]


def nothing(_: Manifest) -> None:
    """A schema without defaults."""


def default_http_route(manifest: Manifest) -> None:
    """What the CustomResourceDefinition of HTTPRoute fills in (Gateway API 1.7, standard channel)."""
    spec = manifest["spec"]
    for parent in spec.get("parentRefs", []):
        parent.setdefault("group", "gateway.networking.k8s.io")
        parent.setdefault("kind", "Gateway")
    for rule in spec.setdefault("rules", [{}]):
        for match in rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}]):
            path = match.setdefault("path", {})
            path.setdefault("type", "PathPrefix")
            path.setdefault("value", "/")
            for condition in [*match.get("headers", []), *match.get("queryParams", [])]:
                condition.setdefault("type", "Exact")
        for backend in rule.get("backendRefs", []):
            backend.setdefault("group", "")
            backend.setdefault("kind", "Service")
            backend.setdefault("weight", 1)
        for item in rule.get("filters", []):
            if "cors" in item:
                item["cors"].setdefault("maxAge", 5)
            if "requestMirror" in item:
                item["requestMirror"]["backendRef"] = {"group": "", "kind": "Service", **item["requestMirror"]["backendRef"]}


def default_http_proxy(manifest: Manifest) -> None:
    """What the CustomResourceDefinition of HTTPProxy fills in (Contour 1.33)."""
    for route in manifest["spec"].get("routes", []):
        if "retryPolicy" in route:
            route["retryPolicy"].setdefault("count", 1)


DEFAULTS: dict[str, Change] = {"HTTPRoute": default_http_route, "HTTPProxy": default_http_proxy}


class MemoryObjects:
    """Implements `Objects`. `writes` lists what was written, as (verb, Ref)."""

    def __init__(self, manifests: Iterable[tuple[Resource, Manifest]] = ()) -> None:
        self.stored: dict[Ref, Manifest] = {}
        self.cached: dict[Ref, Manifest] = {}
        """What `read` gives instead of what is stored: a cache that lags behind."""
        self.writes: list[tuple[str, Ref]] = []
        self.before_write: list[Callable[[], None]] = []
        """What another client does just before a write, each once."""
        self.on_write: Change = nothing
        """A schema that prunes, or a mutating webhook: changes each object that is written."""
        self.error: ApiError | None = None
        """Raised by every call."""
        self._version = 0
        for resource, manifest in manifests:
            self.put(resource, manifest)

    def put(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Store a manifest as the server does for any client: with defaults, a new version and perhaps a new generation."""
        ref = Ref.of(resource, manifest)
        stored = deepcopy(manifest)
        DEFAULTS.get(resource.kind, nothing)(stored)
        before = self.stored.get(ref)
        self._version += 1
        generation = before["metadata"]["generation"] if before else 0
        has_moved = before is None or before["spec"] != stored["spec"]
        stored["metadata"] |= {"resourceVersion": str(self._version), "generation": generation + has_moved}
        self.stored[ref] = stored
        return stored

    def edit(self, ref: Ref, change: Change) -> None:
        """Change an object as another client would."""
        manifest = deepcopy(self.stored[ref])
        change(manifest)
        self.put(ref.resource, manifest)

    def lag(self) -> None:
        """Let the cache stay at what is stored now."""
        self.cached = deepcopy(self.stored)

    async def read(self, ref: Ref) -> Manifest | None:
        self._raise()
        return deepcopy(self.cached.get(ref, self.stored.get(ref)))

    async def get(self, ref: Ref) -> Manifest | None:
        self._raise()
        return deepcopy(self.stored.get(ref))

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        self._raise()
        return [deepcopy(found) for ref, found in self.stored.items() if (ref.resource, ref.namespace) == (resource, namespace)]

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        ref = Ref.of(resource, manifest)
        self._intervene()
        if ref in self.stored:
            raise AlreadyExists(f"{ref} already exists")
        return self._write("create", ref, deepcopy(manifest))

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        self._intervene()
        if ref not in self.stored:
            raise NotFound(f"{ref} does not exist")
        assert not isinstance(patch, JsonPatch), "only merge patches are sent"
        stored = self.stored[ref]
        pinned = patch.body.get("metadata", {}).get("resourceVersion")
        assert pinned, "every patch is pinned"
        if pinned != stored["metadata"]["resourceVersion"]:
            raise Conflict(f"{ref} was changed")
        return self._write("patch", ref, merged(stored, patch.body))

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        raise AssertionError("a router deletes nothing")

    def _write(self, verb: str, ref: Ref, manifest: Manifest) -> Manifest:
        self.writes.append((verb, ref))
        self.on_write(manifest)
        stored = self.put(ref.resource, manifest)
        self.cached.pop(ref, None)
        return deepcopy(stored)

    def _intervene(self) -> None:
        self._raise()
        if self.before_write:
            self.before_write.pop(0)()

    def _raise(self) -> None:
        if self.error:
            raise self.error


def merged(before: Any, patch: Any) -> Any:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
