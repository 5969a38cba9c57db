"""From the bytes of a request to an object under a kind's schema: parsed, checked for unknown and duplicate fields, pruned, defaulted."""

import json
from typing import Any, Final

import orjson
import yaml

from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.go_types import type_error
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.schema import prune, set_defaults
from flagger_py.local.apiserver.status import Refused, bad_request, unsupported_media_type
from flagger_py.local.apiserver.wire import decode_protobuf
from flagger_py.objects.resource import Manifest

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
BODY_TYPES: Final = ("application/json", "application/yaml", PROTOBUF)


def decode_object(call: Call, kind: Kind) -> Manifest:
    """The object in the body of a create or update. Raises 400 or 415; remarks go to the call's warnings."""
    if call.content_type not in {"", *BODY_TYPES} or (kind.is_custom and call.content_type == PROTOBUF):
        raise unsupported_media_type(BODY_TYPES)
    manifest = _parse(call, kind)
    check_type(manifest, kind, call)
    return conform(manifest, kind, call, duplicates(call))


def conform(manifest: Manifest, kind: Kind, call: Call, problems: list[str]) -> Manifest:
    """The object with only the fields that its schema has, and with defaults. Raises 400 where `fieldValidation` is Strict."""
    if not kind.is_custom and (error := type_error(manifest, kind.schema.raw)):
        raise cannot_be_handled(kind, error)
    unknown: list[str] = []
    pruned: Manifest = prune(manifest, kind.schema, unknown=unknown)
    report(call, kind, [*problems, *(f'unknown field "{path}"' for path in unknown)])
    if isinstance(pruned.get("metadata", {}), dict):
        pruned.setdefault("metadata", {})
    set_defaults(pruned, kind.schema)
    if why := kind.strategy.decoding_error(pruned):
        raise cannot_be_handled(kind, why)
    kind.strategy.set_defaults(pruned)
    return pruned


def report(call: Call, kind: Kind, problems: list[str]) -> None:
    """Do with unknown and duplicate fields what the request asks for; the default is to warn."""
    match call.query.get("fieldValidation", ""):
        case "Strict" if problems:
            raise cannot_be_handled(kind, f"strict decoding error: {', '.join(problems)}")
        case "Ignore":
            return
        case _:
            call.warnings.extend(problems)


def cannot_be_handled(kind: Kind, why: str) -> Refused:
    name = kind.resource.kind
    return bad_request(f'{name} in version "{kind.resource.version}" cannot be handled as a {name}: {why}')


def parse_any(body: bytes, content_type: str) -> Any:
    """JSON, YAML or Protocol Buffers as Python values. Raises `ValueError`."""
    if content_type.endswith("yaml"):
        return parse_yaml(body)
    if content_type == PROTOBUF:
        return decode_protobuf(body)
    return orjson.loads(body)


def parse_yaml(body: bytes) -> Any:
    """YAML as JSON would give it: dates stay text. Raises `ValueError`."""
    try:
        return yaml.load(body, _JsonLoader)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


class _JsonLoader(yaml.CSafeLoader):
    """YAML 1.1 without its timestamps, as `sigs.k8s.io/yaml` reads it."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def duplicates(call: Call) -> list[str]:
    """Complaints about keys that a JSON body has twice, where the request cares about them."""
    if call.query.get("fieldValidation") == "Ignore" or call.content_type.endswith(("yaml", "protobuf")):
        return []
    return _DuplicateFinder().find(call.body)


def check_type(manifest: Any, kind: Kind, call: Call) -> None:
    """The body must say which kind it is (built-in kinds may leave it out), and that must be the kind of the URL."""
    if not isinstance(manifest, dict):
        raise cannot_be_handled(kind, f"json: cannot unmarshal {go_name(manifest)} into Go value of type v1.{kind.resource.kind}")
    if not kind.is_custom:
        manifest.setdefault("kind", kind.resource.kind)
        manifest.setdefault("apiVersion", kind.resource.api_version)
    for name in ("kind", "apiVersion"):
        if not manifest.get(name):
            word = "Kind" if name == "kind" else name
            raise _unrecognized(kind, f"Object '{word}' is missing in '{call.body.decode(errors='replace')}' ({_excerpt(call.body)})")
    if kind.is_custom:
        if manifest["apiVersion"] != kind.resource.api_version:
            came, expected = manifest["apiVersion"], kind.resource.api_version
            raise bad_request(f"the API version in the data ({came}) does not match the expected API version ({expected})")
    elif (manifest["kind"], manifest["apiVersion"]) != (kind.resource.kind, kind.resource.api_version):
        raise _other_type(manifest, kind)


def go_name(value: Any) -> str:
    """What Go's JSON decoder calls a value."""
    names: list[tuple[type | tuple[type, ...], str]] = [(bool, "bool"), (str, "string"), ((int, float), "number"), (list, "array")]
    return next((name for kind, name in names if isinstance(value, kind)), "object" if isinstance(value, dict) else "null")


def _parse(call: Call, kind: Kind) -> Any:
    try:
        return parse_any(call.body, call.content_type)
    except ValueError as error:
        shown = _excerpt(call.body) if call.body else "<empty>"
        raise _unrecognized(kind, f"couldn't get version/kind; json parse error: {error} ({shown})") from error


def _unrecognized(kind: Kind, why: str) -> Refused:
    return bad_request(f"the object provided is unrecognized (must be of type {kind.resource.kind}): {why}")


def _other_type(manifest: Manifest, kind: Kind) -> Refused:
    came, version, expected = manifest["kind"], manifest["apiVersion"], kind.resource.kind
    why = f'no kind "{came}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
    if version == kind.resource.api_version:
        why = f"converting (v1.{came}) to (core.{expected}): unknown conversion"
    return bad_request(f'{came} in version "{version.rpartition("/")[2]}" cannot be handled as a {expected}: {why}')


def _excerpt(body: bytes) -> str:
    text = body[:30].decode(errors="replace")
    return f"{text} ..." if len(body) > 30 else text


class _DuplicateFinder:
    """Finds keys that a JSON text has twice in one object, with their paths."""

    def find(self, body: bytes) -> list[str]:
        marked = json.loads(body, object_pairs_hook=_Pairs)
        found: list[str] = []
        self._walk(marked, "", found)
        return [f'duplicate field "{path}"' for path in dict.fromkeys(found)]

    def _walk(self, value: Any, path: str, found: list[str]) -> None:
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for name, item in value:
                inner = f"{path}.{name}" if path else name
                if name in seen:
                    found.append(inner)
                seen.add(name)
                self._walk(item, inner, found)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._walk(item, f"{path}[{index}]", found)


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, repeated ones included."""
