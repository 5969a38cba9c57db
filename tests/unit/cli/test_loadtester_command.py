"""`flagger-py loadtester` as a process: its flags, how it stops, and hey where none is installed (metrics:LT-01, LT-02)."""

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.cli.loadtester import read
from flagger_py.controller.goflag import UsageError
from tests.local.tester import PATIENCE, loadtester


def test_flaggers_flags_are_taken() -> None:
    """metrics:LT-01: those of its manifests, with one dash or two."""
    settings = read(
        ["-port=8080", "--log-level=info", "-timeout", "1h", "-namespace-regexp=^a", "-zap-encoding=console", "-zap-replace-globals"]
    )
    assert (settings.port, settings.log_level, settings.timeout.total_seconds(), settings.log_format) == (8080, "info", 3600, "console")
    assert settings.namespaces
    assert settings.namespaces.pattern == "^a"
    assert (read([]).port, read([]).timeout.total_seconds(), read([]).log_level) == (9090, 3600, "debug")


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("-port=x", 'invalid value "x" for -port'),
        ("-timeout=0s", 'invalid value "0s" for -timeout: must be more than 0'),
        ("-namespace-regexp=(", 'invalid value "(" for -namespace-regexp'),
        ("-zap-encoding=xml", "allowed are json, console"),
        ("-max-parallel-tasks=0", "must be more than 0"),
        ("-nope", "flag provided but not defined: -nope"),
        ("word", "unexpected argument: word"),
    ],
)
def test_a_bad_flag_is_refused_at_start(flag: str, problem: str) -> None:
    """metrics:LT-01."""
    with pytest.raises(UsageError, match=re.escape(problem)):
        read([flag])
    result = CliRunner().invoke(cli.main, ["loadtester", flag])
    assert result.exit_code == 2
    assert problem in result.stderr


def test_its_help_is_the_table_of_flags() -> None:
    result = CliRunner().invoke(cli.main, ["loadtester", "-help"])
    assert result.exit_code == 0
    assert "  -namespace-regexp\n" in result.stdout


async def test_hey_runs_where_none_is_installed(tmp_path: Path) -> None:
    """A webhook of Flagger's documentation, unchanged: the load is sent, by our own hey."""
    hits: list[str] = []

    async def hit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            hits.append(head.decode().split("\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    server = await asyncio.start_server(_quiet(hit), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/path"
    async with server, loadtester() as running:
        body = {"name": "web", "namespace": "shop", "metadata": {"cmd": f"hey -n 10 -c 2 -m PUT {url}", "logCmdOutput": "true"}}
        assert await running.post("/", body) == (202, "")
        assert "[200]\t10 responses" in (await running.line("task_finished"))["output"]
    assert hits == ["PUT /path HTTP/1.1"] * 10


def _quiet(serve: Any) -> Any:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return served


async def test_a_hey_that_is_installed_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "hey"
    installed.write_text("#!/bin/sh\necho the real one $@\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    async with loadtester() as running:
        await running.post("/", {"metadata": {"cmd": "hey -z 1s x", "logCmdOutput": "1"}})
        assert (await running.line("task_finished"))["output"] == "the real one -z 1s x\n"


async def test_a_stop_answers_what_is_under_way_and_ends_the_rest(tmp_path: Path) -> None:
    """metrics:LT-02: a blocking task is waited for; a command that was only started is ended."""
    marks = tmp_path / "marks"
    async with loadtester() as running, asyncio.TaskGroup() as group:
        await running.post("/", {"metadata": {"cmd": f"trap 'echo ended >> {marks}; exit' TERM; sleep 60 & wait"}})
        await running.line("task_started")
        answer = group.create_task(
            running.post("/", {"metadata": {"type": "bash", "cmd": "sleep 1; echo done", "returnCmdOutput": "true"}})
        )
        await running.line("task_started")
        running.process.send_signal(signal.SIGTERM)
        assert await answer == (200, "done\n")
        async with asyncio.timeout(PATIENCE):
            assert await running.process.wait() == 0
    assert marks.read_text() == "ended\n"


async def test_a_second_signal_ends_it_at_once() -> None:
    """metrics:LT-02."""
    async with loadtester() as running, asyncio.TaskGroup() as group:
        hanging = group.create_task(_ignoring_errors(running.post("/", {"metadata": {"type": "bash", "cmd": "sleep 3"}})))
        await running.line("task_started")
        running.process.send_signal(signal.SIGTERM)
        await running.line("stopping")
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await running.process.wait() == 1
        await hanging


async def _ignoring_errors(answer: Any) -> None:
    try:
        await answer
    except aiohttp.ClientError:
        return


def test_a_port_that_is_taken_is_told() -> None:
    """metrics:LT-01."""
    import socket  # noqa: PLC0415

    with socket.create_server(("0.0.0.0", 0)) as taken:
        result = CliRunner().invoke(cli.main, ["loadtester", f"-port={taken.getsockname()[1]}"])
    assert result.exit_code == 1
