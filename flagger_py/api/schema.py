"""What the CRD says of a field beyond its type, as markers in `Annotated`; read by `crds` and by `validation`, ignored by pydantic.

Decoding checks JSON types only, so that a stored object that breaks one of these rules still decodes (api:API-36).
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule (`x-kubernetes-validations`); `id` names its source, such as `GAP-20`."""

    cel: str
    message: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Constraints of one field. A length or item limit keeps the estimated cost of CEL rules within the server's budget."""

    required: bool = False
    default: Any = None
    """Set by the API server; `None` means no default."""
    enum: tuple[str, ...] = ()
    pattern: str = ""
    format: str = ""
    minimum: int | None = None
    maximum: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_properties: int | None = None
    int_or_string: bool = False
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """Constraints of each item of a list, or of each value of a map."""

    schema: Schema
