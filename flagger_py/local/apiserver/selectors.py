"""Label and field selectors of list, watch and deletecollection, parsed once into a test over manifests."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.status import bad_request
from flagger_py.objects.resource import Manifest

Labels = Mapping[str, str]
LabelTest = Callable[[Labels], bool]
Test = Callable[[Manifest], bool]

_SET: Final = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_EQUALS: Final = re.compile(r"^\s*([^\s=!]+)\s*(==|=|!=)\s*(\S*)\s*$")
_EXISTS: Final = re.compile(r"^\s*(!?)\s*([^\s=!,()]+)\s*$")
_TERMS: Final = re.compile(r",(?![^(]*\))")


def label_test(text: str) -> LabelTest:
    """A test over labels: equality, set and existence terms, all of which must hold. Raises 400."""
    tests = [_label_term(term, text) for term in _TERMS.split(text) if term.strip()]
    return lambda labels: all(test(labels) for test in tests)


def selector_test(selector: Mapping[str, Any] | None) -> LabelTest:
    """A test from a LabelSelector object; `None` selects nothing, an empty one everything."""
    if selector is None:
        return lambda _: False
    wanted = selector.get("matchLabels", {}).items()
    expressions = [_expression(one) for one in selector.get("matchExpressions", [])]
    return lambda labels: all(labels.get(key) == value for key, value in wanted) and all(test(labels) for test in expressions)


def selector_string(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector object in string form, as `status.selector` of a Scale has it."""
    selector = selector or {}
    terms = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", []):
        values = f" ({','.join(sorted(one.get('values', [])))})"
        words = {"In": f"{one['key']} in{values}", "NotIn": f"{one['key']} notin{values}", "Exists": one["key"]}
        terms.append(words.get(one["operator"], f"!{one['key']}"))
    return ",".join(sorted(terms))


def object_test(kind: Kind, query: Mapping[str, str]) -> Test | None:
    """The test that `labelSelector` and `fieldSelector` of a request make; `None` where everything passes. Raises 400."""
    labels = label_test(query["labelSelector"]) if query.get("labelSelector") else None
    fields = _field_test(kind, query["fieldSelector"]) if query.get("fieldSelector") else None
    if labels is None:
        return fields
    by_labels = labels
    if fields is None:
        return lambda manifest: by_labels(manifest["metadata"].get("labels", {}))
    by_fields = fields
    return lambda manifest: by_labels(manifest["metadata"].get("labels", {})) and by_fields(manifest)


def _label_term(term: str, text: str) -> LabelTest:
    if match := _SET.match(term):
        key, operator, values = match[1], match[2], {value.strip() for value in match[3].split(",")}
        return _in(key, values) if operator == "in" else _not_in(key, values)
    if match := _EQUALS.match(term):
        return _not_in(match[1], {match[3]}) if match[2] == "!=" else _in(match[1], {match[3]})
    if match := _EXISTS.match(term):
        key, present = match[2], not match[1]
        return lambda labels: (key in labels) is present
    raise bad_request(f"unable to parse requirement: invalid label selector {text!r}")


def _in(key: str, values: set[str]) -> LabelTest:
    return lambda labels: labels.get(key) in values


def _not_in(key: str, values: set[str]) -> LabelTest:
    return lambda labels: labels.get(key) not in values


def _expression(one: Mapping[str, Any]) -> LabelTest:
    key, values = one["key"], set(one.get("values", []))
    match one["operator"]:
        case "In":
            return _in(key, values)
        case "NotIn":
            return _not_in(key, values)
        case "Exists":
            return lambda labels: key in labels
        case _:
            return lambda labels: key not in labels


def _field_test(kind: Kind, text: str) -> Test:
    tests = [_field_term(kind, term) for term in text.split(",") if term]
    return lambda manifest: all(test(manifest) for test in tests)


def _field_term(kind: Kind, term: str) -> Test:
    left, operator, right = _split(term)
    if left not in {"metadata.name", "metadata.namespace", *kind.selectable}:
        if kind.selectable or kind.is_custom:
            raise bad_request(f"field label not supported: {left}")
        raise bad_request(f'"{left}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    path = left.split(".")
    wanted = operator != "!="
    return lambda manifest: (_text(manifest, path) == right) is wanted


def _split(term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        left, found, right = term.partition(operator)
        if found:
            return left, operator, right
    raise bad_request(f"invalid field selector: {term!r}; can't understand {term!r}")


def _text(manifest: Manifest, path: list[str]) -> str:
    value: Any = manifest
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
