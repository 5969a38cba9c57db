"""Custom objects judged by their schema: jsonschema finds what is wrong, and each finding is said in the words of kube-apiserver."""

from collections.abc import Iterable
from typing import Any, Final

import jsonschema_rs
import orjson

from flagger_py.local.apiserver.cel_rules import RuleSet
from flagger_py.local.apiserver.field_sets import item_key
from flagger_py.local.apiserver.fields import Schema
from flagger_py.local.apiserver.schema import Node
from flagger_py.local.apiserver.status import FieldError, duplicate_value, invalid_value, not_supported, required, too_long, type_invalid
from flagger_py.objects.resource import Manifest

_KEYWORDS: Final = (
    "type", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required",
)  # fmt: skip
_NOT_CHECKED: Final = FieldError(
    "<nil>",
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
_OF_EVERY_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata"})
_BLOCKING: Final = frozenset(
    {"FieldValueRequired", "FieldValueTypeInvalid", "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTooMany"}
)
"""Complaints after which rules in CEL are not tried (unless they come from the rules themselves)."""


class SchemaValidator:
    """Judges whole objects of one CRD version."""

    def __init__(self, schema: Node) -> None:
        self._schema = schema
        self._rules = RuleSet(schema)
        self._validator = jsonschema_rs.Draft4Validator(_plain(_content_of(schema.raw)))

    @property
    def unsupported_rules(self) -> list[str]:
        """Rules that the CEL library cannot compile, with the reason; they are not checked."""
        return self._rules.unsupported

    def errors(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        """All complaints; unchanged invalid values of an update are tolerated (ratcheting)."""
        content = {name: value for name, value in new.items() if name != "metadata"}
        found = [
            complaint
            for error in _one_per_string(self._validator.iter_errors(content))
            if old is None or not _is_unchanged(old, error)
            for complaint in _complaints(error)
        ]
        found += list_errors(content, self._schema, "")
        if any(error.reason in _BLOCKING for error in found):
            return [*found, _NOT_CHECKED]
        return [*found, *self._rules.errors(new, old)]


def list_errors(value: Any, node: Node, field: str) -> list[FieldError]:
    """Items that a keyed list or a set has twice."""
    errors: list[FieldError] = []
    if isinstance(value, dict):
        for name, item in value.items():
            if (child := node.child(name)) is not None:
                errors += list_errors(item, child, f"{field}.{name}" if field else name)
    elif isinstance(value, list) and node.items is not None:
        seen: set[str] = set()
        for index, item in enumerate(value):
            key = item_key(item, node) if node.list_type in {"map", "set"} else ""
            if key and key in seen:
                errors.append(duplicate_value(f"{field}[{index}]", orjson.loads(key.partition(":")[2])))
            seen.add(key)
            errors += list_errors(item, node.items, f"{field}[{index}]")
    return errors


def _one_per_string(errors: Iterable[jsonschema_rs.ValidationError]) -> list[jsonschema_rs.ValidationError]:
    """Of several complaints about the length and pattern of a string only the first, as kube-apiserver says them."""
    rank = {"maxLength": 0, "minLength": 1, "pattern": 2}
    ordered = sorted(errors, key=lambda error: rank.get(error.kind.name, -1))
    said: set[tuple[str | int, ...]] = set()
    kept = []
    for error in ordered:
        path = tuple(error.instance_path)
        if error.kind.name in rank and path in said:
            continue
        if error.kind.name in rank:
            said.add(path)
        kept.append(error)
    return sorted(kept, key=lambda error: [str(part) for part in error.instance_path])


def _is_unchanged(old: Manifest, error: jsonschema_rs.ValidationError) -> bool:
    """Whether the value that is complained about stood there before; kube-apiserver tolerates that in an update."""
    value: Any = old
    for part in error.instance_path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return bool(value == error.instance) and bool(error.instance_path)


def _content_of(root: Schema) -> Schema:
    """The schema of an object without what is judged before, which it may require all the same, as Contour's does."""
    properties = {name: child for name, child in root.get("properties", {}).items() if name not in _OF_EVERY_OBJECT}
    required = [name for name in root.get("required", ()) if name not in _OF_EVERY_OBJECT]
    rest = {name: value for name, value in root.items() if name != "required"}
    return rest | {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _plain(schema: Schema) -> Schema:
    """The schema as JSON Schema draft 4 knows it."""
    plain: Schema = {name: schema[name] for name in _KEYWORDS if name in schema}
    if schema.get("x-kubernetes-int-or-string"):
        plain["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in plain:
        plain["type"] = [plain["type"], "null"]
        if "enum" in plain:
            plain["enum"] = [*plain["enum"], None]
    properties = {name: _plain(child) for name, child in schema.get("properties", {}).items()}
    if properties:
        plain["properties"] = properties
    if isinstance(schema.get("additionalProperties"), dict):
        plain["additionalProperties"] = _plain(schema["additionalProperties"])
    if "items" in schema:
        plain["items"] = _plain(schema["items"])
    for name in ("oneOf", "anyOf", "allOf"):
        if name in schema:
            plain[name] = [_plain(one) for one in schema[name]]
    return plain | ({"not": _plain(schema["not"])} if "not" in schema else {})


def _complaints(error: jsonschema_rs.ValidationError) -> list[FieldError]:
    field, value, rule = _field(error.instance_path), error.instance, error.kind.as_dict()
    match error.kind.name:
        case "required":
            return [required(_field([*error.instance_path, rule["property"]]))]
        case "type":
            wanted, came = ",".join(one for one in rule["types"] if one != "null"), _type_name(value)
            complaint = type_invalid(field, came, f'{field or "<nil>"} in body must be of type {wanted}: "{came}"')
            if (wanted, came) != ("integer", "number"):
                return [complaint]
            again = f'Invalid value: "": Checked value must be of type integer (default format) in {field}'
            return [complaint, FieldError("<nil>", "FieldValueInvalid", again)]
        case "enum":
            return [not_supported(field, value, [one for one in rule["options"] if one is not None])]
        case "maxLength":
            return [too_long(field, rule["limit"])]
        case "maxItems" | "maxProperties":
            return [
                FieldError(
                    field,
                    "FieldValueTooMany",
                    f"Too many: {len(value) if isinstance(value, list | dict) else value}: must have at most {rule['limit']} items",
                )
            ]
        case "oneOf" | "anyOf" | "not":
            return _composition(error, field)
    return [invalid_value(field, value, f"{field} in body {_sentence(error.kind.name, rule)}")]


def _composition(error: jsonschema_rs.ValidationError, field: str) -> list[FieldError]:
    where = f'"{field}"' if field else '"<nil>"'
    rule = error.kind.as_dict()
    match error.kind.name:
        case "not":
            text = f"{where} must not validate the schema (not)"
        case "anyOf":
            text = f"{where} must validate at least one schema (anyOf)"
        case _:
            count = (
                "none valid" if "context" in rule and error.kind.__class__.__name__.endswith("OneOfNotValid") else "2 valid alternatives"
            )
            text = f"{where} must validate one and only one schema (oneOf). Found {count}"
    nested = [one for branch in rule.get("context", [])[:1] for inner in branch for one in _complaints(inner)]
    return [FieldError("<nil>", "FieldValueInvalid", f'Invalid value: "": {text}'), *nested]


def _sentence(rule: str, values: dict[str, Any]) -> str:
    limit = values.get("limit")
    sentences = {
        "minimum": f"should be greater than or equal to {limit}",
        "maximum": f"should be less than or equal to {limit}",
        "exclusiveMinimum": f"should be greater than {limit}",
        "exclusiveMaximum": f"should be less than {limit}",
        "multipleOf": f"should be a multiple of {values.get('multiple_of')}",
        "minLength": f"should be at least {limit} chars long",
        "pattern": f"should match '{values.get('pattern')}'",
        "minItems": f"should have at least {limit} items",
        "minProperties": f"should have at least {limit} properties",
        "uniqueItems": "shouldn't contain duplicates",
    }
    return sentences.get(rule, rule)


def _field(path: list[str | int]) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _type_name(value: Any) -> str:
    names: list[tuple[type, str]] = [
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), "null")
