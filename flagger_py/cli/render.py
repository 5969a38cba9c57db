"""`flagger-py render`: the objects that the controller would create or change, without a cluster."""

import asyncio
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import click
import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.decoding import Undecodable, parse_canary
from flagger_py.api.problems import ProblemSeverity
from flagger_py.cli.checks import Finding, check, check_context, object_name
from flagger_py.cli.file_objects import UNKNOWN_UID, FileObjects
from flagger_py.cli.manifest_files import ReadManifest, Unreadable, read_manifests
from flagger_py.cli.manifest_shapes import shape_problems
from flagger_py.cli.printing import as_diff, as_yaml
from flagger_py.cli.rendering import Outcome, Wanted, render_canary
from flagger_py.rollout.traffic import Routes
from flagger_py.routers.base import RouterSettings
from flagger_py.workloads.settings import WorkloadSettings

_SHOWN = {ProblemSeverity.INVALID, ProblemSeverity.NOT_SUPPORTED, ProblemSeverity.WARNING}
_ROUTES = re.compile(r"(?P<primary>[0-9]+)/(?P<canary>[0-9]+)(?P<mirror>/mirror)?")
_DEFAULT_LABELS = ",".join(WorkloadSettings().selector_labels)


def _routes(_: click.Context, __: click.Parameter, value: str) -> Routes:
    """`80/20` or `100/0/mirror`."""
    found = _ROUTES.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r}: must be PRIMARY/CANARY, such as 80/20, or 100/0/mirror")
    try:
        return Routes(int(found["primary"]), int(found["canary"]), mirrored=bool(found["mirror"]))
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from error


def _words(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """A comma-separated list, as the controller's flags take it."""
    return tuple(word for word in value.split(",") if word)


@click.command(name="render")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="FILE...")
@click.option("--routes", default="100/0", callback=_routes, show_default=True, help="Weights PRIMARY/CANARY, or 100/0/mirror.")
@click.option("--diff", is_flag=True, help="Print a unified diff against the objects in the files.")
@click.option("--provider", default="", help="The controller's -mesh-provider, for Canaries that name no provider.")
@click.option("--namespace", "-n", default="default", show_default=True, help="Namespace of the objects that name none.")
@click.option("--show-secrets", is_flag=True, help="Print the values of Secrets.")
@click.option("--ingress-class", default="", help="The controller's -ingress-class.")
@click.option("--selector-labels", default=_DEFAULT_LABELS, callback=_words, show_default=True, help="The controller's -selector-labels.")
@click.option("--include-label-prefix", default="", callback=_words, help="The controller's -include-label-prefix.")
@click.option("--enable-config-tracking", type=bool, default=True, show_default=True, help="The controller's -enable-config-tracking.")
@click.pass_context
def render(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    files: Sequence[str],
    *,
    routes: Routes,
    diff: bool,
    provider: str,
    namespace: str,
    show_secrets: bool,
    ingress_class: str,
    selector_labels: tuple[str, ...],
    include_label_prefix: tuple[str, ...],
    enable_config_tracking: bool,
) -> None:
    """Print the objects that the controller would create or change, without a cluster.

    FILE is a YAML or JSON file, a folder, or - for standard input. Put the Canary, its target, the ConfigMaps and Secrets that the pods
    use, and whatever Services and routes exist already into them. What would be created or changed is printed as YAML, as it looks when
    traffic is split as --routes says: the primary, the copies of configs, the Services, the routes, and the target, which runs while it
    gets requests and is at zero otherwise. Nothing is written to a file or a cluster.

    An invalid Canary is rendered as far as it can be. Problems are printed on stderr.

    Exit code 1 if a file cannot be read, something is invalid or something could not be rendered.
    """
    wanted = Wanted(
        routes,
        WorkloadSettings(selector_labels, include_label_prefix, enable_config_tracking),
        RouterSettings(provider, ingress_class=ingress_class, selector_labels=selector_labels),
    )
    reads = list(read_manifests(files))
    findings = [finding for finding in check(reads, check_context(provider)).findings if finding.problem.severity in _SHOWN]
    usable, misshapen = _usable(reads)
    objects = FileObjects(usable, namespace)
    outcome = _render_all(objects, wanted)
    _tell([*(finding.as_text() for finding in (*findings, *misshapen)), *outcome.failures, *(f"note: {note}" for note in outcome.notes)])
    click.echo((as_diff if diff else as_yaml)(objects.changes(), show_secrets=show_secrets), nl=False)
    is_invalid = any(finding.problem.severity is ProblemSeverity.INVALID for finding in findings)
    ctx.exit(1 if is_invalid or misshapen or outcome.failures else 0)


def _usable(reads: Iterable[ReadManifest | Unreadable]) -> tuple[list[ReadManifest], list[Finding]]:
    """The objects that an API server would take, as far as that matters here, and what is wrong with the others."""
    usable: list[ReadManifest] = []
    misshapen: list[Finding] = []
    for read in reads:
        if isinstance(read, Unreadable):
            continue
        problems = list(shape_problems(read.manifest))
        misshapen += [Finding(read.source, read.line_of(problem.path), object_name(read), problem) for problem in problems]
        if not problems:
            usable.append(read)
    return usable, misshapen


def _render_all(objects: FileObjects, wanted: Wanted) -> Outcome:
    outcome = Outcome()
    for name in objects.given_twice:
        outcome.failures[f"{name}: the object is given twice; the last one counts"] = None
    manifests = list(objects.canaries())
    if not manifests:
        outcome.failures["there is no Canary in the files that can be rendered"] = None
    with _logs_on_stderr():
        for canary in _decoded(manifests):
            if canary.metadata.uid == UNKNOWN_UID:
                outcome.notes[f"{canary}: has no uid in the files; {UNKNOWN_UID} stands for it, and flagger-id follows from it"] = None
            result = asyncio.run(render_canary(canary, objects, wanted))
            outcome.failures |= result.failures
            outcome.notes |= result.notes
    return outcome


def _decoded(manifests: Iterable[dict[str, object]]) -> Iterator[Canary]:
    """The Canaries; what is wrong with one that cannot be decoded is among the findings."""
    for manifest in manifests:
        canary = parse_canary(manifest)
        if not isinstance(canary, Undecodable):
            yield canary


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, err=True)


@contextmanager
def _logs_on_stderr() -> Iterator[None]:
    """Workloads and routers log what they write; here that is what is printed, so only warnings are left, and stdout is kept clean."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)
