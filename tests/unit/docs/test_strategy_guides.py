"""The guide to each strategy says what is so: its example is valid, is shown, and is promoted and rolled back when it is applied."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.api import support
from flagger_py.api.problems import ProblemSeverity
from flagger_py.objects.resource import CANARY, DEPLOYMENT, METRIC_TEMPLATE
from tests.matrix import STRATEGIES, Cell
from tests.memory.cluster import NAMESPACE, MemoryCluster, memory_cluster, running_controller
from tests.memory.people import messages
from tests.memory.recordings import image_of
from tests.unit.api.test_matrix import said

GUIDE = Path(__file__).parents[3] / "docs" / "guide"
NAMES = ["ab-testing", "blue-green", "mirroring", "session-affinity"]
RESOURCES = {one.kind: one for one in (DEPLOYMENT, METRIC_TEMPLATE, CANARY)}


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_valid_and_shown(name: str) -> None:
    example = GUIDE / "examples" / f"{name}.yaml"
    checked = CliRunner().invoke(cli.main, ["validate", "--strict", str(example)])
    assert checked.exit_code == 0, checked.output
    assert checked.output.endswith("no problem found\n")
    shown = (GUIDE / f"{name}.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    assert shown in example.read_text()


async def apply_example(cluster: MemoryCluster, name: str) -> None:
    """As a reader applies it, in the namespace of the test."""
    text = (GUIDE / "examples" / f"{name}.yaml").read_text().replace("namespace: shop", f"namespace: {NAMESPACE}")
    for manifest in yaml.safe_load_all(text):
        if manifest["kind"] in RESOURCES:
            await cluster.client.create(RESOURCES[manifest["kind"]], manifest)


async def release(cluster: MemoryCluster, tag: str) -> None:
    containers = (await cluster.get(DEPLOYMENT, "web"))["spec"]["template"]["spec"]["containers"]
    changed = [{**containers[0], "image": f"stefanprodan/podinfo:{tag}"}]
    await cluster.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": changed}}}})


@pytest.mark.looptime
@pytest.mark.parametrize("name", NAMES)
async def test_the_example_is_promoted_and_rolled_back_as_the_page_says(name: str) -> None:
    page = (GUIDE / f"{name}.md").read_text().replace("web.shop", "web.test")
    async with memory_cluster() as cluster, running_controller(cluster):
        cluster.web.success_rate = 99.9
        await apply_example(cluster, name)
        manifest = await cluster.get(CANARY, "web")
        for metric in manifest["spec"]["analysis"]["metrics"]:
            if "max" in metric["thresholdRange"]:  # the server in memory answers one number to all queries
                metric["thresholdRange"] = {"min": 0}
        await cluster.patch(CANARY, "web", {"spec": {"analysis": {"metrics": manifest["spec"]["analysis"]["metrics"]}}})
        await cluster.until_phase("Initialized")
        await release(cluster, "6.9.1")
        await cluster.until_phase("Succeeded", seconds=2000)
        assert image_of(await cluster.get(DEPLOYMENT, "web-primary")) == "stefanprodan/podinfo:6.9.1"
        cluster.web.success_rate = 50
        await release(cluster, "6.9.2")
        await cluster.until_phase("Failed", seconds=2000)
        assert image_of(await cluster.get(DEPLOYMENT, "web-primary")) == "stefanprodan/podinfo:6.9.1"
        (rolled_back,) = [text for text in await messages(cluster) if "Rolling back" in text]
        assert rolled_back.removeprefix("Warning ") in page


@pytest.mark.parametrize(
    ("name", "strategy", "provider"),
    [
        ("ab-testing", "A/B test by header or cookie, regex", "contour"),
        ("mirroring", "weighted with mirroring", "gatewayapi:v1"),
        ("session-affinity", "weighted with session affinity", "contour"),
    ],
)
def test_a_refusal_reads_as_the_page_says(name: str, strategy: str, provider: str) -> None:
    row = next(row for row in STRATEGIES if row.name == strategy)
    problems = [problem.message for problem in said(Cell(row, provider, support.DEPLOYMENT), ProblemSeverity.INVALID)]
    assert any(message in (GUIDE / f"{name}.md").read_text() for message in problems), problems
