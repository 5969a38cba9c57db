"""The files of the tutorials are whole and valid, and their pages show what stands in them. The commands are run by tests/e2e."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flagger_py import cli

TUTORIALS = Path(__file__).parents[3] / "docs" / "tutorials"
PAGES = sorted(TUTORIALS.glob("*.md"))
FOLDERS = sorted(path.parent for path in TUTORIALS.rglob("kustomization.yaml") if path.parent.name != "base")
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

with_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


def build(folder: Path) -> str:
    """What `kubectl apply -k` would send."""
    return subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True, timeout=30).stdout


@with_kubectl
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_folder_builds_valid_objects_in_a_namespace_of_its_own(folder: Path, tmp_path: Path) -> None:
    built = tmp_path / "built.yaml"
    built.write_text(build(folder))
    result = CliRunner().invoke(cli.main, ["validate", "--strict", str(built)])
    assert (result.exit_code, result.output) == (0, "3 objects checked: no problem found\n")
    manifests = list(yaml.safe_load_all(built.read_text()))
    assert {manifest["metadata"].get("namespace", folder.name) for manifest in manifests} == {folder.name}
    assert CliRunner().invoke(cli.main, ["render", str(built)]).exit_code == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_stands_in_its_files(page: Path) -> None:
    files = "\n".join(path.read_text() for path in sorted(page.with_suffix("").rglob("*.yaml")))
    shown = [block for block in BLOCK.findall(page.read_text()) if not block.startswith("scrape_configs:")]
    assert shown
    for block in shown:
        assert block in files


def test_every_file_is_used() -> None:
    for page in PAGES:
        text = page.read_text()
        for folder in FOLDERS:
            assert f"kubectl apply -k docs/tutorials/{folder.relative_to(TUTORIALS)}\n" in text
