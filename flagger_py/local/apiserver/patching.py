"""PATCH: JSON merge patch, JSON patch, strategic merge patch and server-side apply, all through the update pipeline."""

from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from flagger_py.local.apiserver.answers import Answer
from flagger_py.local.apiserver.decoding import check_type, conform, parse_yaml
from flagger_py.local.apiserver.forms import negotiate
from flagger_py.local.apiserver.reading import one
from flagger_py.local.apiserver.status import Refused, bad_request
from flagger_py.local.apiserver.writing import Writer
from flagger_py.objects.resource import Manifest

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

_TYPES: Final = (JSON_PATCH, MERGE, APPLY)


def patch(writer: Writer) -> Answer:
    """Patch the object that the call names."""
    form = negotiate(writer.call)
    match writer.call.content_type:
        case t if t == MERGE:
            record = writer.change(lambda old, _: _merged(writer, old))
        case t if t == JSON_PATCH:
            record = writer.change(lambda old, _: _json_patched(writer, old))
        case _:
            raise Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    return one(writer.state, writer.kind, record, form, writer.call)


def merge(value: Any, patch: Any) -> Any:
    """RFC 7386; the value may be changed."""
    if not isinstance(patch, dict):
        return patch
    merged = value if isinstance(value, dict) else {}
    for name, item in patch.items():
        if item is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), item)
    return merged


def _merged(writer: Writer, old: Manifest) -> Manifest:
    changes = parsed_patch(writer)
    if not isinstance(changes, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _conform(writer, merge(old, changes))


def _json_patched(writer: Writer, old: Manifest) -> Manifest:
    operations = parsed_patch(writer)
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
    try:
        patched = jsonpatch.JsonPatch(operations).apply(old, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise Refused(422, "Invalid", "the server rejected our request due to an error in our request", {}) from error
    return _conform(writer, patched)


def _conform(writer: Writer, manifest: Manifest) -> Manifest:
    name = writer.call.target.name
    check_type(manifest, writer.kind, writer.call)
    manifest = conform(manifest, writer.kind, writer.call, [])
    if (given := manifest["metadata"].get("name")) != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    return manifest


def parsed_patch(writer: Writer) -> Any:
    """The body as JSON, or as YAML for server-side apply. Raises 400."""
    try:
        return parse_yaml(writer.call.body) if writer.call.content_type == APPLY else orjson.loads(writer.call.body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
