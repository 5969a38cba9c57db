"""The guide to targets says what is so: its example runs, and fails as the page tells."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.objects.resource import CANARY, CONFIG_MAP, DAEMON_SET, METRIC_TEMPLATE, Manifest
from tests.memory.cluster import NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.people import messages, told
from tests.memory.recordings import image_of

GUIDE = Path(__file__).parents[3] / "docs" / "guide"
EXAMPLE = GUIDE / "examples" / "daemonset.yaml"
PAGE = (GUIDE / "targets.md").read_text()
RESOURCES = {one.kind: one for one in (CONFIG_MAP, DAEMON_SET, METRIC_TEMPLATE, CANARY)}


def documents(text: str) -> list[Manifest]:
    return list(yaml.safe_load_all(text))


async def apply_example(cluster: MemoryCluster) -> None:
    """As a reader applies it, in the namespace of the test."""
    cluster.target = DAEMON_SET
    for manifest in documents(EXAMPLE.read_text().replace("namespace: shop", f"namespace: {NAMESPACE}")):
        if manifest["kind"] in RESOURCES:
            await cluster.client.create(RESOURCES[manifest["kind"]], manifest)


def test_the_example_is_valid_and_can_be_rendered() -> None:
    checked = CliRunner().invoke(cli.main, ["validate", "--strict", str(EXAMPLE)])
    assert (checked.exit_code, checked.output) == (0, "2 objects checked: no problem found\n")
    rendered = CliRunner().invoke(cli.main, ["render", str(EXAMPLE), "--routes", "100/0"])
    assert rendered.exit_code == 0
    objects = {(one["kind"], one["metadata"]["name"]): one for one in documents(rendered.stdout)}
    assert {("DaemonSet", "web-primary"), ("ConfigMap", "web-primary"), ("Service", "web"), ("HTTPRoute", "web")} <= objects.keys()
    assert objects["DaemonSet", "web"]["spec"]["template"]["spec"]["nodeSelector"] == {"flagger.app/scale-to-zero": "true"}


def test_the_page_shows_the_canary_of_the_example() -> None:
    shown = PAGE.partition("```yaml\n")[2].partition("```")[0]
    assert shown in EXAMPLE.read_text()


@pytest.mark.looptime
async def test_the_example_rolls_out_versions_and_settings() -> None:
    async with memory_cluster() as cluster, running_controller(cluster):
        await apply_example(cluster)
        await cluster.until_phase("Initialized")
        await _release(cluster, "6.9.1")
        await cluster.until(lambda status: status.get("canaryWeight") == 50, seconds=1200)
        await cluster.until_phase("Succeeded", seconds=1200)
        assert image_of(await cluster.get(DAEMON_SET, "web-primary")) == "stefanprodan/podinfo:6.9.1"
        await cluster.patch(CONFIG_MAP, "web", {"data": {"PODINFO_UI_COLOR": "red"}})
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Succeeded", seconds=1200)
        assert (await cluster.get(CONFIG_MAP, "web-primary"))["data"] == {"PODINFO_UI_COLOR": "red"}


@pytest.mark.looptime
async def test_what_goes_wrong_is_told_as_the_page_says() -> None:
    page = PAGE.replace("shop", "test")
    async with memory_cluster() as cluster, running_controller(cluster):
        await apply_example(cluster)
        await cluster.until_phase("Initialized")
        cluster.broken_images.add("stefanprodan/podinfo:6.9.1")
        await _release(cluster, "6.9.1")
        await cluster.until_phase("Failed", seconds=1200)
        (rolled_back,) = [text for text in await messages(cluster) if "Rolling back" in text]
        assert rolled_back.endswith(page.partition("2 of 3 pods available ")[2].partition("`")[0])
        assert rolled_back.startswith("Warning Rolling back web.test canary web.test not ready: ")
        await cluster.patch(DAEMON_SET, "web", {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
        message = await told(cluster, "ReferencesResolved", ["OnDelete"])
        assert message in page


async def _release(cluster: MemoryCluster, tag: str) -> None:
    containers: list[dict[str, Any]] = (await cluster.get(DAEMON_SET, "web"))["spec"]["template"]["spec"]["containers"]
    changed = [{**containers[0], "image": f"stefanprodan/podinfo:{tag}"}]
    await cluster.patch(DAEMON_SET, "web", {"spec": {"template": {"spec": {"containers": changed}}}})
