"""Canaries whose webhooks ask the load tester: gates, tests and all the load that their checks are made of."""

from typing import Any

import pytest

from flagger_py.objects.resource import Manifest
from tests.local.site import App, Site, site
from tests.local.stage import on_stage
from tests.local.tester import Process, loadtester

pytestmark = pytest.mark.wide

RATE = 1.0
"""Of the test's own requests: far too few for a check."""


@on_stage(site)
async def test_gates_and_load_lead_a_rollout(site: Site) -> None:
    """metrics:LT-20, LT-21, LT-30, LT-41: a rollout waits at both gates, is judged by its hooks' load, and ends at the rollback gate."""
    async with loadtester() as tester, site.app("load", rate=RATE) as app:
        await app.change_analysis(webhooks=await _webhooks(app, tester))
        await app.release("2")
        await app.until_phase("Waiting")
        await _turn(app, tester, "/gate/open")
        await app.until_phase("Progressing")
        await _turn(app, tester, "/gate/close")
        await app.until_phase("WaitingPromotion")
        checks = (await app.status())["rollout"]["checks"]
        assert {(check["name"], check["result"]) for check in checks} == {("success-rate", "pass"), ("latency", "pass")}
        await _turn(app, tester, "/gate/open")
        await app.until_phase("Succeeded")
        assert "[200]" in (await tester.line("task_finished", type="cmd"))["output"]

        await app.release("3")
        await app.until_phase("Progressing")
        await _turn(app, tester, "/rollback/open")
        await app.until_phase("Failed")
        assert await app.primary_version() == "2"
        app.assert_only_failures_of()


@on_stage(site)
async def test_a_test_that_fails_stops_a_version(site: Site) -> None:
    """metrics:LT-31, LT-32, metrics:WH-05: what a blocking command has written stands in the event."""
    async with loadtester() as tester, site.app("smoke", rate=RATE) as app:
        hook = _hook(tester, "smoke test", "pre-rollout", metadata={"type": "bash", "cmd": "echo it smokes; exit 3"})
        await app.change_analysis(webhooks=[hook], threshold=1)
        await app.release("2")
        await app.until_phase("Failed")
        await app.until_told("smoke test", "it smokes", "exit status 3")
        assert app.weights.weights == [0]


async def _webhooks(app: App, tester: Process) -> list[Manifest]:
    load = f"hey -z 2s -q 25 -c 2 -host {app.sample.host} {await app.url()}"
    return [
        _hook(tester, "start", "confirm-rollout", "/gate/check"),
        _hook(tester, "smoke test", "pre-rollout", metadata={"type": "bash", "cmd": "true"}),
        _hook(tester, "load", "rollout", metadata={"cmd": load, "logCmdOutput": "true"}),
        _hook(tester, "promote", "confirm-promotion", "/gate/check"),
        _hook(tester, "stop", "rollback", "/rollback/check"),
    ]


def _hook(tester: Process, name: str, kind: str, path: str = "/", **more: Any) -> Manifest:
    return {"name": name, "type": kind, "url": f"{tester.url}{path}", "timeout": "5s", **more}


async def _turn(app: App, tester: Process, path: str) -> None:
    status, _ = await tester.post(path, {"name": "web", "namespace": app.sample.namespace})
    assert status == 202
