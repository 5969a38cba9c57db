"""`flagger-py validate`: what is wrong with Canary, MetricTemplate and AlertProvider files, without a cluster."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

import click

from flagger_py.api.durations import parse_duration
from flagger_py.api.problems import ProblemSeverity
from flagger_py.cli.checks import Finding, check, check_context
from flagger_py.cli.manifest_files import read_manifests

_WORDS = {
    ProblemSeverity.INVALID: "invalid",
    ProblemSeverity.NOT_SUPPORTED: "not supported by this version yet",
    ProblemSeverity.WARNING: "warnings",
    ProblemSeverity.NOTE: "notes",
}


def _duration(_: click.Context, __: click.Parameter, value: str) -> timedelta:
    """A Go duration as an option's value."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(name="validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="FILE...")
@click.option("--strict", is_flag=True, help="Exit 1 for what is not supported yet and for warnings, too.")
@click.option("--provider", default="", help="The controller's -mesh-provider, for Canaries that name no provider.")
@click.option("--minimum-interval", default="10s", callback=_duration, show_default=True, help="The controller's -minimum-interval.")
@click.option("--no-cross-namespace-refs", is_flag=True, help="The controller's -no-cross-namespace-refs.")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print the findings.")
@click.pass_context
def validate(
    ctx: click.Context,
    files: Sequence[str],
    strict: bool,
    provider: str,
    minimum_interval: timedelta,
    no_cross_namespace_refs: bool,
    output: str,
) -> None:
    """Check Canary, MetricTemplate and AlertProvider files, without a cluster.

    FILE is a YAML or JSON file, a folder, or - for standard input. Other kinds of objects are passed over. Each finding names file and
    line, object, field, value, and what is allowed.

    Exit code 1 if something is invalid or cannot be read. What is valid but not supported by this version yet, and warnings, are printed
    and exit 0, with --strict 1.
    """
    context = check_context(provider, minimum_interval=minimum_interval, no_cross_namespace_refs=no_cross_namespace_refs)
    report = check(read_manifests(files), context)
    click.echo(_as_json(report.findings) if output == "json" else _as_text(report.findings, len(report.checked)))
    ctx.exit(_exit_code(report.findings, strict=strict))


def _as_text(findings: Sequence[Finding], objects: int) -> str:
    counts = Counter(finding.problem.severity for finding in findings)
    summary = ", ".join(f"{counts[severity]} {words}" for severity, words in _WORDS.items() if counts[severity])
    lines = [finding.as_text() for finding in findings]
    return "\n".join([*lines, f"{objects} object{'' if objects == 1 else 's'} checked: {summary or 'no problem found'}"])


def _as_json(findings: Sequence[Finding]) -> str:
    return json.dumps([finding.as_json() for finding in findings], indent=2)


def _exit_code(findings: Iterable[Finding], *, strict: bool) -> int:
    severities = {finding.problem.severity for finding in findings}
    fatal = {ProblemSeverity.INVALID} | ({ProblemSeverity.NOT_SUPPORTED, ProblemSeverity.WARNING} if strict else set())
    return 1 if severities & fatal else 0
