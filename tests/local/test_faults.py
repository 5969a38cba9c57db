"""Faults under real traffic: the message a person sees, no request lost to them, and the right end once the cause is gone.

What needs no sockets is in `tests/unit/controller/test_*_in_memory.py`, on virtual time.
"""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from flagger_py.local.envoy.translation import HTTP_ROUTE
from flagger_py.local.samples import APP, deployment
from flagger_py.objects.resource import CANARY, DEPLOYMENT, Ref
from tests.local.answering import Handler, answering
from tests.local.site import PATIENT, App, Site, site
from tests.local.stage import on_stage


async def html(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html><body>Sign in to continue</body></html>", content_type="text/html")


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("it waits for ever")


async def promoted(app: App, version: str) -> None:
    """The rollout of this version has ended well, and no request was lost on the way."""
    ended = await app.until_phase("Succeeded", "Failed")
    assert ended == "Succeeded", await app.messages()
    assert await app.primary_version() == version
    app.assert_only_failures_of()
    await app.site.assert_no_gateway_failure()


@on_stage(site)
async def test_a_route_edited_by_hand_is_put_back_and_told(site: Site) -> None:
    """design §4: the weight that is wanted comes back, its whole interval is waited again, and the rollout goes on."""
    clock = asyncio.get_running_loop().time
    async with site.app("edited", interval="3s") as app:
        await app.release("2")
        await app.until_weight(25)
        spec = (await app.get(HTTP_ROUTE, APP))["spec"]
        for backend, weight in zip(spec["rules"][0]["backendRefs"], (60, 40), strict=True):
            backend["weight"] = weight
        edited_at = clock()
        await app.patch(HTTP_ROUTE, APP, {"spec": spec})
        await app.until_told("Warning", "Routes of web.edited stand at 60/40 instead of 75/25, setting them again")
        await app.until_weight(25)
        await app.until_weight(50)
        assert clock() - edited_at > 3
        await promoted(app, "2")


@on_stage(site)
async def test_a_target_deleted_in_the_middle_gives_all_traffic_to_the_primary(site: Site) -> None:
    """engine:HAZ-25: within a second of the pods' end nobody is sent there any more; what is created in its place is rolled out."""
    async with site.app("deleted") as app:
        app.may_be_without_pods = True
        await app.release("2")
        await app.until_weight(25)
        await site.cluster.client.delete(Ref(DEPLOYMENT, app.sample.namespace, APP))
        await app.until_told("Warning", "deleted", "Deployment", "does not exist")
        await app.until_phase("Failed")
        await app.until_weight(0)
        app.assert_failed_for_less_than(seconds=2)
        await app.until_told("Warning", "spec.targetRef: Deployment deleted/web does not exist")
        await site.cluster.client.create(DEPLOYMENT, deployment(app.sample, "3"))
        await app.until_phase("Progressing")
        await promoted(app, "3")
        assert {condition["type"] for condition in (await app.status())["conditions"]} == {"Promoted"}


NEVER_READY = {
    "probe": ("2", {"FAULT_NOT_READY": "true"}),
    "crash": ("2", {"FAULT_CRASH_AFTER_S": "0"}),
    "image": ("missing", {}),
}


@pytest.mark.parametrize("fault", NEVER_READY)
@on_stage(site)
async def test_pods_that_are_not_ready_get_no_traffic(site: Site, fault: str) -> None:
    """workloads:RDY-04: a version that does not come up is rolled back by its deadline, and has answered nobody."""
    version, environment = NEVER_READY[fault]
    async with site.app(f"unready-{fault}") as app:
        await app.patch(CANARY, APP, {"spec": {"progressDeadlineSeconds": 4}})
        await app.release(version, **environment)
        await app.until_phase("Failed")
        await app.until_told("Warning", f"Rolling back web.unready-{fault}", "not ready", "progressDeadlineSeconds")
        assert set(app.answers()) == {"1"}
        app.assert_only_failures_of()
        await app.patch(CANARY, APP, {"spec": {"progressDeadlineSeconds": 60}})
        await app.release("3")
        await app.until_phase("Progressing")
        await promoted(app, "3")


@pytest.mark.parametrize(("fault", "said"), [("down", "no connection"), ("slow", "no answer"), ("html", "no JSON but text/html")])
@on_stage(site)
async def test_a_prometheus_that_does_not_answer_holds_the_rollout_and_rolls_it_back(site: Site, fault: str, said: str) -> None:
    """metrics:EVAL: what is wrong with it is told; back before the threshold, the same rollout is promoted, else the next one is."""
    handlers: dict[str, Handler] = {"slow": never, "html": html}
    async with site.app(f"prometheus-{fault}", "istio", threshold=2) as app, answering(handlers.get(fault, html)) as url:
        address = url if fault in handlers else "http://127.0.0.1:9"
        await app.patch(CANARY, APP, {"spec": {"metricsServer": address}})
        await app.release("2")
        told = await app.until_told("Warning", "Halt web", "request-success-rate", address.removeprefix("http://"))
        assert said in told, told
        assert await app.until_phase("Succeeded", "Failed") == "Failed"
        await app.patch(CANARY, APP, {"spec": {"metricsServer": site.cluster.prometheus_url, "analysis": {"threshold": PATIENT}}})
        await app.release("3")
        await app.until_phase("Progressing")
        await promoted(app, "3")


@on_stage(site)
async def test_a_hook_that_hangs_delays_neither_an_abort_nor_a_new_version(site: Site) -> None:
    """design §3, engine:HAZ-40: the hook may take five minutes, and both are noticed at once."""
    asked = asyncio.Event()
    refusals: list[int] = [403]

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        return await never(request)

    async def abort(_: web.Request) -> web.StreamResponse:
        return web.Response(status=refusals[-1])

    async with answering(hang) as hanging, answering(abort) as aborting:
        hooks: list[dict[str, Any]] = [
            {"name": "load-test", "type": "rollout", "url": hanging, "timeout": "5m"},
            {"name": "stop", "type": "rollback", "url": aborting},
        ]
        async with site.app("hanging", analysis={"webhooks": hooks}) as app:
            await app.release("2")
            await app.until_weight(25)
            await asked.wait()
            await app.release("3")
            await app.until_told("Normal", "New revision detected! Restarting analysis")
            asked.clear()
            await app.until_weight(25)
            await asked.wait()
            refusals.append(200)
            await app.until_told("Warning", "Rolling back web.hanging", "manual rollback")
            await app.until_phase("Failed")
            app.assert_only_failures_of()
            refusals.append(403)
            await app.change_analysis(webhooks=None)
            await app.release("4")
            await app.until_phase("Progressing")
            await promoted(app, "4")
