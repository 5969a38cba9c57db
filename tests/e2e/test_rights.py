"""Least privilege: what the controller says where one of its rights is missing, and that it needs no other than those it declares.

Each right has a controller of its own, in a namespace of its own, with a Role that grants all rights but this one.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import yaml

from flagger_py.controller import rbac
from flagger_py.controller.rbac import Right
from flagger_py.kube.client import Client
from flagger_py.local.resources import NAMESPACE, POD
from flagger_py.local.samples import APP, Sample
from flagger_py.local.traffic import LoadGenerator
from flagger_py.objects.errors import ApiError
from flagger_py.objects.resource import ALERT_PROVIDER, CANARY, CONFIG_MAP, EVENT, SECRET, Manifest, Ref
from tests.e2e import controller
from tests.e2e.app import PROMETHEUS, App, objects, settings
from tests.e2e.kubectl import kubectl

PROVIDER: Final = "gatewayapi:v1"
LIMIT: Final = 100.0
ELSEWHERE: Final = {
    "delete controllerrevisions": "the fourth promotion",
    "get alertproviders": "a provider in a namespace that is not watched",
    "get canaries": "a conflict, or a Canary that is read for the first time",
    "get controllerrevisions": "a deleted primary",
    "patch controllerrevisions": "a revision that comes back",
    "get events": "an event that happens again",
    "patch events": "an event that happens again",
    "get httproutes": "a conflict",
    "get services": "a conflict",
    "patch services": "a Canary whose spec.service changes",
    "get metrictemplates": "a template in a namespace that is not watched",
    "patch configmaps": "a config that changes",
    "patch secrets": "a config that changes",
    "watch leases": "a second replica",
}
"""Rights that a quiet rollout can do without, and what they are for."""
OTHER_TARGETS: Final = frozenset({"daemonsets", "horizontalpodautoscalers", "scaledobjects"})
"""Kinds that the rollout of these tests does not touch: they are granted, and nothing is learned without them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout without one right ended, and all that was said about it."""

    phase: str
    said: str


def declared() -> list[Right]:
    """One verb each."""
    rights = [*rbac.core_rights(), *rbac.router_rights([PROVIDER]), *rbac.lease_rights()]
    return sorted(set(_single(rights)), key=name_of)


def _single(rights: list[Right]) -> Iterator[Right]:
    for right in rights:
        yield from (replace(right, verbs=(verb,)) for verb in right.verbs)


def name_of(right: Right) -> str:
    """`patch canaries/status`, say."""
    return f"{right.verbs[0]} {right.resource.plural}" + (f"/{right.subresource}" if right.subresource else "")


@pytest.mark.timeout(400)
async def test_each_right_that_is_missing_is_told(client: Client, run_folder: Path) -> None:
    """operations:OPS-24, design:§10; the first run has all its rights, in a Role."""
    rights = declared()
    gate = asyncio.Semaphore(8)
    async with asyncio.TaskGroup() as group:
        whole = group.create_task(_run(client, gate, run_folder, "all-rights", rights), name="all rights")
        tasks = {}
        for index, right in enumerate(right for right in rights if right.resource.plural not in OTHER_TARGETS):
            others = [other for other in rights if other != right]
            run = _run(client, gate, run_folder, f"r{index}", others, missing=name_of(right))
            tasks[name_of(right)] = group.create_task(run, name=name_of(right))
    assert whole.result().phase == "Succeeded"
    outcomes = {name: task.result() for name, task in tasks.items()}
    silent = {name: outcome for name, outcome in outcomes.items() if outcome.phase != "Succeeded" and not _is_told(name, outcome)}
    unneeded = {name for name, outcome in outcomes.items() if outcome.phase == "Succeeded" and not _is_told(name, outcome)}
    assert silent == {}
    assert unneeded <= ELSEWHERE.keys()


def _is_told(name: str, outcome: Outcome) -> bool:
    resource = name.split()[1]
    return resource.partition("/")[0] in outcome.said and ("orbidden" in outcome.said or "right" in outcome.said)


async def _run(client: Client, gate: asyncio.Semaphore, folder: Path, namespace: str, rights: list[Right], missing: str = "") -> Outcome:
    """A rollout under these rights, until it has ended well or what is missing was told."""
    async with gate:
        await client.create(NAMESPACE, {"metadata": {"name": namespace}})
        await _deploy(client, namespace)
        manifests = await asyncio.to_thread(controller.namespaced, Path("kubectl"), namespace, rights)
        await kubectl("apply", "--server-side", "--filename", "-", stdin=yaml.safe_dump_all(manifests))
        outcome = await _roll_out(client, folder, namespace, missing)
        await kubectl("delete", "deployment", controller.NAME, "--namespace", namespace, "--wait=false")
        return outcome


async def _deploy(client: Client, namespace: str) -> None:
    for resource, name in ((CONFIG_MAP, "config"), (SECRET, "secret")):
        await client.create(resource, {"metadata": {"name": name, "namespace": namespace}})
    alerts = {"type": "slack", "channel": "releases", "address": "http://10.244.0.20:9"}
    await client.create(ALERT_PROVIDER, {"metadata": {"name": "alerts", "namespace": namespace}, "spec": alerts})
    for resource, manifest in objects(_sample(namespace), f"{namespace}.example.com"):
        if resource != NAMESPACE:
            _adapt(manifest)
            await client.create(resource, manifest)


def _sample(namespace: str) -> Sample:
    return Sample(PROVIDER, PROMETHEUS, namespace, interval="2s", step_weight=50, max_weight=50, replicas=1)


def _adapt(manifest: Manifest) -> None:
    """Configs to track, an alert, a finalizer, and metrics that need no requests."""
    spec = manifest["spec"]
    if "template" in spec:
        sources = [{"configMapRef": {"name": "config"}}, {"secretRef": {"name": "secret"}}]
        spec["template"]["spec"]["containers"][0]["envFrom"] = sources
    if "query" in spec:
        spec["query"] = "vector(100)"
    if "analysis" in spec:
        spec["revertOnDeletion"] = True
        spec["analysis"]["alerts"] = [{"name": "alerts", "severity": "info", "providerRef": {"name": "alerts"}}]
        for metric in spec["analysis"]["metrics"]:
            metric["thresholdRange"] = {"min": 1}


async def _roll_out(client: Client, folder: Path, namespace: str, missing: str) -> Outcome:
    """What was reached within the limit."""
    running = App(client, _sample(namespace), LoadGenerator(settings(_sample(namespace), 0)))
    end, is_released = asyncio.get_running_loop().time() + LIMIT, False
    while True:
        phase = str((await running.look()).get("phase", ""))
        outcome = Outcome(phase, await _said(client, folder, namespace))
        if phase == "Succeeded" or (missing and _is_told(missing, outcome)) or asyncio.get_running_loop().time() > end:
            return outcome
        if phase == "Initialized" and not is_released:
            await running.release("2")
            is_released = True
        await asyncio.sleep(1)


async def _said(client: Client, folder: Path, namespace: str) -> str:
    """Conditions, events, logs and readiness."""
    canary = await client.get(Ref(CANARY, namespace, APP))
    conditions = [condition["message"] for condition in (canary.get("status") or {}).get("conditions") or []]
    events = [event["message"] for event in await client.find(EVENT, namespace)]
    logs = [path.read_text() for path in sorted((folder / "pods").glob(f"{namespace}_{controller.NAME}-*.log"))]
    return "\n".join([*conditions, *events, *logs, await _readiness(client, namespace)])


async def _readiness(client: Client, namespace: str) -> str:
    pods = await client.find(POD, namespace, label_selector="app=flagger")
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://{pods[0]['status']['podIP']}:8080/readyz?verbose") as answer:
            return await answer.text()
    except (aiohttp.ClientError, ApiError, KeyError, IndexError):
        return ""
