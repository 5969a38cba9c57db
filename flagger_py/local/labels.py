"""Label selectors of objects. Pure."""

from collections.abc import Mapping
from typing import Any


def selector_matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A `LabelSelector`; an empty one matches everything."""
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    return all(labels.get(key) == value for key, value in wanted.items()) and all(_expression(entry, labels) for entry in expressions)


def _expression(entry: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(entry["key"])
    match entry["operator"]:
        case "In":
            return value in (entry.get("values") or ())
        case "NotIn":
            return value not in (entry.get("values") or ())
        case "Exists":
            return value is not None
        case _:
            return value is None
