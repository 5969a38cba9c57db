"""The guide to Services and Knative Services says what is so: its examples run, and fail as the page tells."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.objects.knative import KNATIVE_SERVICE, PRIMARY_REVISION
from flagger_py.objects.resource import CANARY, DEPLOYMENT, METRIC_TEMPLATE, SERVICE, Manifest, Ref
from tests.memory.cluster import NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.knative import knative_cluster, release
from tests.memory.people import messages, told

GUIDE = Path(__file__).parents[3] / "docs" / "guide"
PAGE = (GUIDE / "targets.md").read_text().replace("shop", NAMESPACE)
EXAMPLES = ("service", "knative")
RESOURCES = {(one.api_version, one.kind): one for one in (DEPLOYMENT, SERVICE, METRIC_TEMPLATE, CANARY, KNATIVE_SERVICE)}
IMAGE = "stefanprodan/podinfo"


def text_of(example: str) -> str:
    return (GUIDE / "examples" / f"{example}.yaml").read_text()


async def apply_example(cluster: MemoryCluster, example: str) -> None:
    """As a reader applies it, in the namespace of the test."""
    for manifest in yaml.safe_load_all(text_of(example).replace("namespace: shop", f"namespace: {NAMESPACE}")):
        if resource := RESOURCES.get((manifest["apiVersion"], manifest["kind"])):
            await cluster.client.create(resource, manifest)
    await cluster.until_phase("Initialized")


def commands(verb: str) -> list[str]:
    """The patches that the page shows."""
    return [line.partition(" -p '")[2].rstrip("'") for line in PAGE.splitlines() if f"patch {verb} web" in line]


@pytest.mark.parametrize(("example", "count"), [("service", 2), ("knative", 1)])
def test_the_example_is_valid(example: str, count: int) -> None:
    path = str(GUIDE / "examples" / f"{example}.yaml")
    checked = CliRunner().invoke(cli.main, ["validate", "--strict", path])
    noun = "object" if count == 1 else "objects"
    assert (checked.exit_code, checked.output) == (0, f"{count} {noun} checked: no problem found\n")


@pytest.mark.parametrize(
    ("example", "expected"),
    [("service", {"Service web-primary", "Service web-canary", "HTTPRoute web"}), ("knative", {"Service web"})],
)
def test_the_example_can_be_rendered(example: str, expected: set[str]) -> None:
    rendered = CliRunner().invoke(cli.main, ["render", str(GUIDE / "examples" / f"{example}.yaml"), "--routes", "80/20"])
    assert rendered.exit_code == 0
    assert {f"{one['kind']} {one['metadata']['name']}" for one in yaml.safe_load_all(rendered.stdout)} >= expected


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_page_shows_the_canary_of_the_example(example: str) -> None:
    shown = [block.partition("```")[0] for block in (GUIDE / "targets.md").read_text().split("```yaml\n")[1:]]
    assert text_of(example).rpartition("---\n")[2] in shown


@pytest.mark.looptime
async def test_a_service_is_led_to_another_version() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await apply_example(cluster, "service")
        (patch,) = commands("service")
        await cluster.patch(SERVICE, "web", yaml.safe_load(patch))
        await cluster.until(lambda status: status.get("canaryWeight") == 50, seconds=1200)
        await cluster.until_phase("Succeeded", seconds=1200)
        assert (await cluster.get(SERVICE, "web-primary"))["spec"]["selector"]["version"] == "2"


@pytest.mark.looptime
async def test_a_service_that_fails_is_told_as_the_page_says() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await apply_example(cluster, "service")
        cluster.web.success_rate = 87.3
        await cluster.patch(SERVICE, "web", {"spec": {"selector": {"version": "2"}}})
        await cluster.until_phase("Failed", seconds=1200)
        texts = [text.partition(" ")[2] for text in await messages(cluster)]
        for expected in ("Rolling back web.test failed checks threshold reached 5", "Halt web.test advancement success-rate 87.30 < 99"):
            assert expected in texts
            assert expected in PAGE
        assert (await cluster.get(SERVICE, "web-primary"))["spec"]["selector"]["version"] == "1"


@pytest.mark.looptime
async def test_a_port_that_is_none_is_told_as_the_page_says() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        manifests = {
            one["kind"]: one for one in yaml.safe_load_all(text_of("service").replace("namespace: shop", f"namespace: {NAMESPACE}"))
        }
        canary: Manifest = manifests["Canary"]
        canary["spec"]["service"]["port"] = 8080
        await cluster.client.create(SERVICE, manifests["Service"])
        await cluster.client.create(CANARY, canary)
        assert await told(cluster, "ReferencesResolved", ["8080"]) in PAGE


@pytest.mark.looptime
async def test_a_knative_service_is_rolled_out_and_fails_as_the_page_says() -> None:
    async with knative_cluster() as cluster, running_controller(cluster):
        await apply_example(cluster, "knative")
        (patch,) = commands("ksvc")
        (operation,) = yaml.safe_load(patch)
        await release(cluster, operation["value"])
        await cluster.until_phase("Succeeded", seconds=1200)
        service = await cluster.get(KNATIVE_SERVICE, "web")
        assert service["metadata"]["annotations"][PRIMARY_REVISION] == "web-00002"
        cluster.broken_images.add(f"{IMAGE}:6.9.2")
        await release(cluster, f"{IMAGE}:6.9.2")
        await cluster.until_phase("Failed", seconds=1200)
        (rolled_back,) = [text for text in await messages(cluster) if "Rolling back" in text]
        start, end = "Rolling back web.test canary web.test not ready: Revision web-0000", " for more than 300s (progressDeadlineSeconds)"
        assert rolled_back.startswith(f"Warning {start}")
        assert rolled_back.endswith(end)
        assert start in PAGE
        assert end in PAGE


@pytest.mark.looptime
async def test_what_holds_a_knative_service_is_told_as_the_page_says() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        canary = next(one for one in yaml.safe_load_all(text_of("knative")) if one["kind"] == "Canary")
        canary["metadata"]["namespace"] = NAMESPACE
        await cluster.client.create(CANARY, canary)
        await told(cluster, "ReferencesResolved", ["services.serving.knative.dev"])
        assert "names `services.serving.knative.dev`" in PAGE
        await cluster.client.delete(Ref(CANARY, NAMESPACE, "web"))
