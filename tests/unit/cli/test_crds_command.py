"""`flagger-py crds`"""

from pathlib import Path

import yaml
from click.testing import CliRunner

from flagger_py.cli.crds import crds

NAMES = ["canaries.flagger.app", "metrictemplates.flagger.app", "alertproviders.flagger.app"]


def test_prints_three_documents() -> None:
    result = CliRunner().invoke(crds)
    assert result.exit_code == 0
    assert [document["metadata"]["name"] for document in yaml.safe_load_all(result.output)] == NAMES


def test_writes_one_file_each(tmp_path: Path) -> None:
    result = CliRunner().invoke(crds, ["--output", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(f"{name}.yaml" for name in NAMES)


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(crds, ["--output", str(tmp_path / "file" / "sub")])
    assert result.exit_code == 1
    assert str(tmp_path / "file" / "sub") in result.output
