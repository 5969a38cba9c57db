"""Resource quantities as Kubernetes prints them: `1000m` is `1`, `1024Ki` is `1Mi`, `0.5` is `500m`."""

import re
from decimal import Decimal
from typing import Any, Final

_PATTERN: Final = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+|)$")
_BINARY: Final = {suffix: 1024 ** (power + 1) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def canonical_quantity(value: Any) -> Any:
    """The canonical form; what is no quantity comes back as it is, for validation to refuse."""
    amount = parse_quantity(value)
    if amount is None:
        return value
    suffix = _suffix(str(value))
    if suffix in _BINARY and amount == amount.to_integral_value():
        return _binary(int(amount))
    return _exponent(amount) if suffix[:1] in {"e", "E"} and len(suffix) > 1 else _decimal(amount)


def parse_quantity(value: Any) -> Decimal | None:
    """The amount in base units; `None` for what is no quantity."""
    match = _PATTERN.match(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    if match is None:
        return None
    number, suffix = Decimal(match[1]), str(match[2])
    if suffix in _BINARY:
        return number * Decimal(_BINARY[suffix])
    power = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return number.scaleb(power)


def _suffix(text: str) -> str:
    match = _PATTERN.match(text)
    return match[2] if match else ""


def _binary(amount: int) -> str:
    for suffix, size in reversed(_BINARY.items()):
        if amount and amount % size == 0:
            return f"{amount // size}{suffix}"
    return str(amount)


def _decimal(amount: Decimal) -> str:
    for suffix, power in reversed(_DECIMAL.items()):
        scaled = amount.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}" if amount else "0"
    return f"{int(amount.scaleb(9).to_integral_value(rounding='ROUND_UP'))}n"


def _exponent(amount: Decimal) -> str:
    for power in range(18, -12, -3):
        scaled = amount.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}e{power}" if power else str(int(scaled))
    return _decimal(amount)
