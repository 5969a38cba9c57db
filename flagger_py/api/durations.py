"""Durations as Go writes them: `90s`, `1m30s`, `1.5h`, `500ms`."""

import re
from datetime import timedelta
from fractions import Fraction

_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)")
_LIMIT = 2**63 - 1


def parse_duration(text: str) -> timedelta:
    """The duration, to the microsecond. Raises `ValueError` for what Go's `time.ParseDuration` refuses."""
    if text in {"0", "+0", "-0"}:
        return timedelta()
    whole = _DURATION.fullmatch(text)
    if not whole:
        raise ValueError(f"{text!r} is no duration: write numbers with units (h, m, s, ms, us, ns), such as 90s or 1m30s")
    nanoseconds = sum(int(Fraction(_decimal(number)) * _NANOSECONDS[unit]) for number, unit in _PART.findall(whole[2]))
    if nanoseconds > _LIMIT:
        raise ValueError(f"{text!r} is too long: a duration is at most 2562047h")
    return timedelta(microseconds=nanoseconds // 1000) * (-1 if whole[1] == "-" else 1)


def format_duration(duration: timedelta) -> str:
    """As Go prints it: `1m30s`, `1h0m0s`, `1.5s`, `20ms`, `0s`."""
    microseconds = abs(duration) // timedelta(microseconds=1)
    sign = "-" if duration < timedelta() else ""
    if microseconds < 1000:
        return f"{sign}{microseconds}µs" if microseconds else "0s"
    if microseconds < 10**6:
        return f"{sign}{_shortest(microseconds, 1000)}ms"
    minutes, rest = divmod(microseconds, 60 * 10**6)
    hours, minutes = divmod(minutes, 60)
    prefix = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{prefix}{_shortest(rest, 10**6)}s"


def _decimal(number: str) -> str:
    return f"0{number}" if number.startswith(".") else number.rstrip(".")


def _shortest(value: int, unit: int) -> str:
    """`value / unit` without trailing zeros; `unit` is a power of ten."""
    whole, rest = divmod(value, unit)
    digits = str(unit + rest)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
