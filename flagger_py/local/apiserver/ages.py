"""How old something is, as kubectl shows it: `12s`, `3m4s`, `26h`, `2d`."""

from datetime import datetime

UNKNOWN = "<unknown>"


def age(timestamp: object, now: datetime) -> str:
    """The time since an RFC 3339 timestamp; `<unknown>` where there is none."""
    if not isinstance(timestamp, str) or not timestamp:
        return UNKNOWN
    try:
        since = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    return human_duration((now - since).total_seconds())


def human_duration(seconds: float) -> str:
    """A duration in one or two units, coarser the longer it is."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(0, whole)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 2:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"
