"""Decodes `application/vnd.kubernetes.protobuf` bodies of the built-in kinds into the JSON form of the same object.

The table `numbers.yaml` says which field has which number: `name KIND`, where no kind means a string, `[]` before it a list and `{}` a map
with string keys; `inline MESSAGE` is a message whose fields stand in the object that holds it. Numbers that it lacks are skipped. Answers
are always JSON, which every client accepts.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

MAGIC: Final = b"k8s\x00"
_TABLE: Final = Path(__file__).with_name("numbers.yaml")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Entry = tuple[str, str, str]
"""How a field is repeated (`[]`, `{}` or nothing), its JSON name (empty: inline), and its kind."""


def decode_protobuf(body: bytes) -> dict[str, Any]:
    """The object in an envelope. Raises `ValueError` for what is none, or for a kind that the table lacks."""
    if not body.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    envelope = dict(_fields(body[len(MAGIC) :]))
    type_meta = dict(_fields(_bytes(envelope.get(1, b""))))
    kind = _bytes(type_meta.get(2, b"")).decode()
    if kind not in _messages():
        raise ValueError(f"no table of field numbers for kind {kind!r}")
    return {"apiVersion": _bytes(type_meta.get(1, b"")).decode(), "kind": kind, **_message(_bytes(envelope.get(2, b"")), kind)}


@cache
def _messages() -> dict[str, dict[int, Entry]]:
    table: dict[str, dict[int, str]] = yaml.load(_TABLE.read_bytes(), yaml.CSafeLoader)
    return {name: {number: _entry(words) for number, words in fields.items()} for name, fields in table.items()}


def _entry(words: str) -> Entry:
    parts = words.split()
    repeated = parts.pop(0) if parts[0] in {"[]", "{}"} else ""
    name, kind = [*parts, ""][:2]
    return repeated, "" if name == "inline" else name, kind


def _message(data: bytes, name: str) -> dict[str, Any]:
    table, value = _messages()[name], dict[str, Any]()
    for number, raw in _fields(data):
        if number not in table:
            continue
        repeated, field, kind = table[number]
        if not field:
            value |= _message(_bytes(raw), kind)
        elif repeated == "[]":
            value.setdefault(field, []).append(_value(raw, kind))
        elif repeated == "{}":
            entry = dict(_fields(_bytes(raw)))
            value.setdefault(field, {})[_bytes(entry.get(1, b"")).decode()] = _value(entry.get(2, b""), kind)
        else:
            value[field] = _value(raw, kind)
    return value


def _value(raw: int | bytes, kind: str) -> Any:
    match kind:
        case "":
            return _bytes(raw).decode()
        case "bool":
            return bool(raw)
        case "int":
            return _signed(raw)
        case "bytes":
            return base64.b64encode(_bytes(raw)).decode()
        case "Time" | "MicroTime":
            return _time(_bytes(raw), is_micro=kind == "MicroTime")
        case "Quantity":
            return _bytes(dict(_fields(_bytes(raw))).get(1, b"")).decode() or "0"
        case "IntOrString":
            fields = dict(_fields(_bytes(raw)))
            return _bytes(fields.get(3, b"")).decode() if fields.get(1, 0) else _signed(fields.get(2, 0))
        case _:
            return _message(_bytes(raw), kind)


def _time(data: bytes, *, is_micro: bool) -> str | None:
    fields = dict(_fields(data))
    if 1 not in fields:
        return None
    moment = datetime.fromtimestamp(_signed(fields[1]) + _signed(fields.get(2, 0)) / 1e9, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if is_micro else "%Y-%m-%dT%H:%M:%SZ")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and raw values of a message. Raises `ValueError` where the bytes end early."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, position = _varint(data, position)
        elif wire_type in {_FIXED64, _FIXED32}:
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"proto: illegal wire type {wire_type}")
        if position + length > len(data):
            raise ValueError("unexpected EOF")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
    raise ValueError("unexpected EOF")


def _signed(raw: int | bytes) -> int:
    number = raw if isinstance(raw, int) else int.from_bytes(raw, "little")
    return number - (1 << 64) if number >> 63 else number


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise ValueError("proto: wrong wire type")  # noqa: TRY004 - bad input, not a bug of the caller
    return raw
