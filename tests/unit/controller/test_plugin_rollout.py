"""Whole rollouts through the plug-in of `docs/plugins`, routed and judged by it, without a change of ours (see also tests/unit/deploy)."""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml

from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.metrics import registry as metric_providers
from flagger_py.metrics.base import MetricProvider
from flagger_py.objects.plugins import Plugins
from flagger_py.objects.resource import CANARY, DEPLOYMENT, METRIC_TEMPLATE
from flagger_py.routers import registry as routers
from flagger_py.routers.base import Router
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster, deployment, memory_cluster, running_controller
from tests.memory.recordings import image_of, weights_seen

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("plugin")]

EXAMPLE = Path(__file__).parents[3] / "docs/plugins/example"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example as pip leaves it: importable, with its entry points beside it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    installed = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    text = "".join(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items()) for group, found in groups)
    (installed / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    found_routers: Plugins[Router] = Plugins(routers.GROUP, Router, "provider")  # type: ignore[type-abstract]
    found_metrics: Plugins[MetricProvider] = Plugins(metric_providers.GROUP, MetricProvider, "type")  # type: ignore[type-abstract]
    monkeypatch.setattr(routers, "_ROUTERS", found_routers)
    monkeypatch.setattr(metric_providers, "_PROVIDERS", found_metrics)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "flagger_example"]:
        del sys.modules[name]


class Satisfaction:
    """What the example's metric provider asks."""

    def __init__(self, value: float | None) -> None:
        self.value = value
        self.urls: list[str] = []

    def answer(self, request: HttpRequest) -> HttpResponse:
        self.urls.append(request.url)
        return HttpResponse(200, "OK", {}, orjson.dumps({"value": self.value}))


async def _initialised(cluster: MemoryCluster) -> None:
    """The example's Canary and MetricTemplate as they are printed, with an app."""
    await cluster.client.create(DEPLOYMENT, deployment())
    for manifest in yaml.safe_load_all((EXAMPLE / "canary.yaml").read_text()):
        resource = CANARY if manifest["kind"] == "Canary" else METRIC_TEMPLATE
        await cluster.client.create(resource, manifest | {"metadata": {**manifest["metadata"], "namespace": NAMESPACE}})
    await cluster.until_phase("Initialized")


async def test_a_good_version_is_promoted() -> None:
    """Its route takes every step, its provider is asked at every step, and the primary has the version in the end."""
    async with memory_cluster() as cluster:
        satisfaction = Satisfaction(99.5)
        cluster.web.answer = satisfaction.answer
        async with running_controller(cluster), weights_seen(cluster, "gatewayapi") as seen:
            await _initialised(cluster)
            await cluster.release("web:2")
            await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (90, 10), (80, 20), (70, 30), (60, 40), (50, 50), (100, 0)]
        assert set(satisfaction.urls) >= {"http://satisfaction.example/namespaces/test/web?window=60"}
        assert image_of(await cluster.get(DEPLOYMENT, "web-primary")) == "web:2"
        route = await cluster.get(HTTP_ROUTE, "web")
        assert route["spec"]["rules"][0]["matches"] == [{"path": {"type": "PathPrefix", "value": "/web"}}]


async def test_a_bad_version_is_rolled_back() -> None:
    """The number of the example's provider is judged by the Canary's range."""
    async with memory_cluster() as cluster:
        satisfaction = Satisfaction(99.5)
        cluster.web.answer = satisfaction.answer
        async with running_controller(cluster), weights_seen(cluster, "gatewayapi") as seen:
            await _initialised(cluster)
            satisfaction.value = 80
            await cluster.release("web:2")
            await cluster.until_phase("Failed")
            assert any("satisfaction" in message and "80" in message for message in await cluster.events())
        assert seen == [(100, 0), (90, 10), (100, 0)]
        assert image_of(await cluster.get(DEPLOYMENT, "web-primary")) == "web:1"
