"""What sets the served versions of the Gateway API apart (routers:GWB-01)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    """Parts of an HTTPRoute that are ours to write, and what is done with them."""

    timeouts: bool
    cors: bool
    primary_cookie: bool
    readiness_gate: bool
    """Whether a change counts only when every parent has accepted it (routers:GW-15)."""


V1 = Features(timeouts=True, cors=True, primary_cookie=True, readiness_gate=True)
V1BETA1 = Features(timeouts=False, cors=False, primary_cookie=False, readiness_gate=False)
