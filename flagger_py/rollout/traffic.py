"""Where requests go: `Routes` (the split between primary and canary) and `Traffic` (routes and the session cookies that pin users)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Routes:
    """Weights in percent; they always sum to 100, and mirroring implies 100/0 (routers:CTR-01).

    Raises `ValueError` for anything else.
    """

    primary: int
    canary: int
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.primary < 0 or self.canary < 0 or self.primary + self.canary != 100:
            raise ValueError(f"weights must be 0..100 and sum to 100, got primary {self.primary} and canary {self.canary}")
        if self.mirrored and self.canary:
            raise ValueError(f"mirroring needs all traffic on the primary, got canary {self.canary}")


ALL_PRIMARY = Routes(100, 0)
ALL_CANARY = Routes(0, 100)
MIRRORED = Routes(100, 0, mirrored=True)


@dataclass(frozen=True, slots=True)
class Affinity:
    """Session cookies as `name=value`, or empty (routers:SA). `previous` is expired on the clients that still send it."""

    canary: str = ""
    previous: str = ""
    primary: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a router is asked to bring about."""

    routes: Routes
    affinity: Affinity = Affinity()


@dataclass(frozen=True, slots=True)
class Pending:
    """The backend has not taken over the last change yet, or has no route yet. Not an error: wait and look again."""

    reason: str
    asks: Routes | None = None
    """What the objects ask the backend for, where they say it; it differs from what is wanted where somebody has edited them."""
    is_broken: bool = False
    """The objects ask for weights that make no sense: somebody has edited them, and `reason` says how."""


def asked(routes: Routes | Pending) -> Routes | None:
    """What the objects ask for, whether or not the backend does it yet."""
    return routes if isinstance(routes, Routes) else routes.asks
