"""Controller processes on a wire: when one is killed, the next one starts some time later, and knows nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import looptime

from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import LoopClock
from flagger_py.controller.flags import ControllerFlags
from tests.memory.cluster import CONTROLLER, MemoryCluster
from tests.memory.interruption import Wire

DOWNTIME: Final = 3.0
"""Seconds until a killed controller runs again."""


def run_alone(play: Coroutine[Any, Any, None]) -> None:
    """Run it on a loop of its own with virtual time, the same way each time."""
    random.seed(0)
    loop = looptime.new_event_loop(noop_cycles=0)  # nothing ever comes from outside of the loop
    try:
        loop.run_until_complete(play)
    finally:
        loop.close()


@asynccontextmanager
async def controllers(cluster: MemoryCluster, wires: Sequence[Wire]) -> AsyncIterator[None]:
    """On each wire one process after the other."""
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(_live_and_die(cluster, wire), name="lives") for wire in wires]
        try:
            yield
        finally:
            for life in lives:
                life.cancel()


async def _live_and_die(cluster: MemoryCluster, wire: Wire) -> None:
    while True:
        wire.killed.clear()
        process = wire.process(cluster.server.transport(CONTROLLER), cluster.web)
        controller = Controller(ControllerFlags(enable_leader_election=False), process, process, LoopClock(cluster.start), "replica-1")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(controller.run(), name="controller")
            await wire.killed.wait()
            running.cancel()
        await asyncio.sleep(DOWNTIME)
