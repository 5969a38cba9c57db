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
    optional_old_self: bool = False
    """The rule reads `oldSelf`, an optional that has no value when the object is created."""


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
SPEC_RULE = Rule(
    cel="has(self.spec) || (oldSelf.hasValue() && !has(oldSelf.value().spec))",
    message="spec is required",
    source="GAP-67",
    optional_old_self=True,
)
"""On a whole object. A plain `has(self.spec)` would refuse every write to a stored object without spec, that of its status and of its
finalizers included, because a rule at the root is never unchanged (seen on kube-apiserver 1.36)."""


def merged(inner: Schema, outer: Schema) -> Schema:
    """Both together; where both say something, `outer` is right."""
    said = {field.name: value for field in fields(outer) if (value := getattr(outer, field.name)) != field.default}
    return replace(inner, **said)
