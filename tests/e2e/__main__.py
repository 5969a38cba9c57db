"""The end-to-end suite: builds what is missing, and runs each part in a network namespace of its own.

`python -m tests.e2e [--only PART,…] [--jobs N]` runs the suite, `python -m tests.e2e exec COMMAND…` any command beside all servers, and
`python -m tests.e2e bench [ARGUMENTS…]` the benchmarks of `tests/bench` on the real API server.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.e2e import crds, machine, namespace
from tests.e2e.binaries import CONTOUR, CONTROL_PLANE, build
from tests.e2e.inside import CANNOT_RUN, DEFINITIONS
from tests.e2e.machine import CannotRun, cache_folder
from tests.e2e.parts import PARTS, Part, Servers, UnknownPart, chosen, scenarios_not_run

KEPT_RUNS: Final = 5
LONGEST_RUN: Final = 7200.0
"""Seconds: what is younger may still be running beside this one."""
SIDE_BY_SIDE: Final = 3
"""Parts at once: most of their time they wait for intervals to pass."""


def main(arguments: Sequence[str]) -> int:
    try:
        if arguments[:1] == ["exec"]:
            return asyncio.run(_execute(Servers.ALL, arguments[1:], _prepared() / "exec"))
        if arguments[:1] == ["bench"]:
            folder = _prepared() / "bench"
            return asyncio.run(_execute(Servers.API_SERVER, _bench(folder, arguments[1:]), folder))
        options = _options(arguments)
        parts = chosen(options.only)
        if options.select:
            parts = [replace(part, arguments=(*part.arguments, "-k", options.select)) for part in parts]
        return asyncio.run(_suite(parts, _prepared(), options.jobs))
    except (CannotRun, UnknownPart) as error:
        print(f"the end-to-end suite cannot run: {error}", file=sys.stderr)
        return CANNOT_RUN


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    about = "; ".join(f"{part.name}: {part.about}" for part in PARTS)
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__, epilog=f"Parts: {about}.")
    parser.add_argument("--only", default="", metavar="PART,…", help="run these parts only")
    parser.add_argument("-k", default="", metavar="EXPRESSION", dest="select", help="run these tests of them only, as pytest has it")
    parser.add_argument("--jobs", type=int, default=SIDE_BY_SIDE, metavar="N", help="run so many parts side by side")
    return parser.parse_args(arguments)


def _prepared() -> Path:
    """A folder for this run, with all that comes from outside: nothing inside of the namespaces reaches a registry."""
    machine.check()
    for graph in (CONTROL_PLANE, CONTOUR):
        build(graph)
    runs = cache_folder() / "runs"
    now = datetime.now(UTC)
    for old in sorted(runs.glob("*"))[: -KEPT_RUNS + 1]:
        if old.stat().st_mtime < now.timestamp() - LONGEST_RUN:
            shutil.rmtree(old)
    folder = runs / now.strftime("%Y%m%dT%H%M%S.%f")
    folder.mkdir(parents=True)
    (folder / DEFINITIONS).write_text(crds.of_everything())
    return folder


async def _execute(servers: Servers, command: Sequence[str], folder: Path) -> int:
    process = await asyncio.create_subprocess_exec(*_inside(servers, folder, command))
    return await process.wait()


def _bench(folder: Path, arguments: Sequence[str]) -> list[str]:
    """The benchmarks on the real API server; they bring stand-ins for everything else."""
    server = ["--server", str(folder / "kubeconfig-admin"), "--audit-log", str(folder / "audit.log")]
    return [sys.executable, "-m", "tests.bench", *server, *arguments]


async def _suite(parts: Sequence[Part], folder: Path, jobs: int) -> int:
    """The largest exit code of the parts."""
    gate = asyncio.Semaphore(jobs)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_part(part, folder / part.name, gate), name=part.name) for part in parts]
    codes = [task.result() for task in tasks]
    if len(parts) == len(PARTS):
        print(f"scenarios of spec/operations.md §16 that are not run yet: {', '.join(scenarios_not_run(parts)) or 'none'}")
    if any(codes):
        print(f"logs, audit logs and objects: {folder}", file=sys.stderr)
    return max(codes)


async def _part(part: Part, folder: Path, gate: asyncio.Semaphore) -> int:
    """One part, with its output in a file that is shown at its end."""
    async with gate:
        started = time.monotonic()
        inside = _inside(part.servers, folder, _pytest(part))
        with (folder / "pytest.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(*inside, stdout=output, stderr=output)
            code = await process.wait()
    text = await asyncio.to_thread((folder / "pytest.log").read_text)
    print(f"--- {part.name}: {part.about} ({time.monotonic() - started:.0f} s, exit code {code})\n{text}", flush=True)
    return code


def _pytest(part: Part) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--quiet", *part.pytest_arguments]


def _inside(servers: Servers, folder: Path, command: Sequence[str]) -> list[str]:
    folder.mkdir(exist_ok=True)
    return namespace.command([sys.executable, "-m", "tests.e2e.inside", servers.name, str(folder), *command])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
