"""Programs as child processes: output, causes, time-outs (metrics:LT-30, LT-32, LT-34)."""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from flagger_py.loadtester import command
from flagger_py.loadtester.command import KEPT_BYTES, Outcome, execute

LONG = timedelta(seconds=30)


async def run(arguments: Sequence[str], limit: timedelta = LONG) -> Outcome:
    return await execute(arguments, limit=limit, environment=os.environ)


async def bash(text: str, limit: timedelta = LONG) -> Outcome:
    return await run(("bash", "-c", text), limit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("echo out; echo err >&2", Outcome("out\nerr\n"), id="both streams in order"),
        pytest.param("", Outcome(""), id="nothing to do"),
        pytest.param("echo x; exit 3", Outcome("x\n", "exit status 3"), id="a code"),
        pytest.param("kill -9 $$", Outcome("", "signal: killed"), id="a signal"),
        pytest.param("(sleep 0.1; echo late) & echo early", Outcome("early\nlate\n"), id="what is left in the background is waited for"),
        pytest.param("cat", Outcome(""), id="no input"),
    ],
)
async def test_the_outcome_is_output_and_cause(text: str, expected: Outcome) -> None:
    """metrics:LT-30, metrics:LT-32."""
    assert await bash(text) == expected


async def test_a_missing_program_is_a_cause() -> None:
    """metrics:LT-32."""
    assert await run(["no-such-program"]) == Outcome("", 'exec: "no-such-program": executable file not found in $PATH')


async def test_an_argument_that_no_process_can_have_is_a_cause() -> None:
    assert (await bash("a\0b")).cause == "exec: embedded null byte"


async def test_the_time_out_ends_the_whole_group(tmp_path: Path) -> None:
    """metrics:LT-34: children of the child too, which upstream leaves behind."""
    pids = tmp_path / "pids"
    outcome = await bash(f"echo begun; sleep 100 & echo $! > {pids}; sleep 100", timedelta(seconds=0.3))
    assert outcome == Outcome("begun\n", "signal: terminated, after the time-out of 300ms")
    await _until_gone(int(pids.read_text()))


async def test_what_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """metrics:LT-34."""
    monkeypatch.setattr(command, "GRACE", 0.1)
    outcome = await bash("trap '' TERM; echo deaf; while true; do sleep 0.05; done", timedelta(seconds=0.3))
    assert outcome == Outcome("deaf\n", "signal: killed, after the time-out of 300ms")


async def test_a_process_that_has_left_the_group_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """metrics:LT-34: it keeps the output open, which is waited for a moment only."""
    monkeypatch.setattr(command, "GRACE", 0.1)
    monkeypatch.setattr(command, "PIPE_WAIT", 0.1)
    async with asyncio.timeout(3):
        outcome = await bash("setsid sleep 4 & echo begun", timedelta(seconds=0.3))
    assert outcome == Outcome("begun\n", "stopped, after the time-out of 300ms")


async def test_cancelling_ends_the_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    task = asyncio.ensure_future(bash(f"sleep 100 & echo $! > {pids}; wait"))
    await _until(lambda: pids.exists() and bool(pids.read_text()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until_gone(int(pids.read_text()))


async def test_of_much_output_the_beginning_is_kept() -> None:
    assert (await bash("echo begin; head -c 3000000 /dev/zero | tr '\\0' x")).output == ("begin\n" + "x" * KEPT_BYTES)[:KEPT_BYTES]


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 (a condition with a limit)
            await asyncio.sleep(0.01)


async def _until_gone(pid: int) -> None:
    await _until(lambda: _has_ended(pid))


def _has_ended(pid: int) -> bool:
    """It may be a zombie for a while, which belongs to init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
