"""One app with its Canary on the real cluster, steady requests to it, and what was seen of both."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.kube.client import Client
from flagger_py.local import samples
from flagger_py.local.envoy.translation import GATEWAY as GATEWAY_RESOURCE
from flagger_py.local.resources import NAMESPACE
from flagger_py.local.samples import APP, GATEWAY_CLASS, Applied, Sample
from flagger_py.local.traffic import Answer, LoadGenerator, TrafficSettings
from flagger_py.objects.errors import Unreachable
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, DEPLOYMENT, EVENT, Manifest, Ref, Resource
from tests.e2e import gateway
from tests.e2e.processes import answers_ok
from tests.e2e.waiting import POLL, until

PROMETHEUS: Final = "http://prometheus.monitoring:9090"
LATENCIES: Final = {"latency": 5, "request-duration": 5000}
"""Bounds of the latency checks (seconds, milliseconds): the sample's one second is for a machine that does nothing else."""
PATIENCE: Final = 4
"""Failed checks until a rollback: on a busy machine two scrapes of a short window may come late, which is "no values"."""
SETTLING: Final = 1.0
"""Seconds after a change of weights in which answers are not counted: Contour, Envoy and requests under way."""
DEVIATIONS: Final = 4.5
"""How many standard deviations a measured share may be off: one in 150,000 is further away by chance."""


Change = Callable[[Manifest], None]


def sample(namespace: str, **analysis: Any) -> Sample:
    """Two weights in some seconds, with what else its analysis is to have."""
    return Sample(
        "gatewayapi:v1",
        PROMETHEUS,
        namespace,
        interval="3s",
        window="5s",
        step_weight=20,
        max_weight=40,
        threshold=PATIENCE,
        analysis=analysis,
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """The Canary's status when it was seen to change."""

    at: float
    phase: str
    weight: int


@dataclass(slots=True)
class App:
    """A Deployment and its Canary in a namespace of their own, with a host name of their own."""

    client: Client
    sample: Sample
    load: LoadGenerator
    workload: Resource = DEPLOYMENT
    moments: list[Moment] = field(default_factory=list)

    async def release(self, version: str, **environment: str) -> None:
        """Set another image on the target; `environment` makes it fail."""
        await self.client.patch(self._ref(APP), MergePatch(samples.new_version(version, environment)))

    async def until_phase(self, phase: str, *, seconds: float = 90) -> Manifest:
        """Wait for the Canary's phase, and note what happens meanwhile."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            status = await self.look()
            if status.get("phase") == phase:
                return status
            assert asyncio.get_running_loop().time() < end, f"not {phase} within {seconds} s: {status}\n{await self.events()}"
            await asyncio.sleep(POLL)

    async def until_first_check(self, *, seconds: float = 60) -> None:
        """Wait until the first weight has been live for an interval, and was checked."""

        async def was_checked() -> bool:
            return bool((await self.look()).get("rollout", {}).get("checks"))

        await until(was_checked, seconds=seconds)

    async def until_weight_is_live(self, *, seconds: float = 60) -> None:
        """Wait until a weight has just become live: an interval passes before the next write."""
        before = await self.look()

        async def has_started() -> bool:
            status = await self.look()
            started = status.get("rollout", {}).get("stepStartedAt")
            return bool(started and status["canaryWeight"] and started != before.get("rollout", {}).get("stepStartedAt"))

        await until(has_started, seconds=seconds)

    async def until_failed_check(self, *, seconds: float = 60) -> None:
        """Wait until the Canary has counted a failed check."""

        async def has_failed() -> bool:
            return bool((await self.look()).get("failedChecks"))

        await until(has_failed, seconds=seconds)

    async def look(self) -> Manifest:
        """The Canary's status now; empty where the API server does not answer."""
        try:
            canary = await self.client.get(Ref(CANARY, self.sample.namespace, APP))
        except Unreachable:
            return {}
        status: Manifest = canary.get("status") or {}
        moment = Moment(asyncio.get_running_loop().time(), status.get("phase", ""), status.get("canaryWeight", 0))
        if not self.moments or (moment.phase, moment.weight) != (self.moments[-1].phase, self.moments[-1].weight):
            self.moments.append(moment)
        return status

    async def change(self, spec: Manifest) -> None:
        """Merge into the Canary's spec."""
        await self.client.patch(Ref(CANARY, self.sample.namespace, APP), MergePatch({"spec": spec}))

    @property
    def phases(self) -> list[str]:
        """The phases that were seen, in order."""
        seen = [moment.phase for moment in self.moments]
        return [phase for index, phase in enumerate(seen) if index == 0 or phase != seen[index - 1]]

    async def image(self, name: str) -> str:
        """The tag that a Deployment runs."""
        deployment = await self.client.get(self._ref(name))
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]

    async def replicas(self, name: str) -> int:
        return int((await self.client.get(self._ref(name)))["spec"]["replicas"])

    async def events(self) -> list[str]:
        """Messages of the Canary's events, oldest first."""
        found = await self.client.find(EVENT, self.sample.namespace)
        ours = [event for event in found if event["involvedObject"]["kind"] == "Canary"]
        return [event["message"] for event in sorted(ours, key=lambda event: event.get("firstTimestamp") or "")]

    def answers(self, since: float = 0.0) -> list[Answer]:
        """All that came back since a time of the loop (at most two minutes ago)."""
        return [answer for answer in self.load.tally.window(120).answers if answer.at >= since]

    def check_no_failures(self) -> None:
        """No request failed since the load began."""
        failed = [answer for answer in self.answers() if answer.is_failure]
        if failed:
            start = self.moments[0].at
            history = [(round(moment.at - start, 1), moment.phase, moment.weight) for moment in self.moments]
            when = Counter((round(answer.at - start, 1), answer.version, answer.status) for answer in failed)
            raise AssertionError(f"{len(failed)} requests failed: (seconds, version, status) {dict(when)}; the Canary: {history}")

    def check_weights(self, version: str) -> dict[int, tuple[int, int]]:
        """Hold the answers under each weight against it. Gives requests and those that met the version, by weight."""
        measured = {}
        for moment, following in zip(self.moments, self.moments[1:], strict=False):
            answers = [answer for answer in self.answers() if moment.at + SETTLING < answer.at < following.at - POLL]
            if moment.phase != "Progressing" or not answers:
                continue
            hits = sum(answer.version == version for answer in answers)
            expected, deviation = _binomial(len(answers), moment.weight / 100)
            assert abs(hits - expected) <= DEVIATIONS * deviation, f"{hits} of {len(answers)} answers at weight {moment.weight}"
            measured[moment.weight] = (len(answers), hits)
        return measured

    def _ref(self, name: str) -> Ref:
        return Ref(self.workload, self.sample.namespace, name)


def _binomial(trials: int, probability: float) -> tuple[float, float]:
    """Expectation and standard deviation."""
    return trials * probability, math.sqrt(trials * probability * (1 - probability))


@asynccontextmanager
async def app(
    client: Client, sample: Sample, *, rate: float = 40.0, adapt: Change = lambda manifest: None, workload: Resource = DEPLOYMENT
) -> AsyncIterator[App]:
    """Deployed and initialised, with requests under way until the context is left (none at rate 0).

    `adapt` changes each manifest before it is created; `workload` is the target's kind.
    """
    for resource, manifest in objects(sample, host_of(sample)):
        if resource != NAMESPACE:
            adapt(manifest)
            await client.create(workload if resource == DEPLOYMENT else resource, manifest)
    running = App(client, sample, LoadGenerator(settings(sample, rate)), workload)
    await running.until_phase("Initialized")
    if rate == 0:
        yield running
        return
    await until(answers_ok(running.load.settings.url, {"Host": host_of(sample)}), seconds=20)  # Envoy is behind the route's status
    async with load(running.load):
        yield running


@asynccontextmanager
async def load(generator: LoadGenerator) -> AsyncIterator[LoadGenerator]:
    """Requests under way until the context is left."""
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(generator.run(), name="load")
        try:
            yield generator
        finally:
            loading.cancel()


def settings(sample: Sample, rate: float, **more: Any) -> TrafficSettings:
    """Requests to the app through Envoy."""
    return TrafficSettings(f"http://{gateway.ENVOY_IP}:{gateway.HTTP_PORT}/", host_of(sample), rate, **more)


def host_of(sample: Sample) -> str:
    return f"{sample.namespace}.example.com"


def objects(sample: Sample, host: str) -> list[Applied]:
    """The sample of the demo, on Contour's Gateway, with a host of its own, and patient with a busy machine."""
    local = [applied for applied in samples.objects(sample) if applied[0] not in (GATEWAY_CLASS, GATEWAY_RESOURCE)]
    text = json.dumps([manifest for _, manifest in local]).replace(samples.HOST, host)
    manifests: list[Manifest] = json.loads(text)
    for manifest in manifests:
        spec = manifest.get("spec") or {}
        _attach(spec.get("service") or {})
        _be_patient((spec.get("analysis") or {}).get("metrics") or [])
    return [(resource, manifest) for (resource, _), manifest in zip(local, manifests, strict=True)]


def _attach(service: dict[str, Any]) -> None:
    if "gatewayRefs" in service:
        service["gatewayRefs"] = [{"name": gateway.GATEWAY, "namespace": gateway.NAMESPACE}]


def _be_patient(metrics: list[dict[str, Any]]) -> None:
    for metric in metrics:
        if metric["name"] in LATENCIES:
            metric["thresholdRange"] = {"max": LATENCIES[metric["name"]]}
