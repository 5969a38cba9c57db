"""Which manager owns which fields: `metadata.managedFields`, kept at every write so that server-side apply can find conflicts."""

from dataclasses import dataclass
from typing import Any, Final

from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.field_sets import Fields, changed_fields, from_fields_v1, to_fields_v1
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.objects.resource import Manifest

APPLY: Final = "Apply"
UPDATE: Final = "Update"


@dataclass(frozen=True, slots=True)
class Manager:
    """A writer, as `managedFields` tells writers apart."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        through = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.name}"{through}' + ("" if self.operation == APPLY else f" using {self.api_version}")


@dataclass(frozen=True, slots=True)
class Owned:
    """The fields of one manager and when they last changed."""

    fields: Fields
    time: str


Managers = dict[Manager, Owned]


def managers_of(manifest: Manifest) -> Managers:
    """Who owns what in an object."""
    managers: Managers = {}
    for entry in manifest["metadata"].get("managedFields") or []:
        manager = Manager(entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""), entry.get("subresource", ""))
        if manager.name:
            managers[manager] = Owned(from_fields_v1(entry.get("fieldsV1") or {}), entry.get("time", ""))
    return managers


def entries(managers: Managers) -> list[dict[str, Any]]:
    """The `managedFields` of an object; a manager that owns nothing is not listed."""
    listed = [(manager, owned) for manager, owned in managers.items() if owned.fields]
    listed.sort(key=lambda one: (one[0].operation, one[1].time, one[0].api_version, one[0].name, one[0].subresource))
    return [_entry(manager, owned) for manager, owned in listed]


def tracked(new: Manifest, old: Manifest | None, kind: Kind, call: Call, now: str) -> list[dict[str, Any]]:
    """The entries after an update that turned `old` into `new`: who changes a field owns it from then on."""
    source = new if "managedFields" in new["metadata"] or old is None else old
    changed, removed = changed_fields(old, new, kind.schema)
    changed -= kind.strategy.unowned(new) if old is None else frozenset()
    writer = Manager(call.field_manager, UPDATE, kind.resource.api_version, call.target.subresource)
    managers = {
        manager: lost(owned, (changed | removed) if manager != writer else removed, now) for manager, owned in managers_of(source).items()
    }
    if changed:
        before = managers.get(writer, Owned(frozenset(), ""))
        fields = before.fields | changed
        moment = "" if writer.subresource == "scale" else now  # kube-apiserver notes no time for those
        managers[writer] = Owned(fields, before.time if fields == before.fields else moment)
    return entries(managers)


def lost(owned: Owned, fields: Fields, now: str) -> Owned:
    """What is left to a manager when it loses some fields."""
    left = owned.fields - fields
    return owned if left == owned.fields else Owned(left, now if owned.time else "")


def _entry(manager: Manager, owned: Owned) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": manager.name, "operation": manager.operation, "apiVersion": manager.api_version}
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": to_fields_v1(owned.fields)}
    return entry | ({"subresource": manager.subresource} if manager.subresource else {})
