"""The node agent: runs the pods of one node and reports what they do. It needs nothing but the Kubernetes API."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from flagger_py.kube.cluster import Cluster
from flagger_py.local.node.network import PodAddress, PodNetwork
from flagger_py.local.node.pod import PodRunner
from flagger_py.local.node.runtime import Runtime
from flagger_py.local.node.status import pod_status
from flagger_py.local.resources import POD
from flagger_py.objects.errors import ApiError, Conflict, NotFound
from flagger_py.objects.patch import MergePatch, merge_patch
from flagger_py.objects.resource import Manifest, Ref

log = structlog.get_logger()

PORTS_ANNOTATION: Final = "local.flagger.app/ports"
"""On a pod that shares its address with others: `containerPort=realPort` pairs, separated by commas."""
DEFAULT_GRACE: Final = 30
RETRY: Final = 1.0


class NodeApi(Protocol):
    """The two calls that only a node makes."""

    async def bind(self, pod: Ref, node: str) -> None:
        """Give a pending pod to this node."""

    async def remove(self, pod: Ref, uid: str) -> None:
        """Delete a pod that has ended, without a grace period; succeeds where it does not exist."""


@dataclass(slots=True)
class _Run:
    """One pod on this node."""

    ref: Ref
    runner: PodRunner
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    deleted: bool = False


class NodeAgent:
    """Runs every pod that is given to `node`, and of those that are given to none each that `takes_pending` says: the only scheduler."""

    def __init__(
        self,
        cluster: Cluster,
        api: NodeApi,
        runtime: Runtime,
        *,
        node: str,
        network: PodNetwork | None = None,
        takes_pending: Callable[[Manifest], bool] = lambda pod: True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._objects = cluster.objects()
        self._api = api
        self._runtime = runtime
        self._node = node
        self._network = network or PodNetwork()
        self._takes_pending = takes_pending
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._changes: asyncio.Queue[Ref] = asyncio.Queue()

    async def run(self) -> None:
        """For ever. Cancelling it kills all pods, as a power cut does."""
        self._cluster.subscribe(self._on_change)
        await self._cluster.ensure_watched(POD)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._take(await self._changes.get(), group)

    def _on_change(self, ref: Ref) -> None:
        if ref.resource == POD and ref.name:
            self._changes.put_nowait(ref)

    async def _take(self, ref: Ref, group: asyncio.TaskGroup) -> None:
        pod = await self._objects.read(ref)
        for run in [run for run in self._runs.values() if run.ref == ref]:
            self._follow(run, pod)
        if pod is not None and pod["metadata"]["uid"] not in self._runs and self._is_ours(pod):
            self._start(pod, group)

    def _is_ours(self, pod: Manifest) -> bool:
        """A pod that has ended still concerns us while it waits to be removed."""
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        node = pod["spec"].get("nodeName")
        is_here = node == self._node if node else self._takes_pending(pod)
        return is_here and (not ended or "deletionTimestamp" in pod["metadata"])

    def _follow(self, run: _Run, pod: Manifest | None) -> None:
        """End the pod where it is being deleted, or is gone already."""
        if pod is None or pod["metadata"]["uid"] != run.runner.pod["metadata"]["uid"]:
            run.deleted = True
            run.runner.terminate(DEFAULT_GRACE)
        elif "deletionTimestamp" in pod["metadata"]:
            run.runner.terminate(pod["metadata"].get("deletionGracePeriodSeconds", DEFAULT_GRACE))
        else:
            run.dirty.set()  # somebody else may have written its status: Kubernetes does for a node that was not heard of

    def _start(self, pod: Manifest, group: asyncio.TaskGroup) -> None:
        dirty = asyncio.Event()
        runner = PodRunner(pod, self._runtime, self._network, self._objects, changed=dirty.set, clock=self._clock)
        run = _Run(Ref.of(POD, pod), runner, dirty)
        self._runs[pod["metadata"]["uid"]] = run
        group.create_task(self._run_pod(run), name=f"pod {run.ref}")

    async def _run_pod(self, run: _Run) -> None:
        """One pod from its binding to its removal. This is the task's edge: what goes wrong concerns this pod only."""
        uid = run.runner.pod["metadata"]["uid"]
        try:
            await self._live(run)
        except Exception:
            log.exception("pod_failed", pod=str(run.ref))
        finally:
            del self._runs[uid]

    async def _live(self, run: _Run) -> None:
        pod = run.runner.pod
        if "deletionTimestamp" not in pod["metadata"]:
            if not pod["spec"].get("nodeName") and not await self._bind(run):
                return
            await self._report_while_running(run)
        await self._finish(run)

    async def _bind(self, run: _Run) -> bool:
        """Take the pod; false where it has gone, or somebody else has it."""
        while True:
            try:
                await self._api.bind(run.ref, self._node)
            except (NotFound, Conflict):
                return False
            except ApiError as error:
                log.warning("pod_not_bound", pod=str(run.ref), error=str(error))
                await asyncio.sleep(RETRY)
            else:
                return True

    async def _report_while_running(self, run: _Run) -> None:
        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(self._report_changes(run), name=f"status {run.ref}")
            try:
                await run.runner.run()
            finally:
                reporting.cancel()

    async def _report_changes(self, run: _Run) -> None:
        while True:
            await run.dirty.wait()
            run.dirty.clear()
            try:
                await self._report(run)
            except NotFound:
                return
            except ApiError as error:
                log.warning("pod_status_not_written", pod=str(run.ref), error=str(error))
                run.dirty.set()
                await asyncio.sleep(RETRY)

    async def _report(self, run: _Run) -> None:
        """Write the status where it differs from the one last seen. Raises `ApiError`."""
        pod = await self._objects.read(run.ref)
        if pod is None or pod["metadata"]["uid"] != run.runner.pod["metadata"]["uid"]:
            return
        await self._publish_ports(run, pod)
        status = pod_status(pod, run.runner.statuses, run.runner.address, self._clock())
        patch = merge_patch({"status": pod.get("status") or {}}, {"status": {**(pod.get("status") or {}), **status}})
        if not patch.is_empty:
            await self._objects.patch(run.ref, patch, subresource="status")

    async def _publish_ports(self, run: _Run, pod: Manifest) -> None:
        address = run.runner.address
        if address and address.ports and PORTS_ANNOTATION not in (pod["metadata"].get("annotations") or {}):
            await self._objects.patch(run.ref, MergePatch({"metadata": {"annotations": {PORTS_ANNOTATION: _ports_text(address)}}}))

    async def _finish(self, run: _Run) -> None:
        """Report how it ended, and remove it where that was asked for; a node goes on until the API server has heard it."""
        while True:
            try:
                await self._tell_end(run)
            except ApiError as error:
                log.warning("pod_end_not_told", pod=str(run.ref), error=str(error))
                await asyncio.sleep(RETRY)
            else:
                return

    async def _tell_end(self, run: _Run) -> None:
        if run.deleted:
            return
        pod = await self._objects.get(run.ref)
        if pod is None or pod["metadata"]["uid"] != run.runner.pod["metadata"]["uid"]:
            return
        if "deletionTimestamp" in pod["metadata"]:
            await self._api.remove(run.ref, pod["metadata"]["uid"])
        else:
            await self._report(run)


def _ports_text(address: PodAddress) -> str:
    return ",".join(f"{container}={real}" for container, real in sorted(address.ports.items()))


def real_port(pod: Manifest, container_port: int) -> int:
    """Where a container port of a pod is really served."""
    text = (pod["metadata"].get("annotations") or {}).get(PORTS_ANNOTATION, "")
    pairs = dict(pair.split("=") for pair in text.split(",") if pair)
    return int(pairs.get(str(container_port), container_port))
