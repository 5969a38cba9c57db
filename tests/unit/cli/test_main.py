"""`flagger-py` and `flagger`: what the command line does before any subcommand works."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from flagger_py import cli


@pytest.fixture
def broken_command(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A subcommand whose import fails because the module `request.param` is missing."""

    def fail(name: str) -> object:
        raise ModuleNotFoundError(f"No module named '{request.param}'", name=request.param)

    monkeypatch.setattr(cli, "import_module", fail)
    return str(request.param)


def test_the_help_lists_every_subcommand_and_imports_none() -> None:
    code = "import sys; sys.argv = ['flagger-py', '--help']; import flagger_py.cli as c\n"
    code += "try: c.main()\nexcept SystemExit: pass\n"
    code += "print([m for m in sys.modules if m.startswith(('flagger_py.cli.', 'kubernetes_asyncio', 'pydantic'))])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(f"\n  {name} " in printed for name in ("controller", "crds", "demo", "local", "render", "routers", "validate", "version"))
    assert printed.endswith("[]\n")


@pytest.mark.parametrize("name", ["routers", "version"])
def test_a_subcommand_has_a_help_of_its_own(name: str) -> None:
    result = CliRunner().invoke(cli.main, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: flagger-py {name} [OPTIONS]" in result.output


def test_the_controllers_help_is_the_table_of_flags() -> None:
    result = CliRunner().invoke(cli.main, ["controller", "--help"])
    assert result.exit_code == 0
    assert "  -mesh-provider string\n" in result.output


def test_the_controllers_arguments_reach_it_unread() -> None:
    """operations:§1: click would split `-log-level` into short options and swallow `--`."""
    command = cli.main.get_command(click.Context(cli.main), "controller")
    assert command
    context = command.make_context("controller", ["-log-level=info", "--", "-h"])
    assert context.params["argv"] == ("-log-level=info", "--", "-h")


def test_a_bad_flag_of_the_controller_exits_2() -> None:
    assert CliRunner().invoke(cli.main, ["controller", "-nope"]).exit_code == 2


def test_an_unknown_subcommand_is_refused_by_name() -> None:
    result = CliRunner().invoke(cli.main, ["nope"])
    assert result.exit_code == 2
    assert "No such command 'nope'" in result.output


@pytest.mark.parametrize("broken_command", ["cel"], indirect=True)
def test_a_subcommand_whose_extra_is_not_installed_says_what_to_install(broken_command: str) -> None:
    result = CliRunner().invoke(cli.main, ["local"])
    assert result.exit_code == 1
    assert f"needs the Python module {broken_command}, which is not installed: pip install 'flagger-py[local]'" in result.output


@pytest.mark.parametrize("broken_command", ["flagger_py.cli.local"], indirect=True)
def test_a_module_of_ours_that_is_missing_is_not_blamed_on_an_extra(broken_command: str) -> None:
    result = CliRunner().invoke(cli.main, ["local"])
    assert result.exit_code == 1
    assert "pip install" not in result.output
    assert broken_command in result.output


def test_flagger_takes_the_arguments_of_flaggers_binary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """operations:§1: `-version` prints it and exits 0."""
    monkeypatch.setattr(sys, "argv", ["flagger", "-mesh-provider=istio", "-version"])
    with pytest.raises(SystemExit) as stop:
        cli.flagger()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("flagger-py ")
