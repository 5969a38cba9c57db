"""The functions that a template may call, over plain values."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote_plus

from flagger_py.metrics.numbers import shortest_float
from flagger_py.metrics.template.lexer import Scalar

Value: TypeAlias = Scalar | Mapping[str, str]
Function: TypeAlias = Callable[[Sequence[Value]], Value]

VALUES: Final = ("name", "namespace", "target", "service", "ingress", "route", "interval", "variables")
"""What a query can insert (TPL-10): functions without arguments."""

_VERB: Final = re.compile(r"%([-+ 0#]*)(\d*)(?:\.(\d*))?(.|$)", re.DOTALL)
_MAX_WIDTH: Final = 1000


class BadArguments(Exception):
    """A function cannot be called with these arguments."""


def shown(value: Value) -> str:
    """A value as Go prints it: whole floats without a point, maps sorted (TPL-11)."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case float():
            return shortest_float(value)
        case Mapping():
            return f"map[{' '.join(f'{key}:{value[key]}' for key in sorted(value))}]"
        case _:
            return str(value)


def is_true(value: Value) -> bool:
    """Empty text, an empty map, zero and nothing are false."""
    return bool(value)


def index(arguments: Sequence[Value]) -> Value:
    """A map's value; the empty string for an unknown key, unlike `variables.key` (TPL-11)."""
    _at_least(arguments, 1)
    value, *keys = arguments
    for key in keys:
        if not isinstance(value, Mapping) or not isinstance(key, str):
            raise BadArguments(f"cannot look up {shown(key)} in {_type(value)}")
        value = value.get(key, "")
    return value


def length(arguments: Sequence[Value]) -> Value:
    """Of text in bytes of UTF-8, of a map in keys."""
    _exactly(arguments, 1)
    match arguments[0]:
        case str() as text:
            return len(text.encode())
        case Mapping() as entries:
            return len(entries)
        case other:
            raise BadArguments(f"{_type(other)} has no length")


def print_(arguments: Sequence[Value]) -> Value:
    """The values in a row; a space stands between two that are both no text."""
    parts: list[str] = []
    for position, value in enumerate(arguments):
        if position and not isinstance(value, str) and not isinstance(arguments[position - 1], str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


def println(arguments: Sequence[Value]) -> Value:
    return " ".join(map(shown, arguments)) + "\n"


def printf(arguments: Sequence[Value]) -> Value:
    """Formats with %s %v %q %d %f %e %g %t %x %%, flags, width and precision. What Go marks inside the text is an error here."""
    _at_least(arguments, 1)
    template, *rest = arguments
    if not isinstance(template, str):
        raise BadArguments("needs a text as its first argument")
    values = list(rest)

    def insert(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not values:
            raise BadArguments(f"has no value for {match.group()!r}")
        if int(width or 0) > _MAX_WIDTH or int(precision or 0) > _MAX_WIDTH:
            raise BadArguments(f"writes at most {_MAX_WIDTH} characters for one value")
        return _padded(_formatted(values.pop(0), verb, flags, precision), flags, int(width or 0))

    text = _VERB.sub(insert, template)
    if values:
        raise BadArguments(f"has {len(values)} value(s) more than its format takes")
    return text


def _formatted(value: Value, verb: str, flags: str, precision: str | None) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    sign = "+" if "+" in flags else " " if " " in flags else "-"
    match verb:
        case "v" | "s" if isinstance(value, str):
            return value if precision is None else value[: int(precision or 0)]
        case "v":
            return shown(value) if not (number and sign != "-") else format(value, sign)
        case "q" if isinstance(value, str):
            return '"' + value.translate({34: '\\"', 92: "\\\\", 10: "\\n", 9: "\\t", 13: "\\r"}) + '"'
        case "d" if number and isinstance(value, int):
            return format(value, f"{sign}d")
        case "x" | "X" if isinstance(value, int) and number:
            return format(value, f"{sign}{verb}")
        case "x" if isinstance(value, str):
            return value.encode().hex()
        case "e" | "f" | "g" if isinstance(value, float) and math.isfinite(value):
            if verb == "g" and precision is None:
                return shortest_float(value)
            return format(value, f"{sign}.{precision or (0 if precision == '' else 6)}{verb}")
        case "t" if isinstance(value, bool):
            return shown(value)
        case _:
            raise BadArguments(f"cannot write {_type(value)} as %{verb}")


def _padded(text: str, flags: str, width: int) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags:
        return text.zfill(width)
    return text.rjust(width)


def equal(arguments: Sequence[Value]) -> Value:
    """Whether the first value equals one of the others."""
    _at_least(arguments, 2)
    first, *others = arguments
    return any(_comparable(first, other) and first == other for other in others)


def not_equal(arguments: Sequence[Value]) -> Value:
    _exactly(arguments, 2)
    return not equal(arguments)


def _ordered(holds: Callable[[str | int | float, str | int | float], bool]) -> Function:
    def compare(arguments: Sequence[Value]) -> Value:
        _exactly(arguments, 2)
        first, second = arguments
        _comparable(first, second)
        if isinstance(first, bool) or not isinstance(first, str | int | float) or not isinstance(second, str | int | float):
            raise BadArguments(f"{_type(first)} has no order")
        return holds(first, second)

    return compare


def _comparable(first: Value, second: Value) -> bool:
    if isinstance(first, Mapping) or type(first) is not type(second):
        raise BadArguments(f"cannot compare {_type(first)} with {_type(second)}")
    return True


def negation(arguments: Sequence[Value]) -> Value:
    _exactly(arguments, 1)
    return not is_true(arguments[0])


def urlquery(arguments: Sequence[Value]) -> Value:
    """Escaped for the query part of a URL; a space becomes `+`."""
    return quote_plus(arguments[0] if len(arguments) == 1 and isinstance(arguments[0], str) else str(print_(arguments)))


def _text_before(first: str | int | float, second: str | int | float) -> bool:
    return first.encode() < second.encode() if isinstance(first, str) and isinstance(second, str) else first < second  # type: ignore[operator] # one type


FUNCTIONS: Final[Mapping[str, Function | None]] = {
    "and": None,
    "or": None,
    "not": negation,
    "eq": equal,
    "ne": not_equal,
    "lt": _ordered(_text_before),
    "le": _ordered(lambda first, second: not _text_before(second, first)),
    "gt": _ordered(lambda first, second: _text_before(second, first)),
    "ge": _ordered(lambda first, second: not _text_before(first, second)),
    "index": index,
    "len": length,
    "print": print_,
    "printf": printf,
    "println": println,
    "urlquery": urlquery,
}
"""By name; `and` and `or` have no function because they stop at the first argument that decides."""


def _exactly(arguments: Sequence[Value], count: int) -> None:
    if len(arguments) != count:
        raise BadArguments(f"takes {count} argument(s), not {len(arguments)}")


def _at_least(arguments: Sequence[Value], count: int) -> None:
    if len(arguments) < count:
        raise BadArguments(f"takes at least {count} argument(s), not {len(arguments)}")


def _type(value: Value) -> str:
    names: tuple[tuple[type, str], ...] = ((bool, "a bool"), (int, "an integer"), (float, "a float"), (str, "a text"), (Mapping, "a map"))
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")
