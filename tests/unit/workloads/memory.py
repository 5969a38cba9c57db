"""Kubernetes objects in memory, with optimistic locking and faults on request."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import orjson

from flagger_py.objects.errors import AlreadyExists, ApiError, Conflict
from flagger_py.objects.patch import JsonPatch, Patch
from flagger_py.objects.resource import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    Manifest,
    Ref,
    Resource,
)
from flagger_py.workloads.autoscaling import copies
from flagger_py.workloads.daemonset import DaemonSetWorkload
from flagger_py.workloads.deployment import DeploymentWorkload

RESOURCES: dict[str, Resource] = {
    resource.kind: resource
    for resource in (
        *(DEPLOYMENT, DAEMON_SET, SERVICE, CONFIG_MAP, SECRET),
        *(CONTROLLER_REVISION, HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT),
    )
}
IDENTITY = frozenset({"name", "namespace", "uid", "resourceVersion"})
WRITES = frozenset({"create", "patch", "delete"})


def _metadata_only(manifest: Manifest) -> Manifest:
    return {"metadata": {key: value for key, value in manifest["metadata"].items() if key in IDENTITY}}


PROJECTIONS: dict[Resource, Callable[[Manifest], Manifest]] = {
    DEPLOYMENT: DeploymentWorkload.project,
    DAEMON_SET: DaemonSetWorkload.project,
    CONFIG_MAP: _metadata_only,
    SECRET: _metadata_only,
    HORIZONTAL_POD_AUTOSCALER: copies.project,
    SCALED_OBJECT: copies.project,
}
"""What the shared cache keeps, as `kube` does it."""


class MemoryObjects:
    """Implements `Objects`. `calls` lists what was asked, as (verb, Ref)."""

    def __init__(self, manifests: Iterable[Manifest] = ()) -> None:
        self.stored: dict[Ref, Manifest] = {}
        self.calls: list[tuple[str, Ref]] = []
        self.faults: list[tuple[str, str, ApiError]] = []
        """Errors to raise, each once: verb, kind, error."""
        self.interventions: list[tuple[str, str, Callable[[], object]]] = []
        """What another client does just before a call, each once: verb, kind, action."""
        self.mutate_reply: Callable[[Manifest], None] | None = None
        """A mutating webhook: changes each object that is created or patched."""
        self._version = 0
        for manifest in manifests:
            self.put(manifest)

    def put(self, manifest: Manifest) -> Manifest:
        """Store a manifest as another client would, whatever version it carries."""
        ref = Ref.of(RESOURCES[manifest["kind"]], manifest)
        before = self.stored.get(ref)
        stored = deepcopy(manifest)
        self._version += 1
        metadata = stored["metadata"]
        metadata["resourceVersion"] = str(self._version)
        metadata.setdefault("uid", before["metadata"]["uid"] if before else f"uid-{self._version}")
        if "spec" in stored:
            has_moved = before is not None and before["spec"] != stored["spec"]
            metadata["generation"] = before["metadata"]["generation"] + has_moved if before else metadata.get("generation", 1)
        self.stored[ref] = stored
        return stored

    def edit(self, kind: str, namespace: str, name: str, change: Callable[[Manifest], object]) -> None:
        """Change an object in place as another client would."""
        manifest = deepcopy(self.stored[Ref(RESOURCES[kind], namespace, name)])
        change(manifest)
        self.put(manifest)

    def fail(self, verb: str, kind: str, error: ApiError) -> None:
        """Let the next such call fail."""
        self.faults.append((verb, kind, error))

    def before(self, verb: str, kind: str, action: Callable[[], object]) -> None:
        """Let another client act just before the next such call."""
        self.interventions.append((verb, kind, action))

    def manifest(self, kind: str, namespace: str, name: str) -> Manifest:
        """The stored object; raises `KeyError` where there is none."""
        return self.stored[Ref(RESOURCES[kind], namespace, name)]

    def names(self, kind: str) -> list[str]:
        """Names of all objects of a kind."""
        return sorted(ref.name for ref in self.stored if ref.resource.kind == kind)

    @property
    def writes(self) -> list[str]:
        """The writes so far, as `verb Kind name`, in order."""
        return [f"{verb} {ref.resource.kind} {ref.name}" for verb, ref in self.calls if verb in WRITES]

    @property
    def reads(self) -> list[str]:
        """The live reads so far, as `verb Kind name`."""
        return [f"{verb} {ref.resource.kind} {ref.name}" for verb, ref in self.calls if verb in {"get", "find"}]

    async def read(self, ref: Ref) -> Manifest | None:
        stored = self._called("read", ref)
        return None if stored is None else _through_json(PROJECTIONS.get(ref.resource, _unchanged)(stored))

    async def get(self, ref: Ref) -> Manifest | None:
        return deepcopy(self._called("get", ref))

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        self._called("find", Ref(resource, namespace, ""))
        key, _, value = label_selector.partition("=")
        found = (
            manifest
            for ref, manifest in sorted(self.stored.items(), key=lambda item: item[0].name)
            if (ref.resource, ref.namespace) == (resource, namespace)
        )
        return [_as_item(manifest) for manifest in found if not key or manifest["metadata"].get("labels", {}).get(key) == value]

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        ref = Ref.of(resource, manifest)
        if self._called("create", ref) is not None:
            raise AlreadyExists(f"{ref} already exists", status=409, reason="AlreadyExists")
        return self._store(manifest)

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        before = self._called("patch", ref)
        assert before is not None, f"{ref} does not exist"
        assert not isinstance(patch, JsonPatch), "only merge patches are sent"
        pinned = patch.body.get("metadata", {}).get("resourceVersion")
        assert pinned, "every patch is pinned"
        if pinned != before["metadata"]["resourceVersion"]:
            raise Conflict(f"{ref} was changed", status=409, reason="Conflict")
        return self._store(merged(before, patch.body))

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        stored = self._called("delete", ref)
        assert stored is None or uid in ("", stored["metadata"]["uid"])
        self.stored.pop(ref, None)

    def _store(self, manifest: Manifest) -> Manifest:
        manifest = deepcopy(manifest)
        if self.mutate_reply is not None:
            self.mutate_reply(manifest)
        return deepcopy(self.put(manifest))

    def _called(self, verb: str, ref: Ref) -> Manifest | None:
        kind = ref.resource.kind
        for intervention in [entry for entry in self.interventions if entry[:2] == (verb, kind)][:1]:
            self.interventions.remove(intervention)
            intervention[2]()
        self.calls.append((verb, ref))
        for fault in [entry for entry in self.faults if entry[:2] == (verb, kind)][:1]:
            self.faults.remove(fault)
            raise fault[2]
        return self.stored.get(ref)


def _unchanged(manifest: Manifest) -> Manifest:
    return manifest


def _through_json(manifest: Manifest) -> Manifest:
    """The store of `kube` keeps JSON text."""
    content: Manifest = orjson.loads(orjson.dumps(manifest, option=orjson.OPT_PASSTHROUGH_DATACLASS))
    return content


def _as_item(manifest: Manifest) -> Manifest:
    """The items of a list have neither kind nor version."""
    return {key: deepcopy(value) for key, value in manifest.items() if key not in {"apiVersion", "kind"}}


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
