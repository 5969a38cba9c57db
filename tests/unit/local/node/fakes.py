"""A runtime that tests drive: its containers serve nobody, and live and end as told."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from flagger_py.local.node.runtime import Process, PullFailed
from flagger_py.objects.resource import Manifest, Ref


class FakeProcess:
    """Ends with `code` after it was told to, or after `lives` seconds."""

    def __init__(self, lives: float | None, code: int, drain: float) -> None:
        self._lives, self._code, self._drain = lives, code, drain
        self._told = asyncio.Event()

    async def run(self, sockets: list[socket.socket]) -> int:
        try:
            async with asyncio.timeout(self._lives):
                await self._told.wait()
        except TimeoutError:
            return self._code
        finally:
            for bound in sockets:
                bound.close()
        await asyncio.sleep(self._drain)
        return 0

    def terminate(self) -> None:
        self._told.set()


class FakeRuntime:
    def __init__(self, *, lives: float | None = None, code: int = 1, drain: float = 0.0, pulls_fail: int = 0, refuses: str = "") -> None:
        self.started = 0
        self.environments: list[Mapping[str, str]] = []
        self._lives, self._code, self._drain, self._pulls_fail, self._refuses = lives, code, drain, pulls_fail, refuses

    async def pull(self, image: str) -> None:
        if self._pulls_fail:
            self._pulls_fail -= 1
            raise PullFailed(f"no {image}")

    def create(self, pod: Manifest, container: Mapping[str, Any], environment: Mapping[str, str]) -> Process:
        if self._refuses:
            raise ValueError(self._refuses)
        self.started += 1
        self.environments.append(environment)
        return FakeProcess(self._lives, self._code, self._drain)


class FakeReader:
    def __init__(self, objects: Mapping[str, Manifest] | None = None) -> None:
        self.objects = dict(objects or {})

    async def get(self, ref: Ref) -> Manifest | None:
        return self.objects.get(ref.name)
