"""The Canaries of the bench: created, released, and watched for where they stand."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, Ref
from tests.bench.cluster import BenchCluster
from tests.bench.manifests import canary, configs, target
from tests.bench.standins import follow

SETTLED: Final = frozenset({"Initialized", "Succeeded", "Failed"})
SUCCEEDED: Final = frozenset({"Succeeded"})


@dataclass(slots=True)
class Fleet:
    """All Canaries, with the phase that each was last seen in."""

    cluster: BenchCluster
    provider: str
    interval: timedelta
    names: list[str] = field(default_factory=list)
    phases: dict[str, str] = field(default_factory=dict)
    _revision: int = 1
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        """Keep the phases up to date."""
        async for manifest in follow(self.cluster.client, CANARY, self.cluster.namespace):
            self.phases[manifest["metadata"]["name"]] = (manifest.get("status") or {}).get("phase", "")
            self._changed.set()

    async def grow(self, number: int) -> None:
        """Create Canaries with their targets until there are so many."""
        fresh = [f"web-{index:04}" for index in range(len(self.names), number)]
        where = self.cluster.namespace
        await self.cluster.create(manifest for name in fresh for manifest in configs(name, where))
        await self.cluster.create(target(name, where) for name in fresh)
        await self.cluster.create(canary(name, where, self.provider, self.interval) for name in fresh)
        self.names += fresh

    async def reached(self, names: Iterable[str], phases: frozenset[str], *, stall: float) -> None:
        """Wait until these Canaries are in one of the phases. Raises `TimeoutError` after `stall` seconds without any change."""
        waited = list(names)
        try:
            while not all(self.phases.get(name) in phases for name in waited):
                self._changed.clear()
                async with asyncio.timeout(stall):
                    await self._changed.wait()
        except TimeoutError as error:
            found = dict(Counter(self.phases.get(name, "missing") or "none" for name in waited))
            raise TimeoutError(f"no Canary has changed for {stall:g} s, and not all are {', '.join(sorted(phases))}: {found}") from error

    async def release(self, name: str) -> float:
        """Set another image on a target; when the server had done it."""
        self._revision += 1
        manifest = target(name, self.cluster.namespace, f"web:{self._revision}")
        patch = MergePatch({"spec": {"template": manifest["spec"]["template"]}})
        await self.cluster.client.patch(Ref(DEPLOYMENT, self.cluster.namespace, name), patch)
        return time.time()
