"""Kubernetes quantities: `500m`, `1.5Gi`, `2e3`."""

import re
from decimal import ROUND_UP, Context, Decimal

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_QUANTITY = re.compile(rf"({_NUMBER})(?:([eE][+-]?[0-9]+)|([KMGTPE]i|[numkMGTPE])?)")
_DECIMAL = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_LARGEST = Decimal(2**63 - 1)
_NANO = Decimal("1e-9")
_EXPONENT_LIMIT = 1000
_EXACT = Context(prec=2000, Emax=10**6, Emin=-(10**6))


def parse_quantity(value: str | float) -> Decimal:
    """The number that a quantity stands for: at most 2^63-1, and rounded away from zero to nano precision, as Kubernetes does.

    Raises `ValueError` for what is no quantity.
    """
    text = str(value)
    whole = _QUANTITY.fullmatch(text)
    if not whole:
        raise ValueError(
            f"{text!r} is no quantity: write a number with an optional suffix (m, k, M, G, Ki, Mi, Gi, e3, …), such as 500m or 1Gi"
        )
    number, exponent, suffix = Decimal(whole[1]), whole[2], whole[3] or ""
    if suffix in _BINARY:
        return _limited(_EXACT.multiply(number, Decimal(2 ** _BINARY[suffix])))
    power = int(exponent[1:]) if exponent else _DECIMAL[suffix]
    if abs(power) > _EXPONENT_LIMIT:
        raise ValueError(f"{text!r} is no quantity: the exponent is out of range")
    return _limited(_EXACT.scaleb(number, power))


def _limited(number: Decimal) -> Decimal:
    if abs(number) > _LARGEST:
        return _LARGEST.copy_sign(number)
    return number.quantize(_NANO, rounding=ROUND_UP, context=_EXACT).normalize(_EXACT)
