"""The part of JSONPath that printer columns use: fields, indexes, `*`, and filters like `[?(@.type=="Ready")]`."""

import re
from typing import Any, Final

_FILTER: Final = re.compile(r"^\?\(\s*@\.([\w.\-]+)\s*==\s*(['\"])(.*?)\2\s*\)$")
_TOKEN: Final = re.compile(r"""\.((?:\\.|[^.\[\]\\])+)|\[((?:'(?:\\.|[^'])*'|"(?:\\.|[^"])*"|[^\]'"])*)\]""")
"""A field, whose dots are escaped by a backslash, or whatever stands in brackets."""


def first_match(value: Any, path: str) -> Any:
    """The first value at a path; `None` where there is none or the path is not understood."""
    found = matches(value, path)
    return found[0] if found else None


def matches(value: Any, path: str) -> list[Any]:
    """All values at a path, in order."""
    values = [value]
    for match in _TOKEN.finditer(path.strip().removeprefix("{").removesuffix("}").removeprefix("$")):
        step = match[1] or match[2]
        values = [found for one in values for found in _step(one, step.strip(), is_bracket=match[2] is not None)]
    return values


def _step(value: Any, step: str, *, is_bracket: bool) -> list[Any]:
    if step == "*":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if is_bracket and (condition := _FILTER.match(step)):
        return _filtered(value, condition[1], condition[3])
    if is_bracket and step.lstrip("-").isdigit():
        return [value[int(step)]] if isinstance(value, list) and -len(value) <= int(step) < len(value) else []
    name = step.strip("'\"").replace("\\.", ".")
    return [value[name]] if isinstance(value, dict) and name in value else []


def _filtered(value: Any, field: str, wanted: str) -> list[Any]:
    items = value if isinstance(value, list) else []
    return [item for item in items if str(first_match(item, f".{field}")) == wanted]
