"""The load tester as a process of its own, with its log."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

PATIENCE = 20.0


class Process:
    """A running load tester."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.url = ""

    async def line(self, event: str, **fields: str) -> dict[str, Any]:
        """The next line of its log about this event, with these fields."""
        assert self.process.stderr
        async with asyncio.timeout(PATIENCE):
            while text := await self.process.stderr.readline():
                line: dict[str, Any] = orjson.loads(text)
                if line["msg"] == event and fields.items() <= line.items():
                    return line
        raise AssertionError(f"it ended without {event}")

    async def post(self, path: str, body: object) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.post(self.url + path, json=body) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def loadtester(*flags: str) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "flagger_py.cli", "loadtester", "-port=0", *flags]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        found = Process(process)
        found.url = f"http://127.0.0.1:{(await found.line('listening'))['port']}"
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
