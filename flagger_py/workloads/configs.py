"""The ConfigMaps and Secrets of a target: what changed in them, and the copies that the primary uses."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from flagger_py.api.canary import Canary
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import CONFIG_MAP, SECRET, Manifest, Ref, Resource
from flagger_py.workloads.base import PRIMARY_SUFFIX, TargetMoved, TrackedConfigs, WorkloadError
from flagger_py.workloads.checksums import agrees, checksum, data_checksum, is_tracked
from flagger_py.workloads.metadata import included, is_canary_reference, is_owned_by, labels_of, owner_reference, owners_of
from flagger_py.workloads.primary import NAME_LIMIT, require_room
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import CONFIG_MAP_KEY, SECRET_KEY, ConfigReference
from flagger_py.workloads.writing import replace, retry_conflicts

RESOURCES: Mapping[str, Resource] = {CONFIG_MAP_KEY: CONFIG_MAP, SECRET_KEY: SECRET}
CONTENT_FIELDS = ("data", "binaryData")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was learnt of a config in one version; `checksum` is `None` where it is not tracked."""

    version: str
    checksum: str | None


class Configs:
    """Config tracking of one Canary (workloads:CFG)."""

    def __init__(self, objects: Objects, settings: WorkloadSettings) -> None:
        self._objects = objects
        self._settings = settings
        self._seen: Mapping[str, _Seen] = {}

    async def tracked(
        self, canary: Canary, references: Iterable[ConfigReference], checksums: Mapping[str, str], versions: Mapping[str, str]
    ) -> TrackedConfigs:
        """Checksums and versions of what the target refers to now; a version that is known is not read again.

        Raises `WorkloadError` for one that is missing and not optional; only a 404 means missing (workloads:CFG-04).
        """
        if not self._settings.config_tracking:
            return TrackedConfigs()
        known = {key: _Seen(version, checksums.get(key)) for key, version in versions.items()}
        known |= self._seen
        found: dict[str, _Seen] = {}
        for reference in references:
            if seen := await self._look_at(canary, reference, known.get(reference.key), checksums.get(reference.key)):
                found[reference.key] = seen
        self._seen = found
        return TrackedConfigs(
            {key: seen.checksum for key, seen in found.items() if seen.checksum is not None},
            {key: seen.version for key, seen in found.items()},
        )

    async def sources(self, canary: Canary, references: Iterable[ConfigReference]) -> dict[str, Manifest]:
        """The tracked configs whole, as they are now, by key. Raises `WorkloadError` for one that is missing and not optional."""
        if not self._settings.config_tracking:
            return {}
        found: dict[str, Manifest] = {}
        for reference in references:
            config = await self._objects.get(_ref(canary, reference.kind, reference.name))
            if config is None:
                _require_optional(canary, reference)
            elif is_tracked(config):
                found[reference.key] = config
        return found

    async def copy(self, canary: Canary, sources: Mapping[str, Manifest]) -> None:
        """Give the primary copies with exactly this content (workloads:CFG-08, CFG-09).

        Raises `WorkloadError` where an object of that name belongs to no Canary.
        """
        for key, source in sources.items():
            kind, name = key.split("/", 1)
            require_room(f"{RESOURCES[kind].kind} {canary.namespace}: metadata.name", name, NAME_LIMIT)
            await self._copy_one(canary, source, _ref(canary, kind, name + PRIMARY_SUFFIX))

    async def prune(self, canary: Canary, keep: Collection[str]) -> None:
        """Delete copies of this Canary whose key is not in `keep`; one that another Canary uses as well only loses this owner."""
        if not self._settings.config_tracking:
            return
        for kind, resource in RESOURCES.items():
            for config in await self._objects.find(resource, canary.namespace):
                name = config["metadata"]["name"]
                if name.endswith(PRIMARY_SUFFIX) and f"{kind}/{name}" not in keep and is_owned_by(config, canary):
                    await self._release(canary, Ref.of(resource, config), config)

    async def _look_at(self, canary: Canary, reference: ConfigReference, known: _Seen | None, stored: str | None) -> _Seen | None:
        ref = _ref(canary, reference.kind, reference.name)
        metadata = await self._objects.read(ref)
        if metadata is not None and known is not None and known.version == _version(metadata):
            return known
        config = None if metadata is None else await self._objects.get(ref)
        if config is None:
            _require_optional(canary, reference)
            return None
        if not is_tracked(config):
            return _Seen(_version(config), None)
        if known is None and stored is not None and stored == data_checksum(config):
            return _Seen(_version(config), stored)  # Flagger's checksum, taken over: no change, although ours may cover more
        return _Seen(_version(config), checksum(config))

    async def _copy_one(self, canary: Canary, source: Manifest, ref: Ref) -> None:
        async def attempt() -> None:
            live = await self._objects.get(ref)
            if live is None:
                await self._objects.create(ref.resource, new_copy(canary, source, self._settings))
                return
            _require_canary_copy(canary, ref, live)
            if _is_replaceable_only(live, source):
                await self._objects.delete(ref, uid=live["metadata"]["uid"])
                await self._objects.create(ref.resource, new_copy(canary, source, self._settings, owners=_shared_owners(canary, live)))
            else:
                await replace(self._objects, ref, live, updated_copy(canary, source, live, self._settings))

        await retry_conflicts(attempt)

    async def _release(self, canary: Canary, ref: Ref, config: Manifest) -> None:
        others = [owner for owner in owners_of(config) if not _is_ours(owner, canary)]
        if not others:
            await self._objects.delete(ref, uid=config["metadata"]["uid"])
            return
        await replace(self._objects, ref, config, {**config, "metadata": {**config["metadata"], "ownerReferences": others}})


def new_copy(canary: Canary, source: Manifest, settings: WorkloadSettings, *, owners: list[Manifest] | None = None) -> Manifest:
    """The primary's copy of a ConfigMap or Secret (workloads:CFG-09): content and type, no annotations, never immutable."""
    metadata = {
        "name": source["metadata"]["name"] + PRIMARY_SUFFIX,
        "namespace": canary.namespace,
        "labels": included(labels_of(source), settings.include_label_prefixes),
        "ownerReferences": owners or [owner_reference(canary)],
    }
    content = {field: source[field] for field in (*CONTENT_FIELDS, "type") if source.get(field) is not None}
    return {"apiVersion": "v1", "kind": source["kind"], "metadata": metadata, **content}


def updated_copy(canary: Canary, source: Manifest, live: Manifest, settings: WorkloadSettings) -> Manifest:
    """The live copy with the source's content and labels, and with this Canary among its owners."""
    fresh = new_copy(canary, source, settings)
    metadata = {**live["metadata"], "ownerReferences": _shared_owners(canary, live)}
    if labels_of(live) != labels_of(fresh):
        metadata["labels"] = labels_of(fresh)
    kept = {field: value for field, value in live.items() if field not in CONTENT_FIELDS}
    return {**kept, **{field: fresh[field] for field in CONTENT_FIELDS if field in fresh}, "metadata": metadata}


def _shared_owners(canary: Canary, live: Manifest) -> list[Manifest]:
    if any(_is_ours(owner, canary) and owner.get("uid") == canary.metadata.uid for owner in owners_of(live)):
        return owners_of(live)
    others = [{**owner, "controller": False} for owner in owners_of(live) if not _is_ours(owner, canary)]
    return [owner_reference(canary), *others]


def _is_ours(owner: Mapping[str, object], canary: Canary) -> bool:
    return is_canary_reference(owner) and owner.get("name") == canary.metadata.name


def _is_replaceable_only(live: Manifest, source: Manifest) -> bool:
    """The server changes neither a Secret's type nor an immutable object."""
    return live.get("type") != source.get("type") or bool(live.get("immutable"))


def require_same(canary: Canary, sources: Mapping[str, Manifest], checksums: Mapping[str, str]) -> None:
    """Raises `TargetMoved` unless the sources are exactly those that the checksums were computed from."""
    target = f"{canary.spec.target_ref.kind} {canary.namespace}/{canary.spec.target_ref.name}"
    for key in sorted(sources.keys() | checksums.keys()):
        if key not in sources or not agrees(sources[key], checksums.get(key)):
            raise TargetMoved(f"{target}: {key} is no longer the one that this revision was analysed with")


def _ref(canary: Canary, kind: str, name: str) -> Ref:
    return Ref(RESOURCES[kind], canary.namespace, name)


def _version(config: Manifest) -> str:
    return f"{config['metadata'].get('uid', '')}/{config['metadata'].get('resourceVersion', '')}"


def _require_optional(canary: Canary, reference: ConfigReference) -> None:
    if not reference.optional:
        target = f"{canary.spec.target_ref.kind} {canary.namespace}/{canary.spec.target_ref.name}"
        kind = RESOURCES[reference.kind].kind
        raise WorkloadError(f"{kind} {canary.namespace}/{reference.name} does not exist, but {target} refers to it and not as optional")


def _require_canary_copy(canary: Canary, ref: Ref, live: Manifest) -> None:
    if not any(is_canary_reference(owner) for owner in owners_of(live)):
        raise WorkloadError(
            f"{ref} exists and belongs to no Canary, but {canary} needs the name for its copy: delete or rename it, "
            f"or set the annotation flagger.app/config-tracking: disabled on the original"
        )
