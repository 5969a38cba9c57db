"""Programs as child processes: each in a process group of its own, with a time-out for the whole group (metrics:LT-34)."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flagger_py.api.durations import format_duration

KEPT_BYTES: Final = 1024 * 1024
"""Of the output: more is read, and thrown away."""
GRACE: Final = 5.0
"""Seconds from SIGTERM to SIGKILL."""
PIPE_WAIT: Final = 1.0
"""Seconds after SIGKILL for output that is still held open by a process which left the group."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    output: str
    """What it wrote on both of its streams, in the order of writing."""
    cause: str = ""
    """Why it failed, in the words of Go (`exit status 1`, `signal: killed`); empty where it succeeded."""

    @property
    def has_failed(self) -> bool:
        return bool(self.cause)


async def execute(arguments: Sequence[str], *, limit: timedelta, environment: Mapping[str, str]) -> Outcome:
    """Run a program, found by `PATH`, until it and all that hold its output have ended.

    After the time-out, and when it is cancelled, the whole group gets SIGTERM and then SIGKILL. Never raises for what the program does.
    """
    async with _Output.pipe() as output:
        try:
            process = await _start(arguments, environment, output)
        except FileNotFoundError:
            return Outcome("", f'exec: "{arguments[0]}": executable file not found in $PATH')
        except (OSError, ValueError) as error:  # not executable, too long, a NUL in an argument
            return Outcome("", f"exec: {error}")
        late = ""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await output.read()
                await process.wait()
        except TimeoutError:
            late = f", after the time-out of {format_duration(limit)}"
        finally:
            await _end(process, output)
        cause = _cause(process.returncode)
        return Outcome(output.text(), f"{cause or 'stopped'}{late}" if late else cause)


async def _start(arguments: Sequence[str], environment: Mapping[str, str], output: "_Output") -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output.write_end,
            stderr=output.write_end,
            start_new_session=True,
            env=environment,
        )
    finally:
        os.close(output.write_end)


async def _end(process: asyncio.subprocess.Process, output: "_Output") -> None:
    """Make sure that nothing of the group goes on; at once where it has ended by itself."""
    if process.returncode is not None and output.has_ended:
        return
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, PIPE_WAIT)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
                await output.read()
                return


def _cause(code: int | None) -> str:
    if not code:
        return ""
    return f"exit status {code}" if code > 0 else f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


class _Output:
    """A pipe of our own: the one that asyncio makes cannot be left while a stray process still holds it."""

    def __init__(self, reader: asyncio.StreamReader, write_end: int) -> None:
        self.write_end = write_end
        self._reader = reader
        self._kept = bytearray()

    @classmethod
    @asynccontextmanager
    async def pipe(cls) -> AsyncIterator["_Output"]:
        read_end, write_end = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
        )
        try:
            yield cls(reader, write_end)
        finally:
            transport.close()

    @property
    def has_ended(self) -> bool:
        return self._reader.at_eof()

    async def read(self) -> None:
        """Until nobody can write any more."""
        while data := await self._reader.read(64 * 1024):
            self._kept += data[: KEPT_BYTES - len(self._kept)]

    def text(self) -> str:
        return self._kept.decode(errors="replace")
