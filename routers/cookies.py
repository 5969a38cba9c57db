"""Session cookies: how they are set, matched and deleted (routers:SA), and Flagger's shapes of the same."""

import re

from flagger_py.api.analysis import SessionAffinity
from flagger_py.api.canary import Canary
from flagger_py.api.durations import parse_duration
from flagger_py.routers.refusal import refusal

COOKIE = "Cookie"
SET_COOKIE = "Set-Cookie"
DEFAULT_MAX_AGE = 86400

_FLAGGER_PATTERN = re.compile(r"\.\*(?P<name>.+)\.\*(?P<value>[A-Za-z]{10})\.\*")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_EXPIRED = re.compile(r"^(?P<cookie>[^;]*); Max-Age=(?:-1|0)(?:;.*)?$")


def is_cookie(cookie: str) -> bool:
    """Whether it has a name; Flagger notes `=value` where no name is configured (routers:SA-08)."""
    return cookie.partition("=")[0] != ""


def cookie_pattern(cookie: str) -> str:
    """RE2 over the whole `Cookie` header that finds exactly this `name=value` (routers:SA-14)."""
    return rf"^(.*;\s*)?{escaped(cookie)}(;.*)?$"


def escaped(text: str) -> str:
    """The text as a literal in RE2, which knows fewer escapes than Python's `re.escape` writes."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def canary_set_cookie(affinity: SessionAffinity, cookie: str) -> str:
    """What pins a user to the canary (routers:SA-06)."""
    return _set_cookie(affinity, cookie, affinity.max_age or DEFAULT_MAX_AGE)


def primary_set_cookie(canary: Canary, affinity: SessionAffinity, cookie: str) -> str:
    """What keeps a user on the primary for one interval (routers:SA-07). Raises `RouterError` for an interval that is no duration."""
    analysis = canary.spec.analysis
    interval = analysis.interval if analysis else ""
    try:
        max_age = int(parse_duration(interval).total_seconds())
    except ValueError as error:
        raise refusal(
            canary, "analysis.interval", interval, "must be a duration such as 30s: the primary's cookie lives as long"
        ) from error
    return _set_cookie(affinity, cookie, max_age)


def expired_cookie(affinity: SessionAffinity, cookie: str) -> str:
    """What deletes a cookie; with the attributes it was set with, else browsers keep it (routers:SA-12)."""
    return _set_cookie(affinity, cookie, -1)


def normal_pattern(pattern: str) -> str:
    """Flagger's pattern for a cookie as ours, and every other as it is (routers:SA-14)."""
    found = _FLAGGER_PATTERN.fullmatch(pattern)
    return cookie_pattern(f"{found['name']}={found['value']}") if found else pattern


def normal_set_cookie(value: str) -> str:
    """A deletion without its attributes, as Flagger writes it (routers:SA-12); everything else as it is."""
    return _EXPIRED.sub(r"\g<cookie>; Max-Age=-1", value)


def _set_cookie(affinity: SessionAffinity, cookie: str, max_age: int) -> str:
    """The order of the attributes is Flagger's (routers:SA-02)."""
    parts = {
        f"Domain={affinity.domain}": affinity.domain,
        "HttpOnly": affinity.http_only,
        "Partitioned": affinity.partitioned,
        f"Path={affinity.path}": affinity.path,
        f"SameSite={affinity.same_site}": affinity.same_site,
        "Secure": affinity.secure,
    }
    return "; ".join([cookie, f"Max-Age={max_age}", *(text for text, wanted in parts.items() if wanted)])
