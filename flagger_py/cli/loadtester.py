"""`flagger-py loadtester`: the load tester's process, with the flags of Flagger's (metrics:LT-01, metrics:LT-02)."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import click
import structlog

from flagger_py import __version__
from flagger_py.cli.controller import GoFlagsCommand
from flagger_py.controller import goflag
from flagger_py.controller import log as logs
from flagger_py.controller.goflag import FlagValue, HelpRequested, UsageError
from flagger_py.http.server import CannotListen, Limits, serve
from flagger_py.loadtester.endpoints import Endpoints
from flagger_py.loadtester.figures import Figures
from flagger_py.loadtester.runner import Runner

FATAL: Final = 1
USAGE: Final = 2
GRACE_SECONDS: Final = 60.0
"""For the answers under way when the load tester is stopped (metrics:LT-02)."""
_FLAGS: Final[dict[str, tuple[FlagValue, str]]] = {
    "port": ("9090", "Port to listen on, on all interfaces."),
    "timeout": (timedelta(hours=1), "For each command; then it gets SIGTERM, and SIGKILL five seconds later."),
    "log-level": ("debug", "debug, info, warn, error, fatal or panic; anything else is info."),
    "namespace-regexp": ("", "Answer only payloads whose namespace holds a match of this; empty: all."),
    "max-parallel-tasks": (100, "Commands at once, of those that a webhook starts and of those that it waits for, each; others queue."),
    "zap-encoding": ("json", "Form of the log: json or console."),
    "zap-replace-globals": (False, "Without effect."),
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the flags say."""

    port: int
    timeout: timedelta
    log_level: str
    namespaces: re.Pattern[str] | None
    parallel: int
    log_format: str


@click.command(name="loadtester", cls=GoFlagsCommand, add_help_option=False)
def loadtester(**params: Any) -> None:
    """Run the load tester (takes Flagger's flags)."""
    try:
        settings = read(params["argv"])
    except HelpRequested:
        sys.stdout.write(usage())
        return
    except UsageError as error:
        sys.stderr.write(f"{error}\n{usage()}")
        raise SystemExit(USAGE) from None
    raise SystemExit(run(settings))


def read(argv: Sequence[str]) -> Settings:
    """The settings that a command line gives. Raises `UsageError` and `HelpRequested`."""
    line = goflag.read(argv, {name: default for name, (default, _) in _FLAGS.items()})
    if line.rest:
        raise UsageError(f"unexpected argument: {line.rest[0]}")
    values: dict[str, Any] = {name: default for name, (default, _) in _FLAGS.items()} | {flag.name: flag.value for flag in line.flags}
    return Settings(
        port=_port(values["port"]),
        timeout=_positive("timeout", values["timeout"], timedelta()),
        log_level=values["log-level"],
        namespaces=_pattern(values["namespace-regexp"]),
        parallel=_positive("max-parallel-tasks", values["max-parallel-tasks"], 0),
        log_format=_one_of("zap-encoding", values["zap-encoding"], ("json", "console")),
    )


def usage() -> str:
    """The table of all flags, as `-help` prints it."""
    lines = ["Usage of loadtester (one or two dashes; booleans take a value only after `=`):"]
    for name, (default, text) in _FLAGS.items():
        hint = f" (default {goflag.show(default)})" if default != "" else ""
        lines += [f"  -{name}", f"        {text}{hint}"]
    return "\n".join(lines) + "\n"


def run(settings: Settings) -> int:
    """Serve until a signal; the exit code. A second signal ends the process at once, with 1."""
    logs.configure(settings.log_level, settings.log_format)
    log.info("starting", version=__version__, port=settings.port, timeout=goflag.show(settings.timeout))
    try:
        asyncio.run(_serve(settings))
    except CannotListen as error:
        log.critical("cannot_start", reason=str(error))
        return FATAL
    log.info("stopped")
    return 0


async def _serve(settings: Settings) -> None:
    """Until a signal: then take no more requests, answer those under way, and end the commands that nobody waits for."""
    figures = Figures()
    runner = Runner(settings.timeout, settings.parallel, figures)
    stopped = _stop_signal()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(runner.run(), name="runner")
        try:
            async with serve(Endpoints(runner, figures, settings.namespaces), settings.port, limits=_limits(settings)) as port:
                log.info("listening", port=port)
                await stopped.wait()
        finally:
            running.cancel()


def _limits(settings: Settings) -> Limits:
    """An answer may take as long as the wait for a turn and the command together; the payload of a webhook is small."""
    longest = 2 * settings.timeout.total_seconds() + GRACE_SECONDS
    return Limits(write=longest, grace=GRACE_SECONDS, connections=10 * settings.parallel, body_size=1024 * 1024)


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if stopped.is_set():
            os._exit(FATAL)
        log.info("stopping", signal=number.name)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    return stopped


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise UsageError(f'invalid value "{text}" for -port: must be a port number, 0 to 65535')
    return int(text)


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise UsageError(f'invalid value "{text}" for -namespace-regexp: {error}') from error


def _positive(name: str, value: Any, zero: Any) -> Any:
    if value <= zero:
        raise UsageError(f'invalid value "{goflag.show(value)}" for -{name}: must be more than 0')
    return value


def _one_of(name: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise UsageError(f'invalid value "{text}" for -{name}: allowed are {", ".join(allowed)}')
    return text
