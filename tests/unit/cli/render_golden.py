"""What `flagger-py render` prints for the files in `input`. `python -m tests.unit.cli.render_golden` writes it anew: read the diff."""

from pathlib import Path

from click.testing import CliRunner, Result

from flagger_py.cli.render import render

FOLDER = Path(__file__).parents[2] / "fixtures" / "cli" / "render"
INPUT = FOLDER / "input"
GOLDEN = {
    "gatewayapi-v1.yaml": ("--provider", "gatewayapi:v1"),
    "istio-80-20.yaml": ("--provider", "istio", "--routes", "80/20"),
    "contour-0-100.yaml": ("--provider", "contour", "--routes", "0/100"),
    "gatewayapi-v1.diff": ("--provider", "gatewayapi:v1", "--diff"),
}
"""Options by file."""


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(render, arguments, input=stdin)


def rewrite() -> None:
    for name, options in GOLDEN.items():
        (FOLDER / name).write_text(printed(*options))


def printed(*options: str) -> str:
    """Standard output, with the folder's path taken out."""
    return run(str(INPUT), *options).stdout.replace(f"{INPUT}/", "")


if __name__ == "__main__":
    rewrite()
