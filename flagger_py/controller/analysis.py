"""The analyst: asks metric providers and judges what they say (metrics:§1, engine:ANL-01..09)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from flagger_py.api import effective
from flagger_py.api.analysis import BUILT_IN_METRICS, SUCCESS_RATE, Metric
from flagger_py.api.canary import Canary
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.controller.metric_providers import CannotCheck, MetricProviders, MetricSettings
from flagger_py.http.client import HttpClient
from flagger_py.metrics.judge import CheckKind, bounds, describe, judge
from flagger_py.metrics.observers import observer_of, provider_name
from flagger_py.metrics.template import TemplateError, TemplateValues, render
from flagger_py.objects.errors import ApiError
from flagger_py.objects.knative import KNATIVE_SERVICE, latest_created
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Ref
from flagger_py.rollout.sample import NoData, Sample, Value
from flagger_py.rollout.verdicts import CheckResult

Record: TypeAlias = Callable[[Canary, str, float], None]
"""Takes a metric's name and its value for the gauge `flagger_canary_metric_analysis` (metrics:REC-06)."""

_NOTHING_TO_ASK: Final = "no usable MetricTemplate or query"


class Source(StrEnum):
    """Where the query of a check comes from."""

    BUILT_IN = "built-in"
    INLINE = "inline"
    TEMPLATE = "template"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Check:
    """One query of an analysis and how its value is judged."""

    metric: Metric
    source: Source
    kind: CheckKind = CheckKind.CUSTOM


def checks_of(canary: Canary) -> Iterator[Check]:
    """The checks in their order: built-in and inline ones of all metrics, then those of templates (metrics:EVAL-02..04).

    One metric may have several; one without any fails the analysis.
    """
    metrics = effective.analysis_of(canary).metrics
    for metric in metrics:
        if metric.name in BUILT_IN_METRICS:
            yield Check(metric, Source.BUILT_IN, CheckKind(metric.name))
        if metric.query:
            yield Check(metric, Source.INLINE)
    for metric in metrics:
        if metric.template_ref is not None:
            yield Check(metric, Source.TEMPLATE)
        elif metric.name not in BUILT_IN_METRICS and not metric.query:
            yield Check(metric, Source.NONE)


class Analyst:
    """Answers for one Canary at a time; may be asked for many at once. Nothing but cancellation is raised."""

    def __init__(self, http: HttpClient, settings: MetricSettings, record: Record) -> None:
        self._providers = MetricProviders(http, settings)
        self._settings = settings
        self._record = record

    async def analyse(self, canary: Canary, objects: Objects) -> tuple[CheckResult, ...]:
        """The results in order, up to the first that is no pass; none for a Canary without metrics."""
        results: list[CheckResult] = []
        for check in checks_of(canary):
            results.append(await self._result(check, canary, objects))
            if not results[-1].passed:
                break
        return tuple(results)

    async def availability(self, canary: Canary, objects: Objects) -> tuple[CheckResult, ...]:
        """Whether the providers can be asked, metric by metric, up to the first that cannot (metrics:AVAIL-02).

        Of a built-in metric the template is not looked at; inline queries are not looked at at all.
        """
        results: list[CheckResult] = []
        for metric in effective.analysis_of(canary).metrics:
            try:
                await self._ping(metric, canary, objects)
            except CannotCheck as error:
                return (*results, CheckResult(metric.name, None, "", error.outcome, f"{metric.name}: {error}"))
            results.append(CheckResult(metric.name, None, "", CheckOutcome.PASS))
        return tuple(results)

    async def _ping(self, metric: Metric, canary: Canary, objects: Objects) -> None:
        if metric.name in BUILT_IN_METRICS:
            await self._providers.ping(self._providers.prometheus(canary))
        elif metric.template_ref is not None:
            template = await self._providers.template(canary, metric.template_ref, objects)
            await self._providers.ping(await self._providers.of_template(template, objects))

    async def _result(self, check: Check, canary: Canary, objects: Objects) -> CheckResult:
        halt = f"Halt {canary.metadata.name}.{canary.namespace} advancement"
        name, limits = check.metric.name, bounds(check.kind, check.metric.threshold, check.metric.threshold_range)
        bound = describe(check.kind, limits)
        try:
            provider, sample = await self._sample(check, canary, objects)
        except CannotCheck as error:
            return CheckResult(name, None, bound, error.outcome, f"{halt} metric {name} cannot be checked: {error}")
        if isinstance(sample, NoData):
            target = f"{canary.spec.target_ref.name}.{canary.namespace}"
            text = f"no values found for {provider} metric {name} probably {target} is not receiving traffic: {sample.reason}"
            return CheckResult(name, None, bound, CheckOutcome.NO_DATA, f"{halt} {text}")
        verdict = judge(check.kind, name, sample.value, limits)
        self._record(canary, name, verdict.recorded)
        if verdict.passed:
            return CheckResult(name, sample.value, bound, CheckOutcome.PASS)
        return CheckResult(name, sample.value, bound, CheckOutcome.FAIL, f"{halt} {verdict.breach}")

    async def _sample(self, check: Check, canary: Canary, objects: Objects) -> tuple[str, Sample]:
        """The name of the provider for messages, and its answer. Raises `CannotCheck`."""
        values = template_values(canary, check.metric, await _newest_revision(canary, objects))
        match check.source:
            case Source.BUILT_IN:
                name = self._provider_name(canary)
                observer = observer_of(name)
                query = observer.success_rate(values) if check.metric.name == SUCCESS_RATE else observer.request_duration(values)
                provider = self._providers.prometheus(canary)
            case Source.INLINE:
                name, query = self._provider_name(canary), _rendered("query", check.metric.query, values)
                provider = self._providers.prometheus(canary)
            case Source.TEMPLATE if check.metric.template_ref is not None:
                template = await self._providers.template(canary, check.metric.template_ref, objects)
                name = template.spec.provider.type
                query = _rendered(f"MetricTemplate {template.namespace}/{template.metadata.name}", template.spec.query, values)
                provider = await self._providers.of_template(template, objects)
            case _:
                raise CannotCheck(_NOTHING_TO_ASK)
        return name, _finite(await self._providers.query(provider, query, effective.metric_window(check.metric)))

    def _provider_name(self, canary: Canary) -> str:
        target = canary.spec.target_ref
        return provider_name(
            self._settings.mesh_provider,
            canary.spec.provider,
            core_service_target=target.is_core_service,
        )


async def _newest_revision(canary: Canary, objects: Objects) -> str:
    """The Revision under test of a Knative target; empty for any other (metrics:EVAL-06). Raises `CannotCheck`."""
    target = canary.spec.target_ref
    if not target.is_knative:
        return ""
    ref = Ref(KNATIVE_SERVICE, canary.namespace, target.name)
    try:
        service = await objects.read(ref)
    except ApiError as error:
        raise CannotCheck(f"{ref} cannot be read: {error}") from error
    if service is None:
        raise CannotCheck(f"{ref} does not exist")
    return latest_created(service)


def template_values(canary: Canary, metric: Metric, revision: str = "") -> TemplateValues:
    """What queries can insert (metrics:TPL-10); the interval's default counts for every kind of metric (EVAL-07).

    `revision` is the Revision under test of a Knative target.
    """
    spec = canary.spec
    target = spec.target_ref.name
    return TemplateValues(
        name=canary.metadata.name,
        namespace=canary.namespace,
        target=target,
        service=effective.apex_name(canary),
        ingress=spec.ingress_ref.name if spec.ingress_ref else target,
        route=revision or (spec.route_ref.name if spec.route_ref else target),
        interval=effective.metric_interval(metric),
        variables=metric.template_variables,
    )


def _rendered(source: str, query: str, values: TemplateValues) -> str:
    """Without white space around it, for every provider (metrics:TPL-15). A template that cannot be rendered is an error (EVAL-18)."""
    try:
        return render(query, values).strip()
    except TemplateError as error:
        raise CannotCheck(f"{source} cannot be rendered: {error}") from error


def _finite(sample: Sample) -> Sample:
    """A plug-in's NaN or infinity is no data (metrics:EVAL-11, EVAL-15)."""
    if isinstance(sample, Value) and not math.isfinite(sample.value):
        return NoData(f"the value is {sample.value}")
    return sample
