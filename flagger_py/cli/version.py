"""`flagger-py version`: what is installed."""

import os
import platform

import click

from flagger_py import __version__

FLAGGER_VERSION = "1.44.0"
"""The version of Flagger whose API and behaviour this one takes over."""


def describe() -> str:
    """One line: version, revision (set when an image is built), Python, and the Flagger that it stands in for."""
    revision = os.environ.get("FLAGGER_PY_REVISION", "unknown")
    return f"flagger-py {__version__} (revision {revision}, Python {platform.python_version()}, compatible with Flagger {FLAGGER_VERSION})"


@click.command(name="version")
def version() -> None:
    """Print the version.

    The revision is the one that an image was built from; it is unknown in other installations.
    """
    click.echo(describe())
