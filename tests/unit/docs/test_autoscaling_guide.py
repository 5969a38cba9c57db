"""What the page on autoscaling says is so: its example can be applied and does what it says, and its messages are those of the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.objects.resource import CANARY, DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, Manifest, Ref, Resource
from flagger_py.rollout.deadlines import LONGEST_RAISE
from flagger_py.rollout.scaling import HOLD
from flagger_py.workloads.autoscaling.keda import PAUSED_REPLICAS
from tests.memory.cluster import NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.people import told
from tests.memory.scaling import replicas

GUIDE = Path(__file__).parents[3] / "docs" / "guide"
PAGE, EXAMPLE = (GUIDE / "autoscaling.md").read_text(), GUIDE / "examples" / "autoscaling.yaml"
TEMPLATE = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
RESOURCES = {one.kind: one for one in (DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, TEMPLATE, CANARY)}


def documents() -> Iterator[Manifest]:
    for manifest in yaml.safe_load_all(EXAMPLE.read_text()):
        if manifest["kind"] in RESOURCES:
            manifest["metadata"]["namespace"] = NAMESPACE
            yield manifest


async def apply(cluster: MemoryCluster) -> None:
    for manifest in documents():
        await cluster.client.create(RESOURCES[manifest["kind"]], manifest)


def test_the_example_is_valid_and_shows_the_copy() -> None:
    result = CliRunner().invoke(cli.main, ["validate", "--strict", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    rendered = CliRunner().invoke(cli.main, ["render", str(EXAMPLE), "--routes", "80/20"])
    assert rendered.exit_code == 0, rendered.output
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(rendered.stdout)}
    copy = objects["HorizontalPodAutoscaler", "web-primary"]["spec"]
    assert (copy["scaleTargetRef"]["name"], copy["minReplicas"], copy["maxReplicas"]) == ("web-primary", 3, 10)


def test_the_page_shows_the_canary_of_the_example() -> None:
    shown = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown
    assert EXAMPLE.read_text().endswith(shown[1])


@pytest.mark.looptime
async def test_the_example_is_initialised_and_tells_what_the_page_promises() -> None:
    """workloads:AS-07"""
    async with memory_cluster() as cluster, running_controller(cluster):
        await apply(cluster)
        await cluster.until_phase("Initialized")
        assert (await cluster.get(HORIZONTAL_POD_AUTOSCALER, "web-primary"))["spec"]["minReplicas"] == 3
        assert await replicas(cluster, "web") == 0
        await cluster.client.delete(Ref(HORIZONTAL_POD_AUTOSCALER, NAMESPACE, "web"))
        message = await told(cluster, "ReferencesResolved", ["does not exist"])
        assert f"`{message.replace(NAMESPACE, 'shop')}`" in PAGE


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(f"For {int(HOLD.total_seconds() // 60)} minutes", id="hold"),
        pytest.param(f"{int(LONGEST_RAISE.total_seconds())} s at the most", id="longest wait of a rollback"),
        pytest.param(f'`{PAUSED_REPLICAS}: "0"`', id="annotation"),
    ],
)
def test_the_page_names_what_is_in_the_code(said: str) -> None:
    assert said in PAGE
