"""`flagger-py crds`: the CustomResourceDefinitions as YAML."""

from pathlib import Path

import click

from flagger_py.api.crds import DEFINITIONS, as_yaml


@click.command(name="crds")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write one file for each definition into this folder instead of printing them.",
)
def crds(output: Path | None) -> None:
    """Print the CustomResourceDefinitions: flagger-py crds | kubectl apply --server-side -f -"""
    if output is None:
        click.echo("---\n".join(as_yaml(definition) for definition in DEFINITIONS), nl=False)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        for definition in DEFINITIONS:
            (output / f"{definition.name}.yaml").write_text(as_yaml(definition), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write to {output}: {error.strerror}") from error
