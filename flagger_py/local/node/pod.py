"""Runs one pod: its containers with their restarts and probes, until it is told to end."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from flagger_py.local.node import probes
from flagger_py.local.node.environment import MissingConfig, Reader, environment
from flagger_py.local.node.network import Bound, PodAddress, PodNetwork
from flagger_py.local.node.probes import Probe, container_ports, first_port
from flagger_py.local.node.runtime import Process, PullFailed, Runtime
from flagger_py.local.node.status import ContainerStatus, Running, State, Terminated, Waiting
from flagger_py.objects.resource import Manifest

FIRST_BACKOFF: Final = 10.0
LONGEST_BACKOFF: Final = 300.0
"""Seconds between attempts to pull an image or to restart a crashed container, doubled each time, as the kubelet does."""
CONFIG_RETRY: Final = 2.0
KILLED: Final = 137
REFUSED: Final = 2
"""Exit code of an app that does not accept its environment."""


class PodRunner:
    """One pod. `changed` is called after each change of `statuses` or `address`."""

    def __init__(
        self,
        pod: Manifest,
        runtime: Runtime,
        network: PodNetwork,
        reader: Reader,
        *,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.pod = pod
        self.address: PodAddress | None = None
        self._runtime = runtime
        self._network = network
        self._reader = reader
        self._changed = changed
        self._clock = clock
        self._containers: list[Mapping[str, Any]] = pod["spec"]["containers"]
        self._statuses = {spec["name"]: _created(spec) for spec in self._containers}
        self._running: dict[str, tuple[Process, asyncio.Timeout]] = {}
        self._stopping = asyncio.Event()
        self._grace = 0.0

    @property
    def statuses(self) -> list[ContainerStatus]:
        """In the order of the pod's containers."""
        return list(self._statuses.values())

    def terminate(self, grace: float) -> None:
        """Let it drain, and kill what still runs after `grace` seconds. May be called again."""
        self._grace = grace
        self._stopping.set()
        for process, limit in self._running.values():
            _end(process, limit, grace)

    async def run(self) -> None:
        """Returns when all containers have ended for good."""
        bound = self._network.bind(self._ports())
        self.address = bound.address
        try:
            async with asyncio.TaskGroup() as group:
                for spec in self._containers:
                    group.create_task(self._container(spec, bound), name=f"container {self.pod['metadata']['name']}/{spec['name']}")
        finally:
            bound.close()

    def _ports(self) -> list[int]:
        return [port for spec in self._containers for port in container_ports(spec) or [first_port(spec)]]

    async def _container(self, spec: Mapping[str, Any], bound: Bound) -> None:
        await self._pull(spec)
        ports = container_ports(spec) or [first_port(spec)]
        sockets = [bound.sockets[port] for port in ports]
        pause = FIRST_BACKOFF
        while not self._stopping.is_set():
            ended = await self._run_once(spec, sockets)
            if not self._restarts(ended):
                return
            await self._back_off(spec, ended, pause)
            pause = min(2 * pause, LONGEST_BACKOFF)
            sockets = list(self._network.rebind(bound.address, ports).sockets.values())
        for unused in sockets:
            unused.close()

    async def _pull(self, spec: Mapping[str, Any]) -> None:
        pause = FIRST_BACKOFF
        while not self._stopping.is_set():
            try:
                await self._runtime.pull(spec["image"])
            except PullFailed as error:
                self._waits(spec, "ErrImagePull", str(error))
                await self._sleep(min(pause, 1.0))
                self._waits(spec, "ImagePullBackOff", f'Back-off pulling image "{spec["image"]}"')
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_BACKOFF)
            else:
                return

    async def _run_once(self, spec: Mapping[str, Any], sockets: list[socket.socket]) -> Terminated:
        started_at = self._clock()
        try:
            process = self._runtime.create(self.pod, spec, await self._environment(spec))
        except ValueError as error:
            ended = Terminated(REFUSED, started_at, self._clock(), str(error))
        else:
            self._update(spec["name"], state=Running(started_at))
            ended = Terminated(await self._serve(spec, process, sockets), started_at, self._clock())
        finally:
            for used in sockets:
                used.close()
        self._update(spec["name"], state=ended, started=False, ready=False)
        return ended

    async def _environment(self, spec: Mapping[str, Any]) -> dict[str, str]:
        """Waits until all ConfigMaps and Secrets exist."""
        while not self._stopping.is_set():
            try:
                return await environment(self.pod, spec, self._reader)
            except MissingConfig as error:
                self._waits(spec, "CreateContainerConfigError", str(error))
                await self._sleep(CONFIG_RETRY)
        return {}

    async def _serve(self, spec: Mapping[str, Any], process: Process, sockets: list[socket.socket]) -> int:
        """Run the process under its probes to its end."""
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(spec, process), name=f"probes {self.pod['metadata']['name']}/{spec['name']}")
            try:
                async with asyncio.timeout(None) as limit:
                    self._running[spec["name"]] = (process, limit)
                    if self._stopping.is_set():
                        _end(process, limit, self._grace)
                    return await process.run(sockets)
            except TimeoutError:
                return KILLED
            finally:
                del self._running[spec["name"]]
                probing.cancel()

    async def _probe(self, spec: Mapping[str, Any], process: Process) -> None:
        name = spec["name"]
        if startup := self._probe_of(spec, "startupProbe", "/healthz"):
            await self._started(startup, process)
        readiness = self._probe_of(spec, "readinessProbe", "/readyz")
        self._update(name, started=True, ready=readiness is None)
        liveness = self._probe_of(spec, "livenessProbe", "/healthz")
        async with asyncio.TaskGroup() as group:
            if readiness:
                watching = probes.watch(readiness, self._reached(), lambda ok: self._update(name, ready=ok))
                group.create_task(watching, name=f"readiness {name}")
            if liveness:
                watching = probes.watch(liveness, self._reached(), lambda ok: None if ok else process.terminate())
                group.create_task(watching, name=f"liveness {name}")

    async def _started(self, probe: Probe, process: Process) -> None:
        """Returns once the startup probe has succeeded; ends the process where it fails too often."""
        await asyncio.sleep(probe.initial_delay)
        failures = 0
        while not await probes.succeeds(probe, self._reached()):
            failures += 1
            if failures == probe.failure_threshold:
                process.terminate()
            await asyncio.sleep(probe.period)

    def _probe_of(self, spec: Mapping[str, Any], field: str, default_path: str) -> Probe | None:
        return Probe.of(spec[field], spec, default_path) if spec.get(field) else None

    def _reached(self) -> PodAddress:
        if self.address is None:
            raise RuntimeError("a container runs only once its pod has an address")
        return self.address

    def _restarts(self, ended: Terminated) -> bool:
        if self._stopping.is_set():
            return False
        policy = self.pod["spec"].get("restartPolicy", "Always")
        return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)

    async def _back_off(self, spec: Mapping[str, Any], ended: Terminated, pause: float) -> None:
        """The first restart comes at once, as the kubelet has it."""
        status = self._statuses[spec["name"]]
        if status.restarts:
            message = f"back-off {pause:g}s restarting failed container={spec['name']} pod={self.pod['metadata']['name']}"
            self._update(spec["name"], state=Waiting("CrashLoopBackOff", message), last=ended)
            await self._sleep(pause)
        self._update(spec["name"], restarts=status.restarts + 1, last=ended)

    async def _sleep(self, seconds: float) -> None:
        """Ends early where the pod is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _waits(self, spec: Mapping[str, Any], reason: str, message: str) -> None:
        self._update(spec["name"], state=Waiting(reason, message))

    def _update(
        self,
        name: str,
        *,
        state: State | None = None,
        started: bool | None = None,
        ready: bool | None = None,
        restarts: int | None = None,
        last: Terminated | None = None,
    ) -> None:
        before = self._statuses[name]
        after = replace(
            before,
            state=before.state if state is None else state,
            started=before.started if started is None else started,
            ready=before.ready if ready is None else ready,
            restarts=before.restarts if restarts is None else restarts,
            last=last or before.last,
        )
        if after != before:
            self._statuses[name] = after
            self._changed()


def _created(spec: Mapping[str, Any]) -> ContainerStatus:
    return ContainerStatus(spec["name"], spec["image"], Waiting("ContainerCreating"))


def _end(process: Process, limit: asyncio.Timeout, grace: float) -> None:
    process.terminate()
    limit.reschedule(asyncio.get_running_loop().time() + grace)
