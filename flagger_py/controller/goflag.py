"""Command lines as Go's `flag` package reads them (operations:§1), because charts and overlays are written for it.

One or two dashes are equal; `-name=value` or `-name value`; booleans take a value only after `=`; parsing stops at the first word that
is no flag, or after `--`. So `-enable-leader-election false -x` means true, and the rest is not read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from flagger_py.api.durations import format_duration, parse_duration

FlagValue = str | int | bool | timedelta | tuple[str, ...]

_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")
_INTEGER: Final = re.compile(r"[+-]?(0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?[0-9])*)", re.ASCII)


class UsageError(Exception):
    """The command line cannot be understood; the message names the flag or variable, the value, and what is allowed."""


class HelpRequested(Exception):
    """`-h`, `-help` or `--help` was given."""


@dataclass(frozen=True, slots=True)
class Given:
    """One flag as it stands on the command line."""

    name: str
    value: FlagValue


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Everything that was read: flags in order (the last one of a name counts), and the words after them, which nothing reads."""

    flags: tuple[Given, ...]
    rest: tuple[str, ...]


def read(argv: Sequence[str], defaults: Mapping[str, FlagValue]) -> CommandLine:
    """Read `argv` (without the program's name); a flag's default says its type. Raises `UsageError` and `HelpRequested`."""
    words = list(argv)
    flags = tuple(_flags(words, defaults))
    return CommandLine(flags, tuple(words))


def convert(text: str, default: FlagValue, source: str) -> FlagValue:
    """The value that `text` stands for, in the type of `default`. Raises `UsageError` naming `source` (`-port`, `FLAGGER_FREEZE`)."""
    match default:
        case bool():
            return _boolean(text, source)
        case int():
            return _integer(text, source)
        case timedelta():
            return _duration(text, source)
        case tuple():
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case _:
            return text


def show(value: Any) -> str:
    """A value as it would be written on the command line."""
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return format_duration(value)
        case tuple():
            return ",".join(value)
        case _:
            return str(value)


def _flags(words: list[str], defaults: Mapping[str, FlagValue]) -> Iterator[Given]:
    """Take flags off the front of `words` until a word is none."""
    while words and len(words[0]) > 1 and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            return
        name, has_value, value = _split(word)
        if name not in defaults:
            raise _unknown(name)
        default = defaults[name]
        if isinstance(default, bool):
            yield Given(name, convert(value, default, f"-{name}") if has_value else True)
            continue
        if not has_value:
            if not words:
                raise UsageError(f"flag needs an argument: -{name}")
            value = words.pop(0)
        yield Given(name, convert(value, default, f"-{name}"))


def _split(word: str) -> tuple[str, bool, str]:
    name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
    if not name or name.startswith("-"):
        raise UsageError(f"bad flag syntax: {word}")
    return name, bool(equals), value


def _unknown(name: str) -> Exception:
    if name in ("h", "help"):
        return HelpRequested()
    return UsageError(f"flag provided but not defined: -{name}")


def _boolean(text: str, source: str) -> bool:
    if text not in _TRUE + _FALSE:
        raise UsageError(f'invalid boolean value "{text}" for {source}: allowed are {", ".join(_TRUE + _FALSE)}')
    return text in _TRUE


def _integer(text: str, source: str) -> int:
    """As Go's `ParseInt` with base 0: decimal, `0x`, `0b`, `0o` and a leading zero for octal; 64 bits."""
    if not _INTEGER.fullmatch(text):
        raise UsageError(f'invalid value "{text}" for {source}: must be an integer')
    octal = re.fullmatch(r"([+-]?)0((?:_?[0-7])+)", text)
    value = int(octal[1] + octal[2].lstrip("_"), 8) if octal else int(text, 0)
    if not -(2**63) <= value < 2**63:
        raise UsageError(f'invalid value "{text}" for {source}: out of the range of 64 bits')
    return value


def _duration(text: str, source: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f'invalid value "{text}" for {source}: must be a duration such as 10s or 1m30s') from error
