"""Kubernetes objects that stand in files, as a cluster in memory: what is written to it can be listed, and changes no file."""

import base64
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from flagger_py.cli.manifest_files import ReadManifest
from flagger_py.objects.errors import AlreadyExists, Conflict, Invalid, NotFound
from flagger_py.objects.patch import MergePatch, Patch
from flagger_py.objects.resource import CANARY, Manifest, Ref, Resource

UNKNOWN_UID: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that a cluster will give to a Canary; owner references and what is derived from the uid show it."""

Key = tuple[str, str, str, str]
"""Group, kind, namespace, name: a cluster has an object once, whatever version it is written in."""


@dataclass(frozen=True, slots=True)
class Change:
    """An object that was created (`before` is `None`), changed, or deleted (`after` is `None`)."""

    name: str
    """`Kind namespace/name`."""
    source: str
    """File and line; empty for an object that no file has."""
    before: Manifest | None
    after: Manifest | None


class FileObjects:
    """Implements `Objects`. Whatever names no namespace is in `namespace`; later objects of the same name replace earlier ones."""

    def __init__(self, reads: Iterable[ReadManifest], namespace: str) -> None:
        self.namespace = namespace
        self.given_twice: list[str] = []
        """`Kind namespace/name` and both places of what the files have more than once."""
        self._stored: dict[Key, Manifest] = {}
        self._given: dict[Key, tuple[str, Manifest]] = {}
        self._written: dict[Key, None] = {}
        self._hidden: set[Key] = set()
        self._version = 0
        for read in reads:
            self._load(read)

    def canaries(self) -> Iterator[Manifest]:
        """The Canaries in the order of the files, with namespace and uid."""
        for key, manifest in self._stored.items():
            if key[:2] == (CANARY.group, CANARY.kind):
                yield manifest

    def peek(self, ref: Ref) -> Manifest | None:
        """The object as it is now, not to be changed."""
        return self._stored.get(self._key(ref))

    def assume(self, ref: Ref, copy: Ref) -> None:
        """Go on as if this object existed, with unknown content; a copy that is made of it is not listed as a change."""
        self._put(self._key(ref), {"apiVersion": ref.resource.api_version, "kind": ref.resource.kind, "metadata": _metadata(ref)})
        self._hidden.add(self._key(copy))

    def report(self, ref: Ref, status: Manifest) -> None:
        """Let an object have the status that its controller would give it; one that no file has exists from now on, and is not listed."""
        bare = {"apiVersion": ref.resource.api_version, "kind": ref.resource.kind, "metadata": _metadata(ref)}
        self._put(self._key(ref), {**(self.peek(ref) or bare), "status": status})

    def changes(self) -> Iterator[Change]:
        """What was written, in the order of the first write to each object; an object that is as it was in its file is left out."""
        for key in self._written:
            source, given = self._given.get(key, ("", None))
            before, after = _as_shown(given), _as_shown(self._stored.get(key))
            if before != after and key not in self._hidden:
                yield Change(_name(key), source, before, after)

    async def read(self, ref: Ref) -> Manifest | None:
        return await self.get(ref)

    async def get(self, ref: Ref) -> Manifest | None:
        return deepcopy(self._stored.get(self._key(ref)))

    async def find(self, resource: Resource, namespace: str, label_selector: str = "") -> list[Manifest]:
        wanted = [term.partition("=") for term in label_selector.split(",") if term]
        found = []
        for key, manifest in sorted(self._stored.items()):
            labels = manifest["metadata"].get("labels") or {}
            if key[:3] == (resource.group, resource.kind, namespace) and all(labels.get(label) == value for label, _, value in wanted):
                found.append(deepcopy(manifest))
        return found

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        ref = Ref.of(resource, manifest)
        if self._key(ref) in self._stored:
            raise AlreadyExists(f"{ref} already exists", status=409, reason="AlreadyExists")
        return self._write(ref, manifest)

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "") -> Manifest:
        stored = self._stored.get(self._key(ref))
        if stored is None:
            raise NotFound(f"{ref} does not exist", status=404, reason="NotFound")
        if not isinstance(patch, MergePatch):
            raise Invalid(f"{ref}: a JSON patch cannot be applied to files; only merge patches can", status=415)
        wanted = patch.body.get("metadata", {}).get("resourceVersion")
        if wanted not in (None, stored["metadata"]["resourceVersion"]):
            raise Conflict(f"{ref} was changed since it was read", status=409, reason="Conflict")
        return self._write(ref, _merged(stored, patch.body))

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        if self._stored.pop(self._key(ref), None) is not None:
            self._written.setdefault(self._key(ref))

    def _load(self, read: ReadManifest) -> None:
        manifest = _without_nulls(read.manifest)
        metadata = manifest["metadata"]
        metadata["namespace"] = metadata.get("namespace") or self.namespace
        group = manifest["apiVersion"].rpartition("/")[0]
        key = (group, manifest["kind"], metadata["namespace"], metadata["name"])
        metadata.setdefault("uid", UNKNOWN_UID if key[:2] == (CANARY.group, CANARY.kind) else "")
        if key[:2] == ("", "Secret"):
            _encode_string_data(manifest)
        source = f"{read.source}:{read.node.start_mark.line + 1}"
        if key in self._given:
            self.given_twice.append(f"{_name(key)}: {self._given[key][0]} and {source}")
        self._given[key] = (source, self._put(key, manifest))

    def _key(self, ref: Ref) -> Key:
        return ref.resource.group, ref.resource.kind, ref.namespace or self.namespace, ref.name

    def _write(self, ref: Ref, manifest: Manifest) -> Manifest:
        self._written.setdefault(self._key(ref))
        return deepcopy(self._put(self._key(ref), deepcopy(manifest)))

    def _put(self, key: Key, manifest: Manifest) -> Manifest:
        self._version += 1
        manifest["metadata"].setdefault("uid", "")
        self._stored[key] = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(self._version)}}
        return self._stored[key]


def _name(key: Key) -> str:
    _, kind, namespace, name = key
    return f"{kind} {namespace}/{name}"


def _metadata(ref: Ref) -> Manifest:
    return {"name": ref.name, "namespace": ref.namespace}


def _without_nulls(value: Any) -> Any:
    """A copy without the fields that are null: an API server takes them for absent."""
    if isinstance(value, dict):
        return {name: _without_nulls(entry) for name, entry in value.items() if entry is not None}
    return [_without_nulls(entry) for entry in value] if isinstance(value, list) else value


def _encode_string_data(secret: Manifest) -> None:
    """What the API server does with `stringData` (it is never stored)."""
    if text := secret.pop("stringData", None):
        encoded = {name: base64.b64encode(str(value).encode()).decode() for name, value in text.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def _as_shown(manifest: Manifest | None) -> Manifest | None:
    """Without what only a server writes, and in the usual order of fields."""
    if manifest is None:
        return None
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in {"resourceVersion", "managedFields"}}
    for name in ("uid", "labels", "annotations"):
        if not metadata.get(name):
            metadata.pop(name, None)
    head = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata}
    return head | {name: value for name, value in manifest.items() if name not in {*head, "status"}}


def _merged(before: Any, patch: Any) -> Any:
    """A JSON merge patch applied (RFC 7386, section 2)."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
