"""Custom resources: the kinds that a CustomResourceDefinition makes, and the strategy of their objects."""

from functools import lru_cache
from typing import Any, Final

import orjson

from flagger_py.local.apiserver.kinds import Kind, ScalePaths
from flagger_py.local.apiserver.registry import version_priority
from flagger_py.local.apiserver.schema import Node, custom
from flagger_py.local.apiserver.status import FieldError
from flagger_py.local.apiserver.strategy import Strategy, keep_field, keep_metadata
from flagger_py.local.apiserver.validation import SchemaValidator
from flagger_py.objects.resource import Manifest, Resource

_AGE: Final = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class CustomStrategy(Strategy):
    """Objects of one CRD version: the schema judges them. Without a status sub-resource the status is ordinary content."""

    may_update_unpinned = False
    has_generation = True

    def __init__(self, validator: SchemaValidator, *, has_status: bool) -> None:
        self._validator = validator
        self._has_status = has_status

    def prepare_create(self, new: Manifest) -> None:
        if self._has_status:
            new.pop("status", None)

    def prepare_update(self, new: Manifest, old: Manifest) -> None:
        if self._has_status:
            keep_field(new, old, "status")

    def prepare_status(self, new: Manifest, old: Manifest) -> None:
        for name in {*new, *old} - {"status", "metadata", "apiVersion", "kind"}:
            keep_field(new, old, name)
        keep_metadata(new, old)

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        return self._validator.errors(new, old)

    @property
    def unsupported_rules(self) -> list[str]:
        """Rules of the schema that are not checked."""
        return self._validator.unsupported_rules

    def is_new_generation(self, new: Manifest, old: Manifest) -> bool:
        """Everything but metadata counts, and the status where it is no sub-resource."""
        ignored = {"metadata", "apiVersion", "kind"} | ({"status"} if self._has_status else set())
        return any(new.get(name) != old.get(name) for name in {*new, *old} - ignored)


def custom_kinds(crd: Manifest) -> list[Kind]:
    """One kind per served version, the preferred version first."""
    spec = crd["spec"]
    storage = next(version["name"] for version in spec["versions"] if version["storage"])
    served = [version for version in spec["versions"] if version["served"]]
    served.sort(key=lambda version: version_priority(version["name"]), reverse=True)
    preferred = next((version["name"] for version in served if not version.get("deprecated")), "")
    return [_kind(spec, version, storage, preferred) for version in served]


def stored_schema(crd: Manifest) -> Node:
    """The schema of the version in which objects are stored."""
    return custom(_open_api(next(version for version in crd["spec"]["versions"] if version["storage"])))


def _kind(spec: dict[str, Any], version: dict[str, Any], storage: str, preferred: str) -> Kind:
    names, subresources = spec["names"], version.get("subresources", {})
    schema, validator = _compiled(version["name"], orjson.dumps(_open_api(version)))
    has_status = "status" in subresources
    resource = Resource(spec["group"], version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced")
    return Kind(
        resource,
        schema=schema,
        strategy=CustomStrategy(validator, has_status=has_status),
        storage_version=storage,
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        verbs=CUSTOM_VERBS,
        has_status=has_status,
        scale=_scale(subresources.get("scale")),
        selectable=tuple(one["jsonPath"].removeprefix(".") for one in version.get("selectableFields", ())),
        is_custom=True,
        deprecation=_deprecation(resource, version, preferred),
        columns=tuple(version.get("additionalPrinterColumns") or [_AGE]),
    )


@lru_cache(maxsize=256)
def _compiled(version: str, schema: bytes) -> tuple[Node, SchemaValidator]:
    """A schema, compiled once for all servers of the process. Versions have nodes of their own: objects are encoded once per node."""
    del version
    node = custom(orjson.loads(schema))
    return node, SchemaValidator(node)


def _open_api(version: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = version.get("schema", {}).get("openAPIV3Schema", {"type": "object"})
    return schema


def _scale(paths: dict[str, str] | None) -> ScalePaths | None:
    if paths is None:
        return None
    names = (paths["specReplicasPath"], paths["statusReplicasPath"], paths.get("labelSelectorPath", ""))
    spec, status, selector = (tuple(path.strip(".").split(".")) if path else () for path in names)
    return ScalePaths(spec, status, selector)


def _deprecation(resource: Resource, version: dict[str, Any], preferred: str) -> str:
    if not version.get("deprecated"):
        return ""
    instead = f"; use {resource.group}/{preferred} {resource.kind}" if preferred else ""
    return version.get("deprecationWarning") or f"{resource.api_version} {resource.kind} is deprecated{instead}"
