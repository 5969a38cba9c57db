"""One pod from start to end, with a runtime that the test drives. Time is virtual; no app is started."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from flagger_py.local.node.network import PodNetwork
from flagger_py.local.node.pod import KILLED, REFUSED, PodRunner
from flagger_py.local.node.status import ContainerStatus, Running, Terminated, Waiting
from flagger_py.objects.resource import Manifest
from tests.unit.local.node.fakes import FakeReader, FakeRuntime

pytestmark = pytest.mark.looptime
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def pod(**container: Any) -> Manifest:
    containers = [{"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 9898}], **container}]
    return {"metadata": {"name": "web", "namespace": "test", "uid": "u"}, "spec": {"containers": containers}}


@asynccontextmanager
async def running(manifest: Manifest, runtime: FakeRuntime, reader: FakeReader | None = None) -> AsyncIterator[PodRunner]:
    """The pod while the test looks at it; it is ended afterwards."""
    runner = PodRunner(manifest, runtime, PodNetwork(), reader or FakeReader(), changed=lambda: None, clock=lambda: NOW)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        yield runner
        runner.terminate(5)


def status(runner: PodRunner) -> ContainerStatus:
    return runner.statuses[0]


async def until(claim: Callable[[], bool], limit: float = 60) -> None:
    async with asyncio.timeout(limit):
        while not claim():  # noqa: ASYNC110 (a condition with a limit, on virtual time)
            await asyncio.sleep(0.01)


def waits_for(runner: PodRunner, reason: str) -> Callable[[], bool]:
    return lambda: isinstance(state := status(runner).state, Waiting) and state.reason == reason


async def test_a_container_without_probes_is_ready_at_once() -> None:
    async with running(pod(), FakeRuntime()) as runner:
        await until(lambda: status(runner).ready)
        assert status(runner).state == Running(NOW)
        assert runner.address is not None
        assert runner.address.ip.startswith("127.")


async def test_it_drains_and_ends() -> None:
    async with running(pod(), FakeRuntime(drain=3)) as runner:
        await until(lambda: status(runner).ready)
        runner.terminate(30)
    assert status(runner).state == Terminated(0, NOW, NOW)
    assert asyncio.get_running_loop().time() >= 3


async def test_it_is_killed_after_its_grace() -> None:
    async with running(pod(), FakeRuntime(drain=100)) as runner:
        await until(lambda: status(runner).ready)
        runner.terminate(5)
    assert status(runner).state == Terminated(KILLED, NOW, NOW)


async def test_an_image_that_cannot_be_pulled_is_tried_again() -> None:
    async with running(pod(), FakeRuntime(pulls_fail=1)) as runner:
        await until(waits_for(runner, "ImagePullBackOff"))
        assert not status(runner).ready
        await until(lambda: status(runner).ready)
        assert asyncio.get_running_loop().time() >= 10


async def test_a_crash_restarts_at_once_and_then_backs_off() -> None:
    runtime = FakeRuntime(lives=1)
    async with running(pod(), runtime) as runner:
        await until(lambda: status(runner).restarts == 1)
        assert asyncio.get_running_loop().time() < 2
        await until(waits_for(runner, "CrashLoopBackOff"))
        assert status(runner).last == Terminated(1, NOW, NOW)
        await until(lambda: runtime.started == 3)
        assert asyncio.get_running_loop().time() >= 12


@pytest.mark.parametrize(("policy", "code", "restarts"), [("Never", 1, False), ("OnFailure", 0, False), ("OnFailure", 1, True)])
async def test_the_restart_policy(policy: str, code: int, restarts: bool) -> None:
    manifest = pod()
    manifest["spec"]["restartPolicy"] = policy
    runtime = FakeRuntime(lives=1, code=code)
    async with running(manifest, runtime) as runner:
        await until(lambda: isinstance(status(runner).state, Terminated) or runtime.started > 1)
        await asyncio.sleep(1)
        assert (runtime.started > 1) is restarts


async def test_an_app_that_refuses_its_environment_says_why() -> None:
    async with running(pod(), FakeRuntime(refuses="environment X='a': not a number")) as runner:
        await until(lambda: status(runner).last is not None)
        assert status(runner).last == Terminated(REFUSED, NOW, NOW, "environment X='a': not a number")


async def test_a_missing_config_map_is_waited_for() -> None:
    source = {"configMapKeyRef": {"name": "config", "key": "level"}}
    reader, runtime = FakeReader(), FakeRuntime()
    async with running(pod(env=[{"name": "LEVEL", "valueFrom": source}]), runtime, reader) as runner:
        await until(waits_for(runner, "CreateContainerConfigError"))
        reader.objects["config"] = {"data": {"level": "debug"}}
        await until(lambda: status(runner).ready)
        assert runtime.environments == [{"LEVEL": "debug"}]
