"""The load tester's own metrics; Flagger's has none about its tasks (metrics:LT-42)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from flagger_py.loadtester.tasks import Task


class Figures:
    """Counts tasks by type; each type begins at its first task."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._started = Counter("flagger_loadtester_tasks_started", "Tasks whose command was started.", ["type"], registry=self._registry)
        self._finished = Counter(
            "flagger_loadtester_tasks_finished", "Tasks whose command has ended, by how.", ["type", "result"], registry=self._registry
        )
        self._skipped = Counter(
            "flagger_loadtester_tasks_skipped", "Tasks left out because the same one ran.", ["type"], registry=self._registry
        )
        self._running = Gauge("flagger_loadtester_tasks_running", "Tasks whose command runs.", ["type"], registry=self._registry)

    def started(self, task: Task) -> None:
        self._started.labels(task.type).inc()
        self._running.labels(task.type).inc()

    def finished(self, task: Task, *, failed: bool) -> None:
        self._finished.labels(task.type, "failed" if failed else "succeeded").inc()

    def ended(self, task: Task) -> None:
        """It runs no more, whether it has finished or was cancelled."""
        self._running.labels(task.type).dec()

    def skipped(self, task: Task) -> None:
        self._skipped.labels(task.type).inc()

    def render(self) -> bytes:
        """The text exposition."""
        return generate_latest(self._registry)
