"""What happens from a new revision on: how soon it is noticed, what a step writes, and how late it comes."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.bench.audit import AuditedRequest, AuditLog
from tests.bench.fleet import SUCCEEDED, Fleet
from tests.bench.manifests import STEPS

POLL_SECONDS: Final = 0.02
NOTICE_LIMIT: Final = 600.0
PROGRESSING: Final = frozenset({"Progressing"})
FINISHING: Final = frozenset({"Promoting", "Finalising"})


@dataclass(frozen=True, slots=True)
class StepCost:
    """What the controller sent in some weighted steps of one rollout, by verb and resource."""

    steps: int
    requests: Counter[str]

    def per_step(self, *whats: str) -> float:
        return sum(self.requests[what] for what in whats) / self.steps


async def notice_one_by_one(fleet: Fleet, log: AuditLog, names: Sequence[str]) -> list[float]:
    """Seconds from each new revision to the write that scales its canary up, one after the other."""
    return [(await _notice(fleet, log, [name]))[0] for name in names]


async def notice_at_once(fleet: Fleet, log: AuditLog, names: Sequence[str]) -> list[float]:
    """The same with all revisions set at the same moment."""
    return await _notice(fleet, log, names)


async def _notice(fleet: Fleet, log: AuditLog, names: Sequence[str]) -> list[float]:
    log.read()
    async with asyncio.TaskGroup() as group:
        releases = {name: group.create_task(fleet.release(name), name=f"release {name}") for name in names}
    released = {name: release.result() for name, release in releases.items()}
    scaled: dict[str, float] = {}
    async with asyncio.timeout(NOTICE_LIMIT):
        while len(scaled) < len(names):
            await asyncio.sleep(POLL_SECONDS)
            for request in log.read():
                if request.resource == "deployments" and request.is_write and request.name in released and request.code < 300:
                    scaled.setdefault(request.name, request.answered)
    return [max(0.0, scaled[name] - released[name]) for name in names]


async def step_cost(fleet: Fleet, log: AuditLog, name: str, *, stall: float) -> StepCost:
    """One rollout with no other under way: what is sent from just after the first weight to just after the last."""
    log.read()
    start = time.time()
    await fleet.release(name)
    await fleet.reached([name], PROGRESSING, stall=stall)
    await fleet.reached([name], SUCCEEDED, stall=stall)
    await asyncio.sleep(1)
    log.read()
    requests = [request for request in log.requests if request.received >= start and not (request.is_lease or request.is_watch)]
    weights = _route_writes(requests, name, fleet)[: len(STEPS)]
    pause = fleet.interval.total_seconds() / 2
    first, last = weights[0].received + pause, weights[-1].received + pause
    return StepCost(len(STEPS) - 1, Counter(request.what for request in requests if first <= request.received < last))


async def lateness(fleet: Fleet, log: AuditLog, names: Sequence[str], *, spread: float, stall: float) -> list[float]:
    """Many rollouts, begun over `spread` seconds: by how much each weight came later than one interval after the one before it.

    Returns when all are promoted.
    """
    log.read()
    start = time.time()
    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            group.create_task(_release_after(fleet, name, spread * number / len(names)), name=f"release {name}")
    await fleet.reached(names, PROGRESSING | FINISHING | SUCCEEDED, stall=stall)
    await fleet.reached(names, SUCCEEDED, stall=stall)
    log.read()
    recent = [request for request in log.requests if request.received >= start]
    interval = fleet.interval.total_seconds()
    late: list[float] = []
    for name in names:
        weights = _route_writes(recent, name, fleet)[: len(STEPS)]
        late += [after.answered - before.answered - interval for before, after in pairwise(weights)]
    return late


async def _release_after(fleet: Fleet, name: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await fleet.release(name)


def _route_writes(requests: Sequence[AuditedRequest], name: str, fleet: Fleet) -> list[AuditedRequest]:
    return [request for request in requests if request.name == name and _is_route_write(request, fleet)]


def _is_route_write(request: AuditedRequest, fleet: Fleet) -> bool:
    return request.resource == fleet.cluster.routes.plural and request.is_write and request.code < 300 and not request.subresource
