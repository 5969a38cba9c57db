"""What is wrong with an object, in words for the person who wrote it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import ErrorDetails

VALUE_LIMIT = 120


class ProblemSeverity(StrEnum):
    """What follows: an `INVALID` or `NOT_SUPPORTED` object is not acted on; `WARNING` and `NOTE` are only shown."""

    INVALID = "Invalid"
    NOT_SUPPORTED = "NotSupported"
    WARNING = "Warning"
    NOTE = "Note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: the field's path, its value as text, and what is allowed instead. `rule` names the source, such as `GAP-12`."""

    path: str
    value: str
    message: str
    severity: ProblemSeverity = ProblemSeverity.INVALID
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.value}: {self.message}" if self.value else f"{self.path}: {self.message}"


def invalid(path: str, value: object, message: str, rule: str) -> Problem:
    """Something that can never work, or that would send everybody to the new version."""
    return Problem(path, shown(value), message, ProblemSeverity.INVALID, rule)


def not_supported(path: str, value: object, message: str, rule: str = "") -> Problem:
    """Something that Flagger can do and this version cannot yet."""
    return Problem(path, shown(value), message, ProblemSeverity.NOT_SUPPORTED, rule)


def warning(path: str, value: object, message: str, rule: str) -> Problem:
    """Something that works otherwise than one might think."""
    return Problem(path, shown(value), message, ProblemSeverity.WARNING, rule)


def note(path: str, value: object, message: str, rule: str) -> Problem:
    """Something that cannot be seen from here."""
    return Problem(path, shown(value), message, ProblemSeverity.NOTE, rule)


def shown(value: object) -> str:
    """A value as it stands in a message: JSON-like, and cut where it is long; nothing for a missing one."""
    text = "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}…"


def join_path(location: Sequence[str | int]) -> str:
    """`("spec", "metrics", 0, "name")` as `spec.metrics[0].name`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


_EXPECTED = {
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "dict_type": "must be a map",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "tuple_type": "must be a list",
    "missing": "is required",
}


def decoding_problem(error: ErrorDetails) -> Problem:
    """A pydantic error in our words. Objects are not shown, only scalars."""
    value: Any = error["input"]
    is_shown = error["type"] != "missing" and not isinstance(value, dict | list | tuple)
    return Problem(path=join_path(error["loc"]), value=shown(value) if is_shown else "", message=_message(error), rule="GAP-01")


def _message(error: ErrorDetails) -> str:
    if expected := _EXPECTED.get(error["type"]):
        return expected
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return text if text.startswith("must be") else f"must be {text}"
