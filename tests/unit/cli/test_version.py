"""`flagger-py version`."""

import pytest
from click.testing import CliRunner

from flagger_py import __version__, cli


def test_it_names_the_version_the_revision_and_the_flagger_that_it_stands_in_for() -> None:
    printed = CliRunner().invoke(cli.main, ["version"], env={"FLAGGER_PY_REVISION": "abc123"}).output
    assert printed.startswith(f"flagger-py {__version__} (revision abc123, Python 3.")
    assert "compatible with Flagger 1.44.0" in printed


@pytest.mark.parametrize("argv", [["version"], ["--version"]])
def test_both_spellings_work(argv: list[str]) -> None:
    result = CliRunner().invoke(cli.main, argv)
    assert result.exit_code == 0
    assert __version__ in result.output
