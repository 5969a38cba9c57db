"""Rules about several objects together: two Canaries in each other's way, and references."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flagger_py.api import effective
from flagger_py.api.alert_provider import AlertProvider
from flagger_py.api.canary import Canary
from flagger_py.api.metric_template import MetricTemplate
from flagger_py.api.problems import Problem, ProblemSeverity, invalid, note
from flagger_py.api.references import ObjectRef

Key = tuple[str, str]
"""Namespace and name."""
Verdicts = Mapping[Key, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The objects that are looked at together, with what is wrong with those that Canaries refer to."""

    canaries: tuple[Canary, ...]
    metric_templates: Verdicts = field(default_factory=dict)
    alert_providers: Verdicts = field(default_factory=dict)


def key_of(owner: Canary | MetricTemplate | AlertProvider) -> Key:
    """Namespace and name of an object."""
    return owner.namespace, owner.name


def relation_problems(neighbours: Neighbours) -> Iterator[tuple[Canary, Problem]]:
    """Each finding with the Canary that it belongs to. A reference to an object that is not there is only noted: it may be elsewhere."""
    yield from _rival_problems(neighbours.canaries)
    for canary in neighbours.canaries:
        for path, kind, ref, verdicts in _references(canary, neighbours):
            problem = _reference_problem(path, kind, (effective.namespace_of(ref, canary), ref.name), verdicts)
            if problem:
                yield canary, problem


def rivals(canaries: Iterable[Canary]) -> dict[tuple[str, str, str], list[Canary]]:
    """Canaries by target (namespace, kind and name) where there is more than one, the one that may go on first (api:API-27).

    That is the older one; among those of the same age, or of no known age, the first by name. One Canary given twice is one.
    """
    by_target: dict[tuple[str, str, str], dict[Key, Canary]] = defaultdict(dict)
    for canary in canaries:
        target = canary.spec.target_ref
        by_target[canary.namespace, target.kind_name, target.name][key_of(canary)] = canary
    return {target: sorted(found.values(), key=_seniority) for target, found in by_target.items() if len(found) > 1}


def _seniority(canary: Canary) -> tuple[str, str]:
    created = canary.metadata.creation_timestamp
    return (created.isoformat() if created else "", canary.name)


def _rival_problems(canaries: Iterable[Canary]) -> Iterator[tuple[Canary, Problem]]:
    for (_, kind, name), (first, *others) in rivals(canaries).items():
        for canary in others:
            message = f"the {kind} is the target of {first} already: a target has one Canary"
            yield canary, invalid("spec.targetRef.name", name, message, "GAP-60")


def _references(canary: Canary, neighbours: Neighbours) -> Iterator[tuple[str, str, ObjectRef, Verdicts]]:
    analysis = effective.analysis_of(canary)
    for index, metric in enumerate(analysis.metrics):
        if metric.template_ref:
            path = f"spec.analysis.metrics[{index}].templateRef"
            yield path, "MetricTemplate", metric.template_ref, neighbours.metric_templates
    for index, alert in enumerate(analysis.alerts):
        yield f"spec.analysis.alerts[{index}].providerRef", "AlertProvider", alert.provider_ref, neighbours.alert_providers


def _reference_problem(path: str, kind: str, key: Key, verdicts: Verdicts) -> Problem | None:
    name = "/".join(part for part in key if part)
    if key not in verdicts:
        return note(path, name, f"this {kind} is not among the files", "GAP-66")
    for severity in (ProblemSeverity.INVALID, ProblemSeverity.NOT_SUPPORTED):
        for problem in verdicts[key]:
            if problem.severity == severity:
                return Problem(path, f'"{name}"', f"the {kind} cannot be used: {problem}", severity, problem.rule)
    return None
