"""The example plug-in: installed with pip, found, and well-behaved."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger_py.api.canary import Canary
from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.metrics.base import InvalidQuery, MetricProvider, ProviderConfig, Refused, Unavailable
from flagger_py.rollout.sample import NoData, Value
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.routers.base import RouterError, RouterSettings
from flagger_py.routers.manifest import ManifestRouter
from tests.unit.routers.memory import MemoryObjects

EXAMPLE = Path(__file__).parents[3] / "docs/plugins/example"


@pytest.fixture(scope="module")
def plugin(offline: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed the example into."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder), str(EXAMPLE)], check=True, capture_output=True, env=offline, timeout=60)
    return folder


def with_plugin(environment: Mapping[str, str], plugin: Path) -> dict[str, str]:
    return {**environment, "PYTHONPATH": f"{plugin}:{environment['PYTHONPATH']}"}


def test_routers_lists_it_with_capabilities_and_origin(installed: Path, plugin: Path, offline: dict[str, str]) -> None:
    """Nothing but the installation has changed: the controller is the one from the wheel."""
    command = [str(installed / "opt/flagger-py/bin/flagger-py"), "routers", "--output", "json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=with_plugin(offline, plugin), timeout=30).stdout
    listed = {router["provider"]: router for router in json.loads(printed)}
    assert listed["example-route"] == {
        "provider": "example-route",
        "origin": "flagger-example 1.0.0",
        "capabilities": ["weights"],
        "problem": "",
    }
    assert not listed["istio"]["problem"]


def test_its_metric_provider_is_found_by_name(installed: Path, plugin: Path, offline: dict[str, str]) -> None:
    code = "from flagger_py.metrics import registry; print(registry.load('example-json').__name__, registry.origin('example-json'))"
    command = [str(installed / "opt/flagger-py/bin/python"), "-c", code]
    printed = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=installed, env=with_plugin(offline, plugin), timeout=30
    ).stdout
    assert printed == "JsonProvider flagger-example 1.0.0\n"


def test_the_roles_have_its_kinds(installed: Path, plugin: Path, offline: dict[str, str]) -> None:
    command = [str(installed / "opt/flagger-py/bin/flagger-py"), "rbac", "--part", "routers", "--provider", "example-route"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=with_plugin(offline, plugin), timeout=30).stdout
    assert "httproutes" in printed


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example importable from where it lies."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "flagger_example"]:
        del sys.modules[name]


def canary() -> Canary:
    manifest = next(yaml.safe_load_all((EXAMPLE / "canary.yaml").read_text()))
    manifest["metadata"] |= {"namespace": "shop", "uid": "6f8d0b4e-1d9c-4a53-9a86-0f6c7d1f5b11"}
    return Canary.model_validate(manifest)


def router_of(objects: MemoryObjects) -> ManifestRouter:
    router = import_module("flagger_example.router").ExampleRouter(objects, RouterSettings("example-route"))
    assert isinstance(router, ManifestRouter)
    return router


@pytest.mark.usefixtures("example")
class TestRouter:
    """The three rules of `docs/plugins.md`."""

    async def test_what_is_rendered_is_read_and_written_once(self) -> None:
        objects = MemoryObjects()
        router = router_of(objects)
        assert isinstance(await router.get_routes(canary()), Pending)
        for weight in (0, 10, 50, 100, 0):
            routes = Routes(100 - weight, weight)
            await router.set_routes(canary(), Traffic(routes))
            written = len(objects.writes)
            await router.set_routes(canary(), Traffic(routes))
            assert await router.get_routes(canary()) == routes
            assert len(objects.writes) == written

    async def test_labels_of_others_stay(self) -> None:
        objects = MemoryObjects()
        router = router_of(objects)
        await router.set_routes(canary(), Traffic(Routes(100, 0)))
        (ref,) = router.routing_objects(canary())
        objects.edit(ref, lambda route: route["metadata"].update(labels={"team": "shop"}))
        await router.set_routes(canary(), Traffic(Routes(90, 10)))
        assert objects.stored[ref]["metadata"]["labels"] == {"team": "shop"}

    async def test_a_canary_without_a_gateway_is_refused_by_field(self) -> None:
        service = canary().spec.service
        assert service
        spec = canary().spec.model_copy(update={"service": service.model_copy(update={"gateway_refs": ()})})
        with pytest.raises(RouterError, match=r"Canary shop/web: spec\.service\.gatewayRefs.*must name at least one Gateway"):
            await router_of(MemoryObjects()).set_routes(canary().with_changes(spec=spec), Traffic(Routes(100, 0)))


class Answering:
    """An HTTP client that gives one answer to everything."""

    def __init__(self, status: int, body: object) -> None:
        self.answer = HttpResponse(status, "", {"content-type": "application/json"}, json.dumps(body).encode())
        self.urls: list[str] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.urls.append(request.url)
        return self.answer


def provider_of(http: Answering) -> MetricProvider:
    provider = import_module("flagger_example.provider").JsonProvider(ProviderConfig("http://numbers/"), http)
    assert isinstance(provider, MetricProvider)
    return provider


@pytest.mark.usefixtures("example")
class TestProvider:
    """A number, no data, and the errors are different things."""

    async def test_the_query_is_a_path_and_the_answer_a_number(self) -> None:
        http = Answering(200, {"value": 99.5})
        assert await provider_of(http).query(" /shop/web ", timedelta(minutes=1)) == Value(99.5)
        assert http.urls == ["http://numbers/shop/web?window=60"]

    async def test_null_is_no_data(self) -> None:
        assert await provider_of(Answering(200, {"value": None})).query("x", timedelta()) == NoData("the value is null")

    @pytest.mark.parametrize("answer", [[], {}, {"value": "high"}, {"value": True}, "x"])
    async def test_anything_else_is_an_invalid_query(self, answer: Any) -> None:
        with pytest.raises(InvalidQuery, match="must answer with a number"):
            await provider_of(Answering(200, answer)).query("x", timedelta())

    @pytest.mark.parametrize(("status", "error"), [(403, Refused), (503, Unavailable), (404, InvalidQuery)])
    async def test_a_bad_status_says_what_to_do(self, status: int, error: type[Exception]) -> None:
        with pytest.raises(error):
            await provider_of(Answering(status, {})).ping()
