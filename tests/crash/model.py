"""Plays a script of actions against the real controller, lets everything heal, and judges where it has ended (design §3)."""

import asyncio
from dataclasses import dataclass

from flagger_py.api.commands import Verb
from flagger_py.api.metadata import COMMAND
from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, CONFIG_MAP, SCALED_OBJECT, SERVICE, Ref
from tests.crash.actions import Action, Command, Scripted, Site
from tests.crash.guard import Guard
from tests.crash.lives import controllers, run_alone
from tests.crash.scenarios import autoscaler_of, create_app, image_and_pods
from tests.crash.settings import Setting
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, memory_cluster

SETTLED = ("Initialized", "Succeeded", "Failed")
QUIET = 60.0
"""Seconds without a change after which it has come to rest."""
LIMIT = 1200.0


@dataclass(frozen=True)
class Step:
    """An action, some seconds after the one before."""

    seconds: float
    action: Action


def play(setting: Setting, script: list[Step], *, is_deleted: bool = False) -> None:
    """On a loop of its own. Raises what is wrong."""
    run_alone(_play(setting, script, is_deleted=is_deleted))


async def _play(setting: Setting, script: list[Step], *, is_deleted: bool) -> None:
    wire = Scripted()
    async with memory_cluster() as cluster, controllers(cluster, [wire]), autoscaler_of(cluster, setting):
        guard = Guard(cluster, setting.provider, setting.target, is_strict=False)
        site = Site(cluster, guard, wire, setting)
        await create_app(cluster, setting)
        await guard.until_phase("Initialized")
        for step in script:
            await asyncio.sleep(step.seconds)
            await step.action.do(site)
        if is_deleted:
            await _delete(site)
        else:
            await _heal(site)
            await _come_to_rest(site)
            await _check_end(site)
        assert not guard.problems, "\n".join(guard.problems)


async def _heal(site: Site) -> None:
    site.wire.due.clear()
    site.cluster.web.success_rate, site.cluster.web.hook_status = 100.0, 200
    spec = {"suspend": False, "skipAnalysis": False, "analysis": site.setting.canary()["spec"]["analysis"]}
    await site.write(CANARY, "web", {"spec": spec, "metadata": {"annotations": {COMMAND: None}}})
    await site.write(site.setting.target, "web-primary", {"spec": {"replicas": 2}})
    if site.setting.autoscaler:
        await site.write(SCALED_OBJECT, "web", {"spec": site.setting.autoscaler["spec"]})
    await asyncio.sleep(5)
    await site.cluster.mend()
    if site.guard.record.get("pausedSince"):
        await Command(Verb.RESUME).do(site)


async def _come_to_rest(site: Site) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + LIMIT
    while True:
        quiet = loop.time() - site.guard.last_change
        if quiet >= QUIET and site.guard.status["phase"] in SETTLED and not site.guard.record.get("outbox"):
            return
        assert loop.time() < end, f"it does not come to rest: {site.guard.status}"
        await asyncio.sleep(max(QUIET - quiet, 1.0))


async def _check_end(site: Site) -> None:
    guard, status, record = site.guard, site.guard.status, site.guard.record
    image, pods = await image_and_pods(site.cluster, site.setting, "web")
    primary_image, primary_pods = await image_and_pods(site.cluster, site.setting, "web-primary")
    assert primary_pods > 0
    assert [condition["type"] for condition in status["conditions"]] == ["Promoted"], f"no fault is left over: {status['conditions']}"
    assert not record.get("servingCanary"), "a canary serves only while the primary cannot"
    if guard.splits:
        assert guard.splits[-1].routes == guard.stored == site.setting.good[0]
    if status["phase"] != "Failed":
        assert primary_image == image, f"the newest revision is promoted, not {primary_image}"
        copied = (await site.cluster.get(CONFIG_MAP, "settings-primary"))["data"]
        assert copied == (await site.cluster.get(CONFIG_MAP, "settings"))["data"]
    assert pods == 0 or site.was_scaled, "nothing is rolled out"
    assert (await site.cluster.get(SERVICE, "web"))["spec"]["selector"]["app"] == "web-primary"


async def _delete(site: Site) -> None:
    site.guard.by_user = True
    await site.write(CANARY, "web", {"spec": {"revertOnDeletion": True}})
    await asyncio.sleep(10)
    site.wire.due.clear()
    await site.cluster.mend()
    site.guard.by_user = True
    await site.cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
    await asyncio.sleep(400)
    try:
        canary = await site.cluster.get(CANARY, "web")
    except NotFound:
        pass
    else:
        raise AssertionError(f"it is held for ever: {canary['metadata'].get('finalizers')} {canary.get('status')}")
    _, pods = await image_and_pods(site.cluster, site.setting, "web")
    assert pods > 0
    for leftover in (Ref(site.setting.target, NAMESPACE, "web-primary"), Ref(HTTP_ROUTE, NAMESPACE, "web"), Ref(SERVICE, NAMESPACE, "web")):
        try:
            await site.cluster.client.get(leftover)
        except NotFound:
            continue
        raise AssertionError(f"{leftover} was made by the controller, and is still there")
