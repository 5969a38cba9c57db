"""Numbers as Go prints them: users' alerts and dashboards search for these texts (metrics:EVAL-17)."""

import math


def shortest_float(value: float) -> str:
    """The fewest digits that give the value back, as `%v` prints them: no trailing `.0`, an exponent below 1e-4 and from 1e6 on.

    EVAL-17 says "from 1e21"; Go 1.26 was run and prints `1e+06`.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    digits, exponent = _digits(abs(value))
    if value and not -4 <= exponent < 6:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return sign + _positional(digits, exponent)


def _digits(value: float) -> tuple[str, int]:
    """The significant digits and the decimal exponent of the first of them."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    first = len(whole) - 1 if whole.strip("0") else -1 - (len(fraction) - len(fraction.lstrip("0")))
    return digits.rstrip("0") or "0", first + int(exponent or 0) if digits else 0


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole
