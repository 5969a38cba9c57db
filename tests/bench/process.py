"""The controller under test: any command line, as a process whose CPU time and memory the kernel counts."""

import asyncio
import shlex
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class ControllerCommand:
    """A command line; `{kubeconfig}`, `{metrics}` (URL of the PromQL endpoint) and `{port}` (a free one) are filled in."""

    line: str

    def arguments(self, kubeconfig: Path, metrics: str) -> list[str]:
        values = {"kubeconfig": str(kubeconfig), "metrics": metrics, "port": str(_free_port())}
        return [word.format(**values) for word in shlex.split(self.line)]


@dataclass(frozen=True, slots=True)
class ControllerProcess:
    """A running controller. `started` is the wall clock at its start."""

    pid: int
    started: float

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all its threads, in nanosecond steps."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(_text(thread).split()[0]) for thread in threads) / 1e9

    @property
    def resident_bytes(self) -> int:
        return self._memory("VmRSS")

    @property
    def peak_resident_bytes(self) -> int:
        return self._memory("VmHWM")

    def _memory(self, field: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


@asynccontextmanager
async def running(arguments: Sequence[str], log: Path) -> AsyncIterator[ControllerProcess]:
    """The process for as long as the context lasts; it gets SIGTERM at the end. Raises `RuntimeError` where it ended by itself."""
    with log.open("ab") as output:
        started = time.time()
        process = await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield ControllerProcess(process.pid, started)
        if process.returncode is not None:
            raise RuntimeError(f"the controller ended with {process.returncode}; its log is {log}")
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return "0"  # the thread has just ended


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
