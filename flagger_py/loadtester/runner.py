"""Runs tasks: those that a webhook only starts, from a queue, and those that it waits for; never more at once than allowed."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from flagger_py.loadtester.command import Outcome, execute
from flagger_py.loadtester.figures import Figures
from flagger_py.loadtester.programs import environment
from flagger_py.loadtester.tasks import Task

QUEUE_LIMIT: Final = 1000

log = structlog.get_logger()


class QueueFull(Exception):
    """Too many tasks wait for others to end."""


@dataclass(slots=True)
class Runner:
    """The tasks of this process. `run` starts queued ones until it is cancelled, which ends their commands."""

    timeout: timedelta
    """For each task (metrics:LT-01)."""
    parallel: int
    """Commands at once, of the queued tasks and of those that are waited for, each. Flagger has no limit."""
    figures: Figures
    environment: Mapping[str, str] = field(default_factory=lambda: environment(os.environ))
    _queued: dict[tuple[str, str], Task] = field(default_factory=dict)
    _running: set[tuple[str, str]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.parallel)

    def submit(self, task: Task) -> None:
        """Queue it; it takes the place of an equal one that waits (metrics:LT-41). Raises `QueueFull`."""
        if task.key not in self._queued and len(self._queued) >= QUEUE_LIMIT:
            raise QueueFull(f"{QUEUE_LIMIT} tasks wait already")
        self._queued[task.key] = task
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. A task whose equal is running is left out, not queued again."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                for key, task in list(self._queued.items()):
                    self._take(key, task, group)

    async def wait_for(self, task: Task) -> Outcome:
        """Run a task to its end; one that is sent twice runs twice (metrics:LT-32). It waits for its turn for one time-out at most."""
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                await self._slots.acquire()
        except TimeoutError:
            return Outcome("", f"not started: {self.parallel} other tasks did not end within the time-out")
        try:
            return await self._execute(task)
        finally:
            self._slots.release()

    def _take(self, key: tuple[str, str], task: Task, group: asyncio.TaskGroup) -> None:
        """Start it, leave it out, or let it wait for a free slot. In one step, so that no task runs twice at once (metrics:LT-42)."""
        if key in self._running:
            del self._queued[key]
            self.figures.skipped(task)
            log.info("task_skipped", canary=task.canary, command=task.command, reason="the same command is running")
        elif len(self._running) < self.parallel:
            del self._queued[key]
            self._running.add(key)
            group.create_task(self._run_queued(key, task), name=f"task of {task.canary}")

    async def _run_queued(self, key: tuple[str, str], task: Task) -> None:
        try:
            await self._execute(task)
        except Exception:  # the task's edge: one task must not end the others
            log.exception("task_broken", canary=task.canary, command=task.command)
        finally:
            self._running.discard(key)
            self._changed.set()

    async def _execute(self, task: Task) -> Outcome:
        log.debug("task_started", canary=task.canary, type=task.type, command=task.command)
        self.figures.started(task)
        try:
            outcome = await execute(task.arguments, limit=self.timeout, environment=self.environment)
        finally:
            self.figures.ended(task)
        self.figures.finished(task, failed=outcome.has_failed)
        _tell(task, outcome)
        return outcome


def _tell(task: Task, outcome: Outcome) -> None:
    told = {"canary": task.canary, "type": task.type, "command": task.command}
    if outcome.has_failed:
        log.error("task_failed", **told, cause=outcome.cause, output=outcome.output)
    elif task.logs_output:
        log.info("task_finished", **told, output=outcome.output)
    else:
        log.info("task_finished", **told)
