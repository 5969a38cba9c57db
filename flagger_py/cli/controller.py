"""`flagger-py controller`: the controller process. Its arguments are Go flags, so click hands them on unread."""

import os
from typing import Any

import click

from flagger_py.cli.version import describe
from flagger_py.controller.flags import parse


class GoFlagsCommand(click.Command):
    """A command whose arguments click does not look at, `--help` and `--` included."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["argv"] = tuple(args)
        return []


@click.command(name="controller", cls=GoFlagsCommand, add_help_option=False)
def controller(**params: Any) -> None:
    """Run the controller (takes Flagger's flags)."""
    flags = parse(params["argv"], os.environ)
    if flags.version:
        click.echo(describe())
        return
    from flagger_py.cli.process import run  # noqa: PLC0415 -- loads the Kubernetes client, which `-version` and `-help` do without

    raise SystemExit(run(flags))
