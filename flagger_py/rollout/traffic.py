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
    everyone: bool = False
    """The weights hold for requests that `analysis.match` leaves to the primary, too. Never without a match or without a canary weight."""

    def __post_init__(self) -> None:
        if self.primary < 0 or self.canary < 0 or self.primary + self.canary != 100:
            raise ValueError(f"weights must be 0..100 and sum to 100, got primary {self.primary} and canary {self.canary}")
        if self.mirrored and self.canary:
            raise ValueError(f"mirroring needs all traffic on the primary, got canary {self.canary}")
        if self.everyone and not self.canary:
            raise ValueError("requests outside the match go to the primary anyway where the canary has no weight")

    def gives_more_to_primary_than(self, other: "Routes") -> bool:
        """Whether some requests that go to the canary there go to the primary here."""
        return self.primary > other.primary or (other.everyone and not self.everyone)

    def gives_more_to_canary_than(self, other: "Routes") -> bool:
        """Whether some requests that go to the primary there go to the canary here."""
        return self.canary > other.canary or (self.everyone and not other.everyone)

    def __str__(self) -> str:
        return f"{self.primary}/{self.canary}{' for everyone' if self.everyone else ''}"


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
