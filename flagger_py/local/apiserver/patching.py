"""PATCH: JSON merge patch, JSON patch, strategic merge patch and server-side apply, all through the update pipeline."""

from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from flagger_py.local.apiserver.answers import Answer
from flagger_py.local.apiserver.applying import apply
from flagger_py.local.apiserver.decoding import check_type, conform, parse_yaml
from flagger_py.local.apiserver.forms import negotiate
from flagger_py.local.apiserver.reading import one
from flagger_py.local.apiserver.status import Refused, bad_request, invalid_value, unsupported_media_type
from flagger_py.local.apiserver.strategic import strategic_merge
from flagger_py.local.apiserver.writing import Writer
from flagger_py.objects.resource import Manifest

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

_TYPES: Final = (JSON_PATCH, MERGE, APPLY)


def patch(writer: Writer) -> Answer:
    """Patch the object that the call names. Raises 400, 404, 409, 415 and 422."""
    form = negotiate(writer.call)
    match writer.call.content_type:
        case content if content == APPLY:
            return apply(writer, parsed_patch(writer))
        case content if content == MERGE:
            record = writer.change(lambda old, _: _merged(writer, old))
        case content if content == JSON_PATCH:
            record = writer.change(lambda old, _: _json_patched(writer, old))
        case content if content == STRATEGIC and not writer.kind.is_custom:
            record = writer.change(lambda old, _: _strategically_merged(writer, old))
        case content if content == STRATEGIC:
            raise unsupported_media_type(_TYPES)
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


def _strategically_merged(writer: Writer, old: Manifest) -> Manifest:
    changes = parsed_patch(writer)
    if not isinstance(changes, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _conform(writer, strategic_merge(old, changes, writer.kind.schema) or {})


def _json_patched(writer: Writer, old: Manifest) -> Manifest:
    operations = parsed_patch(writer)
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
    try:
        patched = _apply_operations(old, operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise Refused(422, "Invalid", "the server rejected our request due to an error in our request", {}) from error
    return _conform(writer, patched)


def _apply_operations(value: Any, operations: list[Any]) -> Any:
    """The value after all operations. Unlike RFC 6902, and like kube-apiserver, a `replace` adds a missing member of an object."""
    for operation in operations:
        one = operation
        if isinstance(operation, dict) and operation.get("op") == "replace" and _is_missing_member(value, str(operation.get("path", ""))):
            one = {**operation, "op": "add"}
        value = jsonpatch.JsonPatch([one]).apply(value, in_place=True)
    return value


def _is_missing_member(value: Any, path: str) -> bool:
    parent = jsonpointer.resolve_pointer(value, path.rpartition("/")[0], None)
    return isinstance(parent, dict) and jsonpointer.resolve_pointer(value, path, None) is None


def _conform(writer: Writer, manifest: Manifest) -> Manifest:
    """The patched object under its schema. What is wrong with it is said about the patch (422), as kube-apiserver does."""
    name = writer.call.target.name
    try:
        check_type(manifest, writer.kind, writer.call)
        manifest = conform(manifest, writer.kind, writer.call, [])
    except Refused as refused:
        raise _about_patch(manifest, refused) from refused
    if (given := manifest["metadata"].get("name")) != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    return manifest


def _about_patch(manifest: Manifest, refused: Refused) -> Refused:
    why = refused.message.partition(" cannot be handled as a ")[2].partition(": ")[2] or refused.message
    error = invalid_value("patch", orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS).decode(), why)
    return Refused(422, "Invalid", f' "" is invalid: {error}', {"causes": [error.cause]})


def parsed_patch(writer: Writer) -> Any:
    """The body as JSON, or as YAML for server-side apply. Raises 400."""
    try:
        return parse_yaml(writer.call.body) if writer.call.content_type == APPLY else orjson.loads(writer.call.body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
