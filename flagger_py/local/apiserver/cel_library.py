"""Functions that rules in CEL may call: those that Kubernetes adds to the language, beside the standard library's extensions."""

import ipaddress
import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import urlsplit

from flagger_py.local.apiserver.quantity import parse_quantity


def go_duration(text: str) -> timedelta | None:
    """A Go duration such as `1h30m`; `None` for what is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)", text.lstrip("+-"))
    if not parts or "".join(number + unit for number, unit in parts) != text.lstrip("+-"):
        return None
    total = timedelta(seconds=sum(float(number) * units[unit] for number, unit in parts))
    return -total if text.startswith("-") else total


def _is_sorted(items: list[Any]) -> bool:
    return all(left <= right for left, right in itertools.pairwise(items))


def _index_of(value: Any, wanted: Any, *rest: int) -> int:
    if isinstance(value, str):
        return value.find(wanted, *rest)
    return value.index(wanted) if wanted in value else -1


def _last_index_of(value: Any, wanted: Any, *start: int) -> int:
    if isinstance(value, str):
        return value.rfind(wanted, 0, *(one + len(wanted) for one in start))
    return len(value) - 1 - value[::-1].index(wanted) if wanted in value else -1


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match[0] if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme and (parts.netloc or parts.path.startswith("/"))) or text.startswith("/")


def _is_ip(text: str) -> bool:
    return _parses(ipaddress.ip_address, text)


def _is_cidr(text: str) -> bool:
    return _parses(ipaddress.ip_interface, text) and "/" in text


def _is_quantity(text: str) -> bool:
    return parse_quantity(text) is not None


def _parses(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _quantity(text: str) -> float:
    amount = parse_quantity(text)
    if amount is None:
        raise ValueError(f"{text!r} is no quantity")
    return float(amount)


FUNCTIONS: Final = cast(
    "dict[str, Callable[..., Any]]",
    {
        "isSorted": _is_sorted,
        "indexOf": _index_of,
        "lastIndexOf": _last_index_of,
        "find": _find,
        "findAll": _find_all,
        "isURL": _is_url,
        "isIP": _is_ip,
        "isCIDR": _is_cidr,
        "isQuantity": _is_quantity,
        "quantity": _quantity,
    },
)
"""By name; a method call is a call with the receiver as first argument."""
