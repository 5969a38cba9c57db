"""What the CRD says of a field beyond its type, as markers in `Annotated`; read by `crds` and by `validation`, ignored by pydantic.

Decoding checks JSON types only, so that a stored object that breaks one of these rules still decodes (api:API-36).
"""

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule (`x-kubernetes-validations`); `source` names where it comes from, such as `GAP-20`.

    What it refuses, `validation` refuses too.
    """

    cel: str
    message: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Constraints of one value. A length or item limit keeps the estimated cost of CEL rules within the server's budget."""

    source: str = ""
    """The rule that the constraints come from, such as `GAP-02`."""
    required: bool = False
    default: Any = None
    """Set by the API server; `None` means no default."""
    enum: tuple[str, ...] = ()
    pattern: str = ""
    allowed: str = ""
    """What the pattern allows, in words."""
    format: str = ""
    minimum: int | None = None
    maximum: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_properties: int | None = None
    rules: tuple[Rule, ...] = ()


NO_CONSTRAINTS = Schema()


def merged(inner: Schema, outer: Schema) -> Schema:
    """Both together; where both say something, `outer` is right."""
    said = {field.name: value for field in fields(outer) if (value := getattr(outer, field.name)) != field.default}
    return replace(inner, **said)
