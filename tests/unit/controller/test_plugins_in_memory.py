"""A plug-in that cannot be loaded, or raises: it is reported on the Canaries that use it, and hurts no others."""

import importlib
from pathlib import Path

import pytest

from flagger_py.metrics import registry as metric_providers
from flagger_py.metrics.base import MetricProvider
from flagger_py.objects.plugins import Plugins
from flagger_py.objects.resource import CANARY, DEPLOYMENT, METRIC_TEMPLATE
from flagger_py.routers import registry as routers
from flagger_py.routers.base import Router
from tests.memory.cluster import NAMESPACE, canary, deployment, memory_cluster, running_controller
from tests.memory.people import NEIGHBOUR, messages, neighbour_releases, settle, told

pytestmark = pytest.mark.looptime

RAISING = """
from flagger_py.api.capabilities import Capabilities
from flagger_py.metrics.base import MetricProvider
from flagger_py.routers.base import Router


class RaisingRouter(Router):
    @classmethod
    def resources(cls, provider):
        return ()

    @classmethod
    def capabilities(cls, provider):
        return Capabilities(weights=True)

    async def get_routes(self, canary):
        return {}["no-such-key"]

    async def set_routes(self, canary, traffic):
        raise ZeroDivisionError("by zero")

    async def finalize(self, canary):
        raise ZeroDivisionError("by zero")


class RaisingProvider(MetricProvider):
    async def query(self, query, window):
        raise ZeroDivisionError("by zero")

    async def ping(self):
        raise ZeroDivisionError("by zero")
"""


@pytest.fixture(autouse=True)
def _plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution as pip leaves it, whose module for one router does not even import."""
    (tmp_path / "stranger_raising.py").write_text(RAISING)
    (tmp_path / "stranger_broken.py").write_text("import no_such_module\n")
    folder = tmp_path / "stranger-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 0.1\n")
    (folder / "entry_points.txt").write_text(
        "[flagger_py.routers]\nraising = stranger_raising:RaisingRouter\nbroken = stranger_broken:Router\n"
        "[flagger_py.metrics]\nraising = stranger_raising:RaisingProvider\nbroken = stranger_broken:Provider\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    fresh_routers: Plugins[Router] = Plugins(
        routers.GROUP,
        Router,  # type: ignore[type-abstract]  # as in the registry
        "provider",
        unknown=routers.UnknownRouter,
        broken=routers.BrokenRouter,
    )
    fresh_providers: Plugins[MetricProvider] = Plugins(
        metric_providers.GROUP,
        MetricProvider,  # type: ignore[type-abstract]  # as in the registry
        "metric provider",
        unknown=metric_providers.UnknownProvider,
        broken=metric_providers.BrokenProvider,
    )
    monkeypatch.setattr(routers, "_ROUTERS", fresh_routers)
    monkeypatch.setattr(metric_providers, "_PROVIDERS", fresh_providers)


@pytest.mark.parametrize(
    ("provider", "condition", "says"),
    [
        pytest.param("broken", "Valid", ("'broken'", "stranger 0.1", "no_such_module", "these work:", "istio"), id="cannot-be-loaded"),
        pytest.param("raising", "RoutingReady", ("'raising'", "KeyError", "no-such-key"), id="raises"),
    ],
)
async def test_a_router_that_fails_is_reported_where_it_is_used(provider: str, condition: str, says: tuple[str, ...]) -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster, NEIGHBOUR)
        using = canary()
        using["spec"]["provider"] = provider
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, using)
        await told(cluster, condition, says)
        await neighbour_releases(cluster)
        assert (await cluster.get(DEPLOYMENT, "web"))["spec"]["replicas"] == 2
        await cluster.patch(CANARY, "web", {"spec": {"provider": "gatewayapi:v1"}})
        await cluster.until_phase("Initialized", seconds=60)


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        pytest.param("broken", ("MetricTemplate test/own", "'broken'", "stranger 0.1", "no_such_module"), id="cannot-be-loaded"),
        pytest.param("raising", ("RaisingProvider", "ZeroDivisionError"), id="raises"),
    ],
)
async def test_a_metric_provider_that_fails_is_a_failed_check_where_it_is_used(provider: str, says: tuple[str, ...]) -> None:
    """metrics:EVAL-18: told by name, counted, and rolled back at the threshold."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await settle(cluster, NEIGHBOUR)
        template = {"provider": {"type": provider, "address": "http://numbers"}, "query": "x"}
        await cluster.client.create(METRIC_TEMPLATE, {"metadata": {"name": "own", "namespace": NAMESPACE}, "spec": template})
        metric = {"name": "own", "templateRef": {"name": "own"}, "thresholdRange": {"min": 1}, "interval": "1m"}
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary(metrics=[metric]))
        await cluster.until_phase("Initialized")
        await cluster.release("web:2")
        await cluster.until_phase("Failed", seconds=120)
        halted = next(text for text in await messages(cluster) if "Halt" in text)
        assert not [part for part in says if part not in halted], halted
        await neighbour_releases(cluster)
