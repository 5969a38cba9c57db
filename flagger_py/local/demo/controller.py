"""The controller as a process of its own, as in a pod: it cannot tell the embedded cluster from another."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 12.0


class ControllerEnded(Exception):
    """The controller process is gone; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class ControllerCommand:
    """How the controller is started. `flags` are names without dashes."""

    kubeconfig: Path
    log: Path
    flags: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables besides those of this process."""

    def arguments(self) -> list[str]:
        flags = {"kubeconfig": str(self.kubeconfig), **self.flags}
        return [sys.executable, "-m", "flagger_py.cli", "controller", *(f"-{name}={value}" for name, value in flags.items())]


class ControllerProcess:
    """A running controller."""

    def __init__(self, command: ControllerCommand, process: asyncio.subprocess.Process) -> None:
        self._command = command
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def check(self) -> None:
        """Raises `ControllerEnded` where it is no longer there."""
        if self._process.returncode is not None:
            text = await asyncio.to_thread(self._command.log.read_text)
            raise ControllerEnded(f"the controller ended with exit code {self._process.returncode}; its log ends with:\n{text[-2000:]}")

    def kill(self) -> None:
        """As a node that loses power: nothing is finished."""
        self._process.kill()

    async def stop(self) -> int:
        """End it as Kubernetes does: SIGTERM, a grace period, SIGKILL. Gives its exit code."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


@asynccontextmanager
async def controller_process(command: ControllerCommand) -> AsyncIterator[ControllerProcess]:
    """Start it, with its log in a file; it is stopped when the context is left."""
    with await asyncio.to_thread(command.log.open, "ab") as log:
        environment = {**os.environ, **command.environment}
        process = await asyncio.create_subprocess_exec(
            *command.arguments(), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    running = ControllerProcess(command, process)
    try:
        yield running
    finally:
        await running.stop()
