"""The story: version 2 is good and is promoted, version 3 fails a tenth of its requests and is rolled back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from flagger_py.api.canary import Canary
from flagger_py.api.status import Phase
from flagger_py.local.cluster import LocalCluster
from flagger_py.local.demo.controller import ControllerProcess
from flagger_py.local.demo.scene import Scene, Views, scene
from flagger_py.local.samples import APP, HOST, Sample, new_version
from flagger_py.local.traffic import LoadGenerator, Tally
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, EVENT, Ref

FRAME_SECONDS: Final = 0.25
WINDOW_SECONDS: Final = 5.0
LIVE_AFTER_SECONDS: Final = 0.5
"""A weight that was asked is live in Envoy by then; answers before it belong to the weight before."""
ACT_LIMIT: Final = 90.0
"""Seconds after which an act that has not ended has failed."""

GOOD, BAD = "2", "3"


@dataclass(frozen=True, slots=True)
class Act:
    """One rollout of the demo, as it ended."""

    version: str
    expected: Phase
    ended: Phase
    seconds: float
    requests: int
    """Requests that met this version."""
    failures: int

    @property
    def is_as_expected(self) -> bool:
        return self.ended is self.expected


class Story:
    """Plays the acts and shows a frame four times a second. `show` must return at once."""

    def __init__(self, cluster: LocalCluster, controller: ControllerProcess, sample: Sample, load: LoadGenerator) -> None:
        self._cluster = cluster
        self._controller = controller
        self._sample = sample
        self._load = load
        self._show: Callable[[Scene], None] = lambda _: None
        self._started = asyncio.get_running_loop().time()
        self._act = "starting"
        self._new_version = ""
        self._weight = 0
        self._weight_since = 0.0

    @property
    def tally(self) -> Tally:
        return self._load.tally

    @property
    def elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._started

    @asynccontextmanager
    async def shown_by(self, show: Callable[[Scene], None]) -> AsyncIterator[None]:
        """Show frames while the body plays."""
        self._show = show
        async with asyncio.TaskGroup() as group:
            frames = group.create_task(self._frames(), name="demo frames")
            yield
            frames.cancel()

    async def initialise(self) -> None:
        """Version 1 runs, the controller takes the app over, and Envoy serves its host. Raises `TimeoutError`."""
        self._act = "version 1 runs; the controller makes its primary and takes over the traffic"
        await self._until(Phase.INITIALIZED)
        await self._cluster.served(HOST)

    async def play(self, version: str, expected: Phase) -> Act:
        """Release a version and wait until its rollout has ended, however it ends. Raises `TimeoutError`."""
        word = "good" if expected is Phase.SUCCEEDED else "bad: a tenth of its answers are errors"
        self._act = f"version {version} is released ({word})"
        self._new_version = version
        started = self.elapsed
        await self._release(version)
        await self._until(Phase.PROGRESSING)
        ended = await self._until(Phase.SUCCEEDED, Phase.FAILED)
        await asyncio.sleep(2 * FRAME_SECONDS)  # the last answers of the old weight are still on their way
        requests = sum(count for (answered, _), count in self.tally.totals.items() if answered == version)
        return Act(version, expected, ended, self.elapsed - started, requests, self.tally.failures(version))

    async def rest(self) -> None:
        """One window without a rollout: both versions are one cluster to Envoy, so the next one starts with clean numbers."""
        self._act = "settled; one window passes before the next version"
        self._new_version = ""
        await asyncio.sleep(WINDOW_SECONDS)

    async def _release(self, version: str) -> None:
        faults = {"FAULT_ERROR_PERCENT": "10"} if version == BAD else {}
        await self._cluster.client.patch(Ref(DEPLOYMENT, self._sample.namespace, APP), MergePatch(new_version(version, faults)))

    async def _until(self, *phases: Phase) -> Phase:
        async with asyncio.timeout(ACT_LIMIT):
            while True:
                await self._controller.check()
                phase = (await self._canary()).status.phase
                if phase in phases:
                    return phase
                await asyncio.sleep(FRAME_SECONDS / 2)

    async def _frames(self) -> None:
        while True:
            canary, events = await self._canary(), await self._events()
            views = Views(self.tally.window(WINDOW_SECONDS), self.tally.window(self._seconds_at_weight(canary.status.canary_weight)))
            self._show(scene(canary, views, elapsed=self.elapsed, act=self._act, new_version=self._new_version, events=events))
            await asyncio.sleep(FRAME_SECONDS)

    def _seconds_at_weight(self, weight: int) -> float:
        """How long this weight has been measured: from a moment after it was asked, when it is live, for a window at most."""
        if weight != self._weight:
            self._weight, self._weight_since = weight, self.elapsed
        return min(WINDOW_SECONDS, self.elapsed - self._weight_since - LIVE_AFTER_SECONDS)

    async def _canary(self) -> Canary:
        ref = Ref(CANARY, self._sample.namespace, APP)
        return Canary.model_validate(await self._cluster.client.get(ref))

    async def _events(self) -> list[str]:
        events = await self._cluster.client.find(EVENT, self._sample.namespace)
        own = [event for event in events if event["involvedObject"]["kind"] == "Canary"]
        own.sort(key=lambda event: (event["lastTimestamp"], int(event["metadata"]["resourceVersion"])))
        return [f"{event['type']}: {event['message']}" for event in own]
