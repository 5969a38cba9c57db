"""`python -m tests.bench`: measures a controller and prints a table. See README.md."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.bench import core, rows
from tests.bench.audit import AuditLog
from tests.bench.cluster import BenchCluster, embedded, existing
from tests.bench.fleet import SETTLED, SUCCEEDED, Fleet
from tests.bench.idle import Idle, first_watch, idle, quiet
from tests.bench.manifests import ROUTES, STEPS
from tests.bench.options import EMBEDDED, Options, parse
from tests.bench.process import ControllerCommand, ControllerProcess, running
from tests.bench.report import Row, show
from tests.bench.rollouts import lateness, notice_at_once, notice_one_by_one, step_cost
from tests.bench.standins import Pods, accept_routes, prometheus

STALL_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 3.0
QUIET_LIMIT: Final = 120.0
NO_LIMIT: Final = " -kubeconfig-qps=0"
NO_ELECTION: Final = " -enable-leader-election=false"


@dataclass
class Bench:
    """One run. `rows` grows as it goes."""

    options: Options
    cluster: BenchCluster
    fleet: Fleet
    metrics: str
    controller_log: Path
    console: Console
    rows: list[Row] = field(default_factory=list)
    memory: dict[int, int] = field(default_factory=dict)

    async def run(self) -> None:
        for number in self.options.canaries:
            await self._settle(number)
            await self._measure(number)
        if self.options.is_ours:
            await self._without_election()
        if len(self.memory) > 1:
            self.rows.append(rows.memory_per_canary(self.memory))

    async def _settle(self, number: int) -> None:
        """Create Canaries up to a number and let the controller initialise them, without its own request limit where we know the flag."""
        self._say(f"{number} Canaries: initialising")
        await self.fleet.grow(number)
        async with self._controller(NO_LIMIT if self.options.is_ours else ""):
            await self.fleet.reached(self.fleet.names, SETTLED, stall=STALL_SECONDS)
            await asyncio.sleep(1)

    async def _measure(self, number: int) -> None:
        log = self._log()
        async with self._controller() as process:
            self.rows.append(rows.start(await first_watch(process, log), number))
            found = await self._idle(process, log, number)
            self.memory[number] = found.resident_bytes
            self.rows += rows.idle(found, self.options.foreign)
            if number == self.options.canaries[-1]:
                await self._roll(process, log)
                self.rows.append(rows.peak(process.peak_resident_bytes, number))

    async def _without_election(self) -> None:
        """As Argo Rollouts was measured, and to see what the lease costs."""
        log = self._log()
        async with self._controller(NO_ELECTION) as process:
            found = await self._idle(process, log, len(self.fleet.names))
            self.rows.append(rows.without_election(found))

    async def _idle(self, process: ControllerProcess, log: AuditLog, number: int) -> Idle:
        self._say(f"{number} Canaries: idle")
        await quiet(log, seconds=QUIET_SECONDS, limit=QUIET_LIMIT)
        return await idle(process, log, number, seconds=self.options.idle_seconds)

    async def _roll(self, process: ControllerProcess, log: AuditLog) -> None:
        """Each part takes Canaries of its own, so that no rollout begins in another one."""
        given = iter(self.fleet.names)
        options, fleet = self.options, self.fleet
        stall = 10 * options.interval.total_seconds() + STALL_SECONDS
        self._say("a rollout by itself")
        self.rows.append(rows.steps(await step_cost(fleet, log, next(given), stall=stall)))
        self._say(f"{options.one_by_one} new revisions one by one, {options.at_once} at once")
        single = list(islice(given, options.one_by_one))
        self.rows.append(rows.notice("one by one", await notice_one_by_one(fleet, log, single)))
        await fleet.reached(single, SUCCEEDED, stall=stall)
        several = list(islice(given, options.at_once))
        self.rows.append(rows.notice(f"{options.at_once} at once", await notice_at_once(fleet, log, several)))
        await fleet.reached(several, SUCCEEDED, stall=stall)
        for begin in options.begins:
            how = "begun over one interval" if begin else "begun at once"
            many = list(islice(given, options.active))
            self._say(f"{len(many)} rollouts, {how}")
            before = process.cpu_seconds
            late = await lateness(fleet, log, many, spread=begin * options.interval.total_seconds(), stall=stall)
            self.rows.append(rows.lateness(late, len(many), options.interval, how))
            self.rows.append(rows.cpu_per_step(process.cpu_seconds - before, len(STEPS) * len(many), how))

    def _controller(self, more: str = "") -> AbstractAsyncContextManager[ControllerProcess]:
        command = ControllerCommand(self.options.command.line + more)
        return running(command.arguments(self.cluster.kubeconfig, self.metrics), self.controller_log)

    def _log(self) -> AuditLog:
        return AuditLog(self.cluster.audit_log, self.options.user_agent)

    def _say(self, text: str) -> None:
        self.console.print(f"[dim]{text} …[/dim]")


async def _main(options: Options, console: Console) -> list[Row]:
    measured = rows.core(core.decisions_per_second(core.settled_world()), core.decisions_per_second(core.step_world()))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        async with _cluster(options, directory) as cluster, prometheus() as metrics, _standins(cluster, options) as fleet:
            bench = Bench(options, cluster, fleet, metrics, options.log or directory / "controller.log", console)
            await bench.run()
    return bench.rows + measured


def _cluster(options: Options, directory: Path) -> AbstractAsyncContextManager[BenchCluster]:
    routes = ROUTES[options.routes]
    if options.server == EMBEDDED:
        return embedded(directory, routes, foreign=options.foreign, namespace_name=options.namespace)
    assert options.audit_log is not None
    return existing(Path(options.server), options.audit_log, routes, foreign=options.foreign, namespace_name=options.namespace)


@asynccontextmanager
async def _standins(cluster: BenchCluster, options: Options) -> AsyncIterator[Fleet]:
    """What a cluster has besides its API server, running."""
    fleet = Fleet(cluster, options.provider, options.interval)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(Pods(cluster).run(), name="pods"),
            group.create_task(accept_routes(cluster), name="gateway"),
            group.create_task(fleet.follow(), name="phases"),
        ]
        try:
            yield fleet
        finally:
            for task in tasks:
                task.cancel()


def main() -> None:
    options = parse(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 150)
    show(f"{options.command.line.split()[0].rpartition('/')[2]} on {options.server}", asyncio.run(_main(options, console)), console)


if __name__ == "__main__":
    main()
