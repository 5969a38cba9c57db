"""Strategies of spec/operations.md §16 beyond plain steps, through real Contour and Envoy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.samples import APP, Sample
from flagger_py.local.traffic import LoadGenerator
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DAEMON_SET, Manifest, Ref
from tests.e2e.app import App, app, sample, settings
from tests.e2e.kubectl import kubectl
from tests.e2e.node import APPS
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(150)
BROWSERS: Final = 12
THINKING: Final = 0.2
"""Seconds between two requests of a browser."""


@dataclass(slots=True)
class Browser:
    """Keeps its cookies. Remembers the versions that it met, in order, and the attributes of the cookies that it was given."""

    versions: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    async def browse(self, generator: LoadGenerator) -> None:
        """Until it is cancelled."""
        async with generator.session() as session:
            while True:
                async with session.get(generator.settings.url, headers={"Host": generator.settings.host}) as answer:
                    if answer.status == 200:
                        self.versions.append((await answer.json())["version"])
                    self.given += answer.headers.getall("Set-Cookie", [])
                await asyncio.sleep(THINKING)


@asynccontextmanager
async def browsers(chosen: Sample) -> AsyncIterator[list[Browser]]:
    """Some, until the context is left."""
    generator, found = LoadGenerator(settings(chosen, 1, clients=1)), [Browser() for _ in range(BROWSERS)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(browser.browse(generator), name="browser") for browser in found]
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()


async def test_a_session_stays_with_the_new_version_once_it_has_met_it(client: Client, namespace: str) -> None:
    """E2E-09, E2E-22; routers:SA-03, SA-08."""
    chosen = sample(namespace, sessionAffinity={"cookieName": "canary", "primaryCookieName": "primary"})
    async with app(client, chosen, rate=20) as running, browsers(chosen) as found:
        await running.release("2")
        await running.until_phase("Promoting")
        met = [list(browser.versions) for browser in found]
        assert [versions for versions in met if versions != sorted(versions)] == []
        assert any(versions[-1] == "2" for versions in met), met
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()
        await until(lambda: _are_told_to_forget(found), seconds=10, what=lambda: [browser.given for browser in found])


async def _are_told_to_forget(found: list[Browser]) -> bool:
    return any(cookie.startswith("canary=") and "Max-Age=-1" in cookie for browser in found for cookie in browser.given)


async def test_a_mirrored_version_is_judged_by_copies_that_nobody_sees_the_answer_of(client: Client, namespace: str) -> None:
    """E2E-51: its checks would find no values without them."""

    def change(manifest: Manifest) -> None:
        if "analysis" in manifest["spec"]:
            del manifest["spec"]["analysis"]["stepWeight"], manifest["spec"]["analysis"]["maxWeight"]
            manifest["spec"]["analysis"] |= {"iterations": 3, "mirror": True}

    async with app(client, sample(namespace), adapt=change) as running:
        await running.release("2")
        status = await running.until_phase("Promoting")
        checks = {check["name"]: check["result"] for check in status["rollout"]["checks"]}
        assert checks == {"success-rate": "pass", "latency": "pass"}
        switched_at = next(moment.at for moment in running.moments if moment.weight == 100)
        assert {answer.version for answer in running.answers() if answer.at < switched_at - 1} == {"1"}
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def test_traffic_goes_back_to_the_primary_in_steps(client: Client, namespace: str) -> None:
    """E2E-52: `stepWeightPromotion`."""
    async with app(client, sample(namespace, stepWeightPromotion=30)) as running:
        await running.release("2")
        await running.until_phase("Succeeded")
        weights = [moment.weight for moment in running.moments if moment.phase == "Promoting"]
        assert weights == sorted(weights, reverse=True)
        assert 10 in weights, running.moments
        running.check_no_failures()


def as_daemon_set(manifest: Manifest) -> None:
    """On the node of the apps only: one pod, whose successor is ready before it goes."""
    spec = manifest["spec"]
    if "template" in spec:
        del spec["replicas"], spec["progressDeadlineSeconds"]
        spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        spec["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": APPS}
    if "targetRef" in spec:
        spec["targetRef"]["kind"] = "DaemonSet"
        spec["revertOnDeletion"] = True


async def test_a_daemon_set_is_released_and_given_back(client: Client, namespace: str) -> None:
    """E2E-27, E2E-28."""
    async with app(client, sample(namespace), adapt=as_daemon_set, workload=DAEMON_SET) as running:
        await running.release("2")
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        await until(lambda: _has_ready(running, 0), seconds=10)
        running.check_no_failures()
        await kubectl("delete", "canary", APP, "--namespace", namespace, "--timeout=60s")
        await until(lambda: _has_ready(running, 1), seconds=10)


async def _has_ready(running: App, count: int) -> bool:
    found = await running.client.get(Ref(DAEMON_SET, running.sample.namespace, APP))
    return bool(found["status"].get("numberReady", 0) == count)


async def test_a_longer_interval_counts_at_once(client: Client, namespace: str) -> None:
    """E2E-63: in the middle of a rollout; and a shorter one again."""
    async with app(client, sample(namespace)) as running:
        await running.release("2")
        await running.until_weight_is_live()
        await _set_interval(running, "5m")
        await asyncio.sleep(8)
        assert (await running.look())["canaryWeight"] == 20
        await _set_interval(running, "3s")
        await running.until_phase("Succeeded")
        running.check_no_failures()


async def _set_interval(running: App, interval: str) -> None:
    ref = Ref(CANARY, running.sample.namespace, APP)
    await running.client.patch(ref, MergePatch({"spec": {"analysis": {"interval": interval}}}))
