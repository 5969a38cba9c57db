"""One embedded cluster with a controller of its own process, and apps on it: each in its namespace, with its Canary and steady load."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from flagger_py.cli.local import ACCOUNT, controller_account
from flagger_py.local.cluster import LocalCluster, LocalSettings, local_cluster
from flagger_py.local.demo.controller import ControllerCommand, ControllerProcess, controller_process
from flagger_py.local.samples import APP, Applied, Sample, new_version, objects, versioned
from flagger_py.local.traffic import UNKNOWN, LoadGenerator, TrafficSettings
from flagger_py.objects.errors import NotFound
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, EVENT, SERVICE, Manifest, Ref, Resource
from tests.local.weights import WeightLog

LIMIT = 60.0
"""Seconds that anything may take; reached only where something is broken."""
POLL = 0.05
PATIENT = 20
"""A threshold of failed checks that a good version does not reach, even where a busy machine counts its requests late."""
ZERO = {"flagger.app/scale-to-zero": "true"}
STEPS = {"step_weight": 25, "max_weight": 50, "threshold": PATIENT}
SERVED_IN_A_ROW = 20
"""Requests, each on a connection of its own, that Envoy gives to any of its threads."""


@dataclass
class Controllers:
    """The controller process of a site: it can be killed and started again."""

    command: ControllerCommand
    process: ControllerProcess | None = None
    starts: int = 0

    async def check(self) -> None:
        """Raises `ControllerEnded` where it has ended by itself."""
        if self.process is not None:
            await self.process.check()

    async def run(self, restart: asyncio.Event) -> None:
        """Keep one running until cancelled; each time the event is set, it is killed and another one started."""
        while True:
            async with controller_process(self.command) as process:
                self.process = process
                self.starts += 1
                await restart.wait()
                restart.clear()
                self.process = None
                process.kill()


@dataclass
class Site:
    """A running cluster with its controller."""

    cluster: LocalCluster
    controllers: Controllers
    restart: asyncio.Event = field(default_factory=asyncio.Event)
    unrouted: int = 0
    """Requests that were sent to find out whether a new route is served, when it was not yet."""
    apps: list["App"] = field(default_factory=list)

    def kill_controller(self) -> None:
        """SIGKILL, and a new one at once."""
        self.restart.set()

    async def assert_no_gateway_failure(self) -> None:
        """Of all requests to all apps so far, Envoy brought each to a pod and back, but for those that a play has excused."""
        end = asyncio.get_running_loop().time() + LIMIT
        while unexplained := (await self._failures()) - self._excused():  # a request is counted there before it is here
            assert asyncio.get_running_loop().time() < end, f"Envoy failed requests, by response flag: {dict(unexplained)}"
            await asyncio.sleep(POLL)

    async def _failures(self) -> Counter[str]:
        return Counter((await self.cluster.flags()).failures())

    def _excused(self) -> Counter[str]:
        without_pods = sum(app.load.tally.totals[UNKNOWN, 503] for app in self.apps if app.may_be_without_pods)
        return Counter(NR=self.unrouted, UH=without_pods)

    @asynccontextmanager
    async def app(
        self,
        namespace: str,
        provider: str = "gatewayapi:v1",
        *,
        rate: float = 25,
        path: str = "/",
        spec: Manifest | None = None,
        **sample: Any,
    ) -> AsyncIterator["App"]:
        """The sample app in a namespace of its own, initialised, with its load running.

        Its steps are 25 and 50 %. `spec` replaces fields of the Canary's spec; `path` is where its route serves it.
        """
        settings: dict[str, Any] = {"interval": "2s", "replicas": 1, "host": f"{namespace}.example.com", **STEPS, **sample}
        app = App(self, Sample(provider, self.cluster.prometheus_url, namespace, **settings), path)
        await self.cluster.apply(_adapted(objects(app.sample), spec or {}))
        await app.until_phase("Initialized")
        await app.until_served()
        async with app.under_load(rate):
            self.apps.append(app)
            yield app


class App:
    """An app with its Canary, the answers it gives and the weights it is given."""

    def __init__(self, site: Site, sample: Sample, path: str = "/") -> None:
        self.site = site
        self.sample = sample
        self.weights = WeightLog(sample.provider, self._route, self.primary_version)
        self.path = path
        self.may_be_without_pods = False
        """Its canary's pods may go before its weight, because that is what is tried."""
        self._load: LoadGenerator | None = None

    @property
    def load(self) -> LoadGenerator:
        assert self._load is not None, "the load has not been started"
        return self._load

    @asynccontextmanager
    async def under_load(self, rate: float) -> AsyncIterator[None]:
        """Send requests and follow the weights beside the body; at its end no request is cut off."""
        self._load = LoadGenerator(TrafficSettings(await self.url(), self.sample.host, rate))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load.run(), name=f"load of {self.sample.namespace}")
            following = group.create_task(self.weights.follow(), name=f"weights of {self.sample.namespace}")
            try:
                yield
            finally:
                self._load.stop()
                following.cancel()

    async def url(self) -> str:
        return f"http://{await self.site.cluster.address()}{self.path}"

    async def until_served(self) -> None:
        """Wait until all of Envoy's threads have the route: each takes it when it comes to it, with a status or without one."""
        url, served = await self.url(), 0
        connector = aiohttp.TCPConnector(force_close=True)
        async with asyncio.timeout(LIMIT), aiohttp.ClientSession(connector=connector, headers={"Host": self.sample.host}) as session:
            while served < SERVED_IN_A_ROW:
                async with session.get(url) as response:
                    is_served = response.status != 404
                served = served + 1 if is_served else 0
                self.site.unrouted += not is_served

    async def release(self, version: str, **environment: str) -> None:
        """Set another version on the target; the environment makes it fail (see `demo_app`)."""
        if self.sample.target == SERVICE:
            await self._lead_to(version, environment)
            return
        await self.patch(self.sample.target, APP, new_version(version, environment))

    async def _lead_to(self, version: str, environment: Mapping[str, str]) -> None:
        """Deploy a version beside the others, and point the Service to it once its pods are there."""
        await self.site.cluster.apply([(DEPLOYMENT, versioned(self.sample, version, environment))])
        async with asyncio.timeout(LIMIT):
            while not await self._is_available(f"{APP}-{version}"):
                await self.site.controllers.check()
                await asyncio.sleep(POLL)
        await self.patch(SERVICE, APP, {"spec": {"selector": {"version": version}}})

    async def _is_available(self, name: str) -> bool:
        return bool((await self.get(DEPLOYMENT, name)).get("status", {}).get("availableReplicas"))

    async def get(self, resource: Resource, name: str) -> Manifest:
        return await self.site.cluster.client.get(Ref(resource, self.sample.namespace, name))

    async def patch(self, resource: Resource, name: str, body: Manifest) -> Manifest:
        return await self.site.cluster.client.patch(Ref(resource, self.sample.namespace, name), MergePatch(body))

    async def change_analysis(self, **fields: Any) -> None:
        """Change fields of `spec.analysis`."""
        await self.patch(CANARY, APP, {"spec": {"analysis": fields}})

    async def status(self) -> Manifest:
        return (await self.get(CANARY, APP)).get("status") or {}

    async def messages(self) -> list[str]:
        """The Events on the Canary, in order, as `Type message`."""
        events = await self.site.cluster.client.find(EVENT, self.sample.namespace)
        own = [event for event in events if event["involvedObject"]["kind"] == CANARY.kind]
        own.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [f"{event['type']} {event['message']}" for event in own]

    async def is_at_zero(self) -> bool:
        """Whether the target is to run no pod of its own."""
        if self.sample.target == SERVICE:
            return True
        spec = (await self.get(self.sample.target, APP))["spec"]
        return bool(spec["replicas"] == 0 if "replicas" in spec else spec["template"]["spec"].get("nodeSelector") == ZERO)

    async def primary_version(self) -> str:
        """The version that the primary is given; none where it does not exist."""
        try:
            primary = await self.get(self.sample.target, f"{APP}-primary")
        except NotFound:
            return ""
        if self.sample.target == SERVICE:
            return str(primary["spec"]["selector"]["version"])
        return str(primary["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]

    async def until(self, holds: Callable[[Manifest], bool], what: str) -> Manifest:
        """Wait until the Canary's status is so; fails with what was seen instead."""
        end = asyncio.get_running_loop().time() + LIMIT
        while not holds(status := await self.status()):
            await self.site.controllers.check()
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"{self.sample.namespace}: {what}: not within {LIMIT:g} s: {status}; {await self.messages()}")
            await asyncio.sleep(POLL)
        return status

    async def until_phase(self, *phases: str) -> str:
        """Wait for one of these phases, and say which."""
        status = await self.until(lambda found: found.get("phase") in phases, f"phase {' or '.join(phases)}")
        return str(status["phase"])

    async def until_told(self, *parts: str) -> str:
        """Wait for an Event that says all of this; its text."""
        end = asyncio.get_running_loop().time() + LIMIT
        while True:
            told = await self.messages()
            if found := [text for text in told if all(part in text for part in parts)]:
                return found[-1]
            assert asyncio.get_running_loop().time() < end, f"{self.sample.namespace}: nobody said {parts}: {told}"
            await asyncio.sleep(POLL)

    async def until_weight(self, weight: int) -> None:
        """Wait until the route sends this percentage to the canary."""
        async with asyncio.timeout(LIMIT):
            while self.weights.latest != weight:
                await self.site.controllers.check()
                await asyncio.sleep(POLL)

    def answers(self) -> Mapping[str, int]:
        """How many answers each version has given, whatever they were."""
        found: dict[str, int] = {}
        for (version, _), count in self.load.tally.totals.items():
            found[version] = found.get(version, 0) + count
        return found

    def assert_only_failures_of(self, *versions: str) -> None:
        """Every request was answered by a pod, and those of all other versions well."""
        tally = self.load.tally
        excused = {(UNKNOWN, 503)} if self.may_be_without_pods else set()
        assert not tally.dropped, f"{self.sample.namespace}: {tally.dropped} requests could not be sent"
        bad = {key: count for key, count in tally.totals.items() if key[1] != 200 and key[0] not in versions and key not in excused}
        assert not bad, f"{self.sample.namespace}: failed requests by version and status: {bad}, {dict(tally.errors)}; {self._when()}"

    def assert_failed_for_less_than(self, *, seconds: float) -> None:
        """From the first request that failed to the last."""
        failed = self._failed()
        assert not failed or failed[-1] - failed[0] < seconds, self._when()

    def _failed(self) -> list[float]:
        return [answer.at for answer in self.load.tally.window(120).answers if answer.status != 200]

    def _when(self) -> str:
        """When requests failed, for whoever reads the controller's log beside it."""
        offset = time.time() - asyncio.get_running_loop().time()
        return ", ".join(f"{datetime.fromtimestamp(offset + at, UTC):%H:%M:%S.%f}"[:-3] for at in self._failed()[:20])

    async def _route(self, resource: Resource) -> Manifest | None:
        try:
            return await self.get(resource, APP)
        except NotFound:
            return None


def _adapted(applied: list[Applied], spec: Manifest) -> list[Applied]:
    """With these fields of the Canary's spec, and bounds of latency that a busy machine keeps too: its slowness is not the version's."""
    for resource, manifest in applied:
        if resource == CANARY:
            manifest["spec"] |= spec
            for metric in manifest["spec"]["analysis"]["metrics"]:
                if "max" in metric["thresholdRange"]:
                    metric["thresholdRange"]["max"] *= 20
    return applied


@asynccontextmanager
async def site(folder: Path, flags: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None) -> AsyncIterator[Site]:
    """A cluster with a controller that allows short intervals; `flags` and `environment` are further ones of it."""
    settings = LocalSettings(folder, manifests=tuple(controller_account()))
    async with local_cluster(settings) as cluster:
        command = ControllerCommand(
            await cluster.service_account_kubeconfig(ACCOUNT.namespace, ACCOUNT.name),
            folder / "controller.log",
            {
                "metrics-server": cluster.prometheus_url,
                "minimum-interval": "1s",
                "port": "0",
                "log-format": "json",
                "log-level": "info",
                "leader-election-namespace": ACCOUNT.namespace,
                **(flags or {}),
            },
            environment or {},
        )
        controllers = Controllers(command)
        found = Site(cluster, controllers)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(controllers.run(found.restart), name="controller")
            try:
                yield found
            finally:
                running.cancel()
