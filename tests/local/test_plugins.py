"""A stranger's router and metric provider, installed with pip, drive a real rollout; nothing in the controller has changed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from flagger_py.local.resources import NAMESPACE
from flagger_py.objects.resource import METRIC_TEMPLATE
from tests.local.answering import answering
from tests.local.site import PATIENT, Site, site
from tests.local.stage import on_stage

EXAMPLE = Path(__file__).parents[2] / "docs/plugins/example"


@asynccontextmanager
async def site_with_plugin(folder: Path) -> AsyncIterator[Site]:
    """A site whose controller finds the example distribution on its path."""
    plugins = folder / "plugins"
    await asyncio.to_thread(_install, plugins)
    path = os.pathsep.join(filter(None, (str(plugins), os.environ.get("PYTHONPATH", ""))))
    async with site(folder, environment={"PYTHONPATH": path}) as found:
        yield found


def _install(folder: Path) -> None:
    """As `pip install flagger-example` does, from where it lies and without a registry."""
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@on_stage(site_with_plugin)
async def test_a_plugin_drives_a_real_rollout(site: Site) -> None:
    """issue 3 §2.12: weights are measured on real answers; the plug-in's own numbers promote version 2 and roll version 3 back."""
    satisfaction, asked = [99.0], list[str]()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return web.json_response({"value": satisfaction[-1]})

    metric = {"name": "satisfaction", "templateRef": {"name": "satisfaction"}, "thresholdRange": {"min": 95}, "interval": "5s"}
    analysis = {"interval": "2s", "threshold": PATIENT, "stepWeight": 25, "maxWeight": 50, "metrics": [metric]}
    async with answering(answer) as url:
        template = {"provider": {"type": "example-json", "address": url}, "query": "/namespaces/{{ namespace }}/{{ target }}"}
        await site.cluster.apply(
            [
                (NAMESPACE, {"metadata": {"name": "plugin"}}),
                (METRIC_TEMPLATE, {"metadata": {"name": "satisfaction", "namespace": "plugin"}, "spec": template}),
            ]
        )
        spec = {"provider": "example-route", "analysis": analysis}
        async with site.app("plugin", path="/web", spec=spec, rate=40) as app:
            await app.release("2")
            await app.until_phase("Progressing")
            assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
            assert app.weights.weights == [0, 25, 50, 0]
            app.weights.assert_measured("2", app.load.tally.window(60).answers, at_least=20)
            assert "/namespaces/plugin/web?window=5" in asked
            assert await app.primary_version() == "2"

            satisfaction.append(50.0)
            await app.change_analysis(threshold=2)
            await app.release("3")
            await app.until_told("Warning", "Halt web.plugin advancement satisfaction 50.00 < 95")
            await app.until_phase("Failed")
            assert await app.primary_version() == "2"
            app.assert_only_failures_of()
            await site.assert_no_gateway_failure()


@on_stage(site_with_plugin)
async def test_routers_lists_it_with_capabilities_and_origin(site: Site) -> None:
    """The same command line, the same installation."""
    environment = {**os.environ, **site.controllers.command.environment}
    command = [sys.executable, "-m", "flagger_py.cli", "routers", "--output", "json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    printed, _ = await process.communicate()
    listed = {router["provider"]: router for router in json.loads(printed)}
    assert listed["example-route"] == {
        "provider": "example-route",
        "origin": "flagger-example 1.0.0",
        "capabilities": ["weights"],
        "problem": "",
    }
    assert not [name for name, router in listed.items() if router["problem"]]
