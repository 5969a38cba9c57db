"""What is wrong with the objects of ours in a set of files; `validate` prints it, `render` goes on in spite of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flagger_py.api.alert_provider import AlertProvider
from flagger_py.api.base import ApiObject
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.decoding import Undecodable, decode
from flagger_py.api.effective import MINIMUM_INTERVAL
from flagger_py.api.metric_template import MetricTemplate
from flagger_py.api.problems import Problem, invalid, warning
from flagger_py.api.validation import (
    Context,
    Neighbours,
    flagger_capabilities,
    key_of,
    relation_problems,
    unknown_field_problems,
    validate_alert_provider,
    validate_metric_template,
)
from flagger_py.api.validation import validate as validate_canary
from flagger_py.cli.manifest_files import ReadManifest, Unreadable
from flagger_py.metrics import registry as metric_providers
from flagger_py.metrics import template
from flagger_py.notify import registry as notifiers
from flagger_py.objects.plugins import PluginError
from flagger_py.routers import registry as routers

GROUP = "flagger.app/"
API_VERSION = "flagger.app/v1beta1"
_MODELS: dict[str, type[ApiObject]] = {"Canary": Canary, "MetricTemplate": MetricTemplate, "AlertProvider": AlertProvider}


@dataclass(frozen=True, slots=True)
class Checked:
    """One object of ours, decoded where it could be, and what is wrong with it."""

    read: ReadManifest
    decoded: ApiObject | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the output."""

    source: str
    line: int
    name: str
    problem: Problem

    def as_text(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        name = f"{self.name}: " if self.name else ""
        rule = f", {self.problem.rule}" if self.problem.rule else ""
        return f"{where}: {name}{self.problem} [{self.problem.severity}{rule}]"

    def as_json(self) -> dict[str, object]:
        return {
            "file": self.source,
            "line": self.line,
            "object": self.name,
            "path": self.problem.path,
            "value": self.problem.value,
            "message": self.problem.message,
            "severity": self.problem.severity.value,
            "rule": self.problem.rule,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The objects of ours that could be read, and all findings: those that could not be read first."""

    checked: tuple[Checked, ...]
    findings: tuple[Finding, ...]


def check_context(provider: str, *, minimum_interval: timedelta = MINIMUM_INTERVAL, no_cross_namespace_refs: bool = False) -> Context:
    """What is installed here, with the controller's flags of these names."""
    return Context(
        provider=provider,
        capabilities=_capabilities,
        routers=frozenset(routers.names()),
        metric_providers=frozenset(metric_providers.names()),
        notifiers=frozenset(notifiers.names()),
        minimum_interval=minimum_interval,
        no_cross_namespace_refs=no_cross_namespace_refs,
    )


def check(reads: Iterable[ReadManifest | Unreadable], context: Context) -> Report:
    """Check each object of ours by itself, then all of them together. Other kinds of objects are passed over."""
    checked: list[Checked] = []
    unreadable: list[Unreadable] = []
    for item in reads:
        if isinstance(item, Unreadable):
            unreadable.append(item)
        elif str(item.manifest.get("apiVersion", "")).startswith(GROUP):
            checked.append(_check(item, context))
    return Report(tuple(checked), (*(_unreadable_finding(item) for item in unreadable), *_findings(checked)))


def _check(read: ReadManifest, context: Context) -> Checked:
    kind, api_version = read.manifest.get("kind"), read.manifest["apiVersion"]
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return Checked(read, None, (invalid("kind", kind, f"must be one of {', '.join(_MODELS)}", "schema"),))
    if api_version != API_VERSION:
        return Checked(read, None, (invalid("apiVersion", api_version, f"must be {API_VERSION}", "API-04"),))
    decoded = decode(model, read.manifest)
    if isinstance(decoded, Undecodable):
        return Checked(read, None, decoded.problems)
    return Checked(read, decoded, (*_problems(decoded, context), *_unknown_fields(decoded)))


def _problems(decoded: ApiObject, context: Context) -> Iterator[Problem]:
    if not decoded.name:
        yield invalid("metadata.name", None, "is required", "schema")
    match decoded:
        case Canary():
            yield from validate_canary(decoded, context)
            for index, metric in enumerate(decoded.spec.analysis.metrics if decoded.spec.analysis else ()):
                yield from _query_problems(metric.query, f"spec.analysis.metrics[{index}].query")
        case MetricTemplate():
            yield from validate_metric_template(decoded, context)
            yield from _query_problems(decoded.spec.query, "spec.query")
        case AlertProvider():
            yield from validate_alert_provider(decoded, context)


def _query_problems(query: str, path: str) -> Iterator[Problem]:
    try:
        template.check(query)
    except template.TemplateError as error:
        yield warning(path, query, f"is no query template: {error}; every check would fail", "GAP-64")


def _unknown_fields(decoded: ApiObject) -> Iterator[Problem]:
    spec = getattr(decoded, "spec", None)
    return unknown_field_problems(spec, ("spec",))


def _findings(checked: Sequence[Checked]) -> Iterator[Finding]:
    related: dict[int, list[Problem]] = {}
    for canary, problem in relation_problems(_neighbours(checked)):
        related.setdefault(id(canary), []).append(problem)
    for item in checked:
        for problem in (*item.problems, *related.get(id(item.decoded), ())):
            yield Finding(item.read.source, item.read.line_of(problem.path), object_name(item.read), problem)


def _neighbours(checked: Iterable[Checked]) -> Neighbours:
    by_object = [(item.decoded, item.problems) for item in checked if item.decoded is not None]
    return Neighbours(
        canaries=tuple(decoded for decoded, _ in by_object if isinstance(decoded, Canary)),
        metric_templates={key_of(decoded): problems for decoded, problems in by_object if isinstance(decoded, MetricTemplate)},
        alert_providers={key_of(decoded): problems for decoded, problems in by_object if isinstance(decoded, AlertProvider)},
    )


def object_name(read: ReadManifest) -> str:
    """Kind, namespace and name as far as they are given."""
    metadata = read.manifest.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    name = "/".join(str(named[key]) for key in ("namespace", "name") if named.get(key))
    return f"{read.manifest.get('kind')} {name or '(no name)'}"


def _unreadable_finding(item: Unreadable) -> Finding:
    return Finding(item.source, item.line, "", Problem("cannot be read", "", item.reason, rule=""))


def _capabilities(provider: str) -> Capabilities | None:
    """What the installed router says of itself; Flagger's own abilities where it is not installed or broken."""
    if provider not in routers.names():
        return flagger_capabilities(provider)
    try:
        return routers.load(provider).capabilities(provider)
    except PluginError:
        return flagger_capabilities(provider)
