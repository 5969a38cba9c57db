"""What a router's backend can do. Validation refuses a Canary that asks for more (routers:CTR-06, api:GAP-11..13)."""

from dataclasses import dataclass
from enum import StrEnum


class MatchKind(StrEnum):
    """The ways to compare a header, a query parameter or a label."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    REGEX = "regex"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declared by a router for one provider; empty sets and `False` mean "cannot"."""

    weights: bool = False
    header_match: frozenset[MatchKind] = frozenset()
    query_match: frozenset[MatchKind] = frozenset()
    source_label_match: bool = False
    mirror_weighted: bool = False
    """`analysis.mirror` with step weights."""
    mirror_iterations: bool = False
    """`analysis.mirror` with iterations (blue/green)."""
    mirror_percent: bool = False
    session_affinity: bool = False
    primary_cookie: bool = False
