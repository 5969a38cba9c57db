"""What the server serves: one `Kind` per resource and version, with everything that its handlers ask about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flagger_py.local.apiserver.schema import Node
from flagger_py.local.apiserver.status import Subject
from flagger_py.local.apiserver.strategy import Strategy
from flagger_py.objects.resource import Resource

ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a kind keeps what its `scale` sub-resource shows, as field names in order."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ()
    """Path of a selector in string form; empty: the kind has a LabelSelector in `spec.selector`, or none."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A served resource in one version. Versions of one resource share a collection and differ in `apiVersion` only."""

    resource: Resource
    schema: Node
    strategy: Strategy
    storage_version: str
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    has_status: bool = False
    scale: ScalePaths | None = None
    subresources: tuple[str, ...] = ()
    """Sub-resources besides `status` and `scale`."""
    selectable: tuple[str, ...] = ()
    """Fields that field selectors know besides `metadata.name` and `metadata.namespace`."""
    is_custom: bool = False
    deprecation: str = ""
    """The warning that each answer carries; empty: none."""
    columns: tuple[Mapping[str, Any], ...] = ()
    """Printer columns, as a CRD writes them."""

    def subject(self, name: str = "") -> Subject:
        return Subject(self.resource.group, self.resource.plural, self.resource.kind, name)

    @property
    def is_stored_version(self) -> bool:
        return self.resource.version == self.storage_version

    def serves(self, subresource: str) -> bool:
        if subresource == "status":
            return self.has_status
        if subresource == "scale":
            return self.scale is not None
        return not subresource or subresource in self.subresources
