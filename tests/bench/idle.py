"""What a controller costs while nothing happens, and how it starts."""

import asyncio
import time
from dataclasses import dataclass
from statistics import mean

from tests.bench.audit import AuditedRequest, AuditLog, within
from tests.bench.process import ControllerProcess

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Start:
    """From the start of the process to its first watch."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Idle:
    """One window without changes."""

    seconds: float
    canaries: int
    requests: list[AuditedRequest]
    watches: list[AuditedRequest]
    """All that the controller has opened since its start."""
    cpu_seconds: float
    resident_bytes: int

    @property
    def others(self) -> list[AuditedRequest]:
        """What neither renews the lease nor opens a watch."""
        return [request for request in self.requests if not (request.is_lease or request.is_watch)]

    @property
    def requests_per_second(self) -> float:
        """Besides the lease. Watches last minutes, longer than the window: they count with the rate at which they will be opened again."""
        return len(self.others) / self.seconds + self.watch_renewals_per_second

    @property
    def watch_renewals_per_second(self) -> float:
        kinds = {(watch.resource, watch.namespace) for watch in self.watches if not watch.is_lease}
        lengths = [watch.watch_seconds for watch in self.watches if watch.watch_seconds]
        return len(kinds) / mean(lengths) if lengths else 0.0

    @property
    def requests_per_canary(self) -> float:
        """In the window, for each Canary."""
        return len(self.others) / self.canaries

    @property
    def cpu_percent(self) -> float:
        """Of one core."""
        return 100 * self.cpu_seconds / self.seconds


async def first_watch(process: ControllerProcess, log: AuditLog, *, limit: float = 60) -> Start:
    """Wait for the first watch of the controller."""
    async with asyncio.timeout(limit):
        while True:
            watches = [request for request in log.read() if request.is_watch]
            if watches:
                return Start(watches[0].received - process.started, process.cpu_seconds)
            await asyncio.sleep(POLL_SECONDS)


async def quiet(log: AuditLog, *, seconds: float, limit: float) -> bool:
    """Wait until the controller has sent nothing but leases for so long; false where that never comes."""
    loop = asyncio.get_running_loop()
    end, last = loop.time() + limit, loop.time()
    while loop.time() < end:
        if any(not request.is_lease for request in log.read()):
            last = loop.time()
        if loop.time() - last >= seconds:
            return True
        await asyncio.sleep(0.1)
    return False


async def idle(process: ControllerProcess, log: AuditLog, canaries: int, *, seconds: float) -> Idle:
    """Watch the controller do nothing."""
    start, cpu = time.time(), process.cpu_seconds
    await asyncio.sleep(seconds)
    end = time.time()
    log.read()
    watches = [request for request in log.requests if request.is_watch]
    used = process.cpu_seconds - cpu
    return Idle(end - start, canaries, within(log.requests, start, end), watches, used, process.resident_bytes)
