"""What a webhook sends: the Canary that asks, and the settings of the webhook (metrics:LT-11, metrics:WH-01)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_TEXTS: Final = ("name", "namespace", "phase", "checksum")


class BadPayload(ValueError):
    """The body is no payload; the message says where, and what is expected there."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The fields that the load tester uses. Those that are missing are empty."""

    name: str = ""
    namespace: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def canary(self) -> str:
        """The name under which gates and tasks of a Canary are kept."""
        return f"{self.name}.{self.namespace}"


def parse(body: bytes) -> Payload:
    """Read it as Go does: names of fields in any case, unknown ones ignored, `null` for an empty value. Raises `BadPayload`."""
    try:
        content = orjson.loads(body.decode(errors="replace"))
    except orjson.JSONDecodeError as error:
        raise BadPayload(f"the body is no JSON: {error}") from error
    if content is None:
        return Payload()
    if not isinstance(content, dict):
        raise BadPayload(f"the body must be a JSON object, not {_kind(content)}")
    fields = {name.lower(): value for name, value in content.items() if value is not None}
    texts = {name: _text(name, fields.get(name, "")) for name in _TEXTS}
    return Payload(texts["name"], texts["namespace"], _metadata(fields.get("metadata", {})))


def is_true(text: str | None) -> bool:
    """A switch in the metadata, by Go's words for true; everything else is off (metrics:LT-33)."""
    return text in ("1", "t", "T", "TRUE", "true", "True")


def _metadata(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise BadPayload(f"metadata must be an object of texts, not {_kind(value)}")
    return {name: _text(f"metadata.{name}", "" if text is None else text) for name, text in value.items()}


def _text(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadPayload(f"{path} must be a text, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    """What a JSON value is, without the value: it may be anything."""
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "null"
