"""The command line: `flagger-py` with its subcommands, and `flagger`, which takes the arguments of Flagger's own binary.

Each subcommand lives in the module of its name and is imported when it is run, so that `flagger-py version` loads no Kubernetes client
and `flagger-py controller` no embedded cluster.
"""

import sys
from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "canary": "Promote, abort, pause, resume, retry, skip or restart a rollout by hand.",
    "controller": "Run the controller (takes Flagger's flags).",
    "crds": "Print the CustomResourceDefinitions.",
    "demo": "Show a good and a bad rollout on the embedded cluster, with real traffic.",
    "load": "Send load to a URL (takes the options of hey).",
    "loadtester": "Run the load tester: gates and commands for webhooks (takes Flagger's flags).",
    "local": "Run the embedded cluster until stopped, and print its kubeconfig.",
    "rbac": "Print the RBAC roles for the installed routers and target kinds.",
    "render": "Print the objects that the controller would create or change, without a cluster.",
    "routers": "List the installed routers with their capabilities and origin.",
    "validate": "Check Canary, MetricTemplate and AlertProvider files, without a cluster.",
    "version": "Print the version.",
}
_EXTRAS: Final = {"demo": "local", "local": "local"}
"""The optional dependencies (`flagger-py[local]`) that a subcommand needs."""


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are asked for; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _load(cmd_name) if cmd_name in _COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(name="flagger-py", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flagger-py", prog_name="flagger-py")
def main() -> None:
    """Progressive delivery for Kubernetes: a drop-in for Flagger."""


def flagger() -> None:
    """Run the controller as Flagger's binary is run: `flagger -mesh-provider=istio …`."""
    command = _load("controller")
    command.main(args=sys.argv[1:], prog_name="flagger")


def _load(name: str) -> click.Command:
    """The command object of a subcommand's module. Raises `ClickException` where it needs something that is not installed."""
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise click.ClickException(_missing(name, error.name or "a module")) from error
    command = getattr(module, name)
    if not isinstance(command, click.Command):
        raise TypeError(f"{module.__name__}.{name} is no click command")
    return command


def _missing(command: str, module: str) -> str:
    extra = _EXTRAS.get(command)
    if extra and not module.startswith("flagger_py"):
        return f"`flagger-py {command}` needs the Python module {module}, which is not installed: pip install 'flagger-py[{extra}]'"
    return f"`flagger-py {command}` needs the Python module {module}, which this installation lacks"
