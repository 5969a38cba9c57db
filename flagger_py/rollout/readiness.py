"""How ready one version of a workload is. Computed by `workloads`, judged by the core."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """It can take traffic."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """Not yet, or not at this moment: hold (workloads:RDY-11)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """It will not become ready by itself (workloads:RDY-12)."""

    reason: str


Readiness = Ready | NotReady | Dead
