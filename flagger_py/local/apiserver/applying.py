"""Server-side apply: a manager says which fields it wants; what others own is a conflict unless forced, what it no longer wants goes."""

from dataclasses import dataclass
from typing import Any, Final

from flagger_py.local.apiserver.answers import Answer
from flagger_py.local.apiserver.decoding import conform
from flagger_py.local.apiserver.field_sets import Fields, applied_fields, item_key, remove_at, shown, value_at
from flagger_py.local.apiserver.forms import negotiate
from flagger_py.local.apiserver.go_types import type_error
from flagger_py.local.apiserver.managed_fields import APPLY, Manager, Managers, Owned, entries, lost, managers_of
from flagger_py.local.apiserver.reading import one
from flagger_py.local.apiserver.schema import ANYTHING, Node, copied, prune
from flagger_py.local.apiserver.status import Refused, bad_request, conflict_of_managers
from flagger_py.local.apiserver.store import Record
from flagger_py.local.apiserver.writing import Writer
from flagger_py.objects.resource import Manifest

_NONE: Final[Fields] = frozenset()


def apply(writer: Writer, config: Any) -> Answer:
    """Apply a configuration, creating the object where it does not exist. Raises 400, 409 for a conflict, and 422."""
    form = negotiate(writer.call)
    _check(writer, config)
    key = (writer.call.target.namespace if writer.kind.resource.namespaced else "", writer.call.target.name)
    if key not in writer.state.collection(writer.kind).records:
        if writer.call.target.subresource:
            writer.state.record(writer.kind, key)  # raises 404
        application = _Application(writer, config, {})
        record = writer.create_from(conform(copied(config), writer.kind, writer.call, []), track=application.track)
        return one(writer.state, writer.kind, record, form, writer.call, 201)
    application = _Application(writer, config, managers_of(writer.state.record(writer.kind, key).manifest))
    record = writer.change(application.change, track=application.track)
    return one(writer.state, writer.kind, record, form, writer.call)


@dataclass(slots=True)
class _Application:
    """One application of a configuration. `managers` are those of the live object."""

    writer: Writer
    config: Manifest
    managers: Managers
    taken: Fields = _NONE
    """Fields that are taken from others by force."""

    @property
    def manager(self) -> Manager:
        call, kind = self.writer.call, self.writer.kind
        return Manager(call.query["fieldManager"], APPLY, kind.resource.api_version, call.target.subresource)

    @property
    def fields(self) -> Fields:
        return applied_fields(self.config, self.writer.kind.schema)

    def change(self, old: Manifest, record: Record) -> Manifest:
        """The live object with the configuration in it. Raises 409."""
        del record
        schema = self.writer.kind.schema
        wanted = self.fields
        self._check_conflicts(old, wanted)
        merged: Manifest = merge_applied(copied(old), self.config, schema)
        before = self.managers.get(self.manager, Owned(_NONE, "")).fields
        for path in sorted(before - wanted, key=len, reverse=True):
            if not self._is_held(path, wanted):
                remove_at(merged, path)
        return conform(merged, self.writer.kind, self.writer.call, [])

    def track(self, new: Manifest, old: Manifest | None) -> list[dict[str, Any]]:
        """The `managedFields` after the application."""
        now, manager, fields = self.writer.state.timestamp(), self.manager, self.fields
        managers = {other: lost(owned, self.taken, now) for other, owned in self.managers.items() if other != manager}
        before = self.managers.get(manager)
        unchanged = before is not None and before.fields == fields and old is not None and _same_but_managers(new, old)
        managers[manager] = before if before is not None and unchanged else Owned(fields, now)
        return entries(managers)

    def _check_conflicts(self, old: Manifest, wanted: Fields) -> None:
        conflicts: list[tuple[Manager, Owned, list[Any]]] = []
        for manager, owned in self.managers.items():
            if manager == self.manager:
                continue
            paths = [path for path in sorted(wanted & owned.fields) if _differs(value_at(old, path), value_at(self.config, path))]
            if paths:
                conflicts.append((manager, owned, paths))
        if conflicts and not self.writer.call.flag("force"):
            raise conflict_of_managers([(f"{manager}", shown(path)) for manager, _, paths in conflicts for path in paths])
        self.taken = frozenset(path for _, _, paths in conflicts for path in paths)

    def _is_held(self, path: tuple[str, ...], wanted: Fields) -> bool:
        """Whether somebody else owns a field or something in it, or this configuration still wants something in it."""
        others = (owned.fields for manager, owned in self.managers.items() if manager != self.manager)
        return any(one[: len(path)] == path for fields in (wanted, *others) for one in fields)


def merge_applied(value: Any, config: Any, node: Node | None) -> Any:
    """The value with a configuration in it, by the list and map types of the schema; the value may be changed."""
    node = node or ANYTHING
    if isinstance(config, dict) and isinstance(value, dict) and not node.is_atomic:
        for name, item in config.items():
            value[name] = merge_applied(value.get(name), item, node.child(name))
        return value
    if isinstance(config, list) and isinstance(value, list) and node.list_type in {"map", "set"}:
        return _merge_items(value, config, node)
    return copied(config)


def _merge_items(value: list[Any], config: list[Any], node: Node) -> list[Any]:
    wanted = {item_key(item, node): item for item in config}
    merged = []
    for item in value:
        key = item_key(item, node)
        merged.append(merge_applied(item, wanted.pop(key), node.items) if key in wanted and node.list_type == "map" else item)
        wanted.pop(key, None)
    return merged + [copied(item) for item in wanted.values()]


def _check(writer: Writer, config: Any) -> None:
    call, kind = writer.call, writer.kind
    if not isinstance(config, dict):
        raise bad_request("error decoding patch: the configuration must be an object")
    if (config.get("apiVersion"), config.get("kind")) != (kind.resource.api_version, kind.resource.kind):
        raise bad_request(f"invalid object type: {_go_kind(config.get('apiVersion', ''), config.get('kind', ''))}")
    metadata, name = config.setdefault("metadata", {}), call.target.name
    if not metadata.get("name"):
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if metadata["name"] != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if metadata.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    _check_fields(writer, config)


def _check_fields(writer: Writer, config: Manifest) -> None:
    """What the schema does not have or has in another type is an error here, whatever `fieldValidation` says."""
    unknown: list[str] = []
    prune(copied(config), writer.kind.schema, unknown=unknown)
    problem = f".{unknown[0]}: field not declared in schema" if unknown else ""
    if not problem and not writer.kind.is_custom:
        problem = type_error(config, writer.kind.schema.raw)
    if problem:
        resource, metadata = writer.kind.resource, config["metadata"]
        named = f"{metadata.get('namespace', '')}/{metadata['name']}; {_go_kind(resource.api_version, resource.kind)}"
        raise Refused(500, "", f"failed to create typed patch object ({named}): {problem}")


def _go_kind(api_version: str, kind: str) -> str:
    """A group, version and kind as Go prints them."""
    return f"{api_version if '/' in api_version else f'/{api_version}'}, Kind={kind}"


def _differs(live: Any, wanted: Any) -> bool:
    """Whether a leaf has another value; a list item or a map that both have is the same field."""
    return bool(live != wanted) and not (isinstance(live, dict) and isinstance(wanted, dict) and live and wanted)


def _same_but_managers(new: Manifest, old: Manifest) -> bool:
    ignored = {"managedFields", "resourceVersion"}
    return all(
        {name: value for name, value in one.items() if name not in ignored} == {n: v for n, v in other.items() if n not in ignored}
        for one, other in ((new["metadata"], old["metadata"]),)
    ) and {**new, "metadata": None} == {**old, "metadata": None}
