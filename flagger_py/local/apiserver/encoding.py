"""Objects as bytes: in the version asked for, under today's schema, as whole objects or as their metadata only."""

from typing import Final

import orjson

from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.schema import Node, prune, set_defaults
from flagger_py.local.apiserver.store import Record
from flagger_py.objects.resource import Manifest

METADATA_ONLY: Final = "PartialObjectMetadata"


def encode(kind: Kind, record: Record, stored_schema: Node) -> bytes:
    """The object's JSON as a reader of this kind sees it; kept with the record, because many readers ask for the same."""
    if kind.is_stored_version and record.schema is stored_schema:
        return record.data
    if (known := record.encodings.get(kind.schema)) is None:
        known = record.encodings[kind.schema] = orjson.dumps(read(kind, record, stored_schema))
    return known


def encode_item(kind: Kind, record: Record, stored_schema: Node) -> bytes:
    """The object as it stands in a list: those of built-in kinds do not repeat what the list says about their type."""
    data = encode(kind, record, stored_schema)
    head = type_head(kind)
    return b"{" + data[len(head) :] if not kind.is_custom and data.startswith(head) else data


def type_head(kind: Kind) -> bytes:
    """How a stored object of a built-in kind begins."""
    return orjson.dumps({"kind": kind.resource.kind, "apiVersion": kind.resource.api_version})[:-1] + b","


def read(kind: Kind, record: Record, stored_schema: Node) -> Manifest:
    """A copy of the object in a kind's version. What was stored under an older schema is pruned and defaulted by the one of today."""
    manifest = record.fresh()
    manifest["apiVersion"] = kind.resource.api_version
    if kind.is_custom and not (kind.is_stored_version and record.schema is stored_schema):
        manifest = prune(manifest, kind.schema)
        set_defaults(manifest, kind.schema)
    return manifest


def encode_metadata(record: Record) -> bytes:
    """The object as `PartialObjectMetadata`."""
    if (known := record.encodings.get(METADATA_ONLY)) is None:
        partial = {"kind": METADATA_ONLY, "apiVersion": "meta.k8s.io/v1", "metadata": record.manifest["metadata"]}
        known = record.encodings[METADATA_ONLY] = orjson.dumps(partial)
    return known
