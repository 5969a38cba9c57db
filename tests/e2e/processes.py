"""Servers as child processes: started with a log file each, waited for until they are ready, ended by their pid."""

import asyncio
import signal
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

STOP_LIMIT: Final = 10.0
"""Seconds that a server gets to end after SIGTERM."""


class HasEnded(Exception):
    """A server ended while it was waited for; the message holds the end of its log."""


class Child:
    """One server, run in `folder`. It may be started again after it has ended."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._folder = folder
        self._command = [str(part) for part in command]
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=self._folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    async def stop(self) -> int:
        """End it and give its exit code; killed where it takes longer than the limit."""
        process = self._running()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_LIMIT):
                    await process.wait()
            except TimeoutError:
                await self.kill()
        return await process.wait()

    async def kill(self) -> None:
        """End it as a power cut does."""
        self.signal(signal.SIGKILL)
        await self._running().wait()

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            self._running().send_signal(number)

    async def wait(self) -> int:
        return await self._running().wait()

    async def until(self, ready: Callable[[], Awaitable[bool]], *, limit: float = 60.0) -> None:
        """Wait until it is ready. Raises `HasEnded`, or `TimeoutError`."""
        async with asyncio.timeout(limit):
            while not await ready():
                if not self.is_running:
                    raise HasEnded(f"{self.name} ended with {self._running().returncode}; the end of {self.log}:\n{self._last_lines()}")
                await asyncio.sleep(0.1)

    def _last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process


def answers_ok(url: str, headers: Mapping[str, str] | None = None) -> Callable[[], Awaitable[bool]]:
    """A readiness check: whether a GET is answered 200. Certificates are not verified: the servers make their own."""

    async def ready() -> bool:
        try:
            async with asyncio.timeout(2.0):
                return b" 200 " in await _status_line(url, headers or {})
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    return ready


async def _status_line(url: str, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    tls = ssl._create_unverified_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=tls)
    try:
        sent = {"Host": parts.netloc, "Connection": "close", **headers}
        lines = [f"GET {parts.path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        return await reader.readuntil(b"\r\n")
    finally:
        writer.close()
