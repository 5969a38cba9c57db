"""The user guide says what is so: its example, its commands, its links, and the events that it promises."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.controller.flags import settings
from flagger_py.objects.resource import CANARY, DEPLOYMENT
from tests.memory.cluster import canary, deployment, memory_cluster, running_controller

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted({*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(DOCS / "guide").glob("*.md"), *(DOCS / "tutorials").glob("*.md")})
EXAMPLE = DOCS / "guide" / "examples" / "weighted.yaml"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.main, arguments)


def test_the_example_is_valid() -> None:
    result = run("validate", "--strict", str(EXAMPLE))
    assert (result.exit_code, result.output) == (0, "3 objects checked: no problem found\n")


@pytest.mark.parametrize("routes", ["100/0", "80/20"])
def test_the_example_can_be_rendered(routes: str) -> None:
    result = run("render", str(EXAMPLE), "--routes", routes)
    assert result.exit_code == 0
    kinds = [document["kind"] for document in yaml.safe_load_all(result.stdout)]
    assert {"Deployment", "Service", "HTTPRoute"} <= set(kinds)


def test_the_page_shows_the_canary_of_the_example() -> None:
    text = (DOCS / "guide" / "weighted.md").read_text()
    shown = next(body for language, body in BLOCK.findall(text) if language == "yaml" and "kind: Canary" in body)
    assert shown in EXAMPLE.read_text()


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(page.read_text()):
            if "://" not in target:
                yield page, target


@pytest.mark.parametrize(("page", "target"), list(links()), ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands() -> Iterator[tuple[str, str]]:
    """Every line of a page that is a `flagger-py` command: indented by four, or in a block without a language."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        blocks = "\n".join(body for language, body in BLOCK.findall(text) if language in ("", "sh", "console"))
        for line in re.findall(r"^\s*(flagger-py .*)$", "\n".join((*re.findall(r"^ {4}.*$", text, re.MULTILINE), blocks)), re.MULTILINE):
            yield page.name, re.split(r"[|>#&]", line)[0].strip()


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_exists_with_its_options(page: str, command: str) -> None:
    _, name, *arguments = shlex.split(command)
    group, context = cli.main, click.Context(cli.main)
    assert isinstance(group, click.Group)
    assert name in group.list_commands(context)
    options = {word.partition("=")[0] for word in arguments if word.startswith("-") and len(word) > 1}
    if name == "controller":
        known = {f"-{item.flag}" for item in settings()} | {"-help", "-provider"}
    else:
        subcommand = group.get_command(context, name)
        if isinstance(subcommand, click.Group):
            subcommand = subcommand.get_command(click.Context(subcommand), arguments[0])
        assert subcommand is not None
        known = {option for parameter in subcommand.params for option in parameter.opts + parameter.secondary_opts} | {"--help"}
    assert options <= known


@pytest.mark.looptime
async def test_a_failing_rollout_tells_what_the_page_promises() -> None:
    page = (DOCS / "guide" / "weighted.md").read_text().replace("web.shop", "web.test")
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary(threshold=5))
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            cluster.web.success_rate = 87.3
            await cluster.release("web:2")
            status = await cluster.until_phase("Failed")
        told = await cluster.events()
    assert "Rolling back web.test failed checks threshold reached 5" in page
    assert {"Rolling back web.test failed checks threshold reached 5", "Canary failed! Scaling down web.test"} <= set(told)
    assert "Halt web.test advancement success rate 87.30% < 99%" in told
    assert status["conditions"][0]["message"] == "Canary analysis failed, Deployment scaled to zero."
