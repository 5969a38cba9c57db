"""Rules about metrics: bounds, intervals, and where the value comes from."""

from collections import Counter
from collections.abc import Iterable, Iterator

from flagger_py.api import effective
from flagger_py.api.analysis import BUILT_IN_METRICS, REQUEST_DURATION, SUCCESS_RATE, Metric
from flagger_py.api.canary import Canary
from flagger_py.api.durations import parse_duration
from flagger_py.api.problems import Problem, invalid, warning
from flagger_py.api.validation.context import Context


def check_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Everything that is wrong with interval, metrics and the Prometheus that they are read from."""
    analysis = effective.analysis_of(canary)
    yield from _interval_problems(analysis.interval, context)
    if canary.spec.metrics_server and not canary.spec.metrics_server.lower().startswith(("http://", "https://")):
        yield warning(
            "spec.metricsServer", canary.spec.metrics_server, "is no http or https URL: every check would fail", "metrics:PROM-02"
        )
    for index, metric in enumerate(analysis.metrics):
        yield from _metric_problems(metric, f"spec.analysis.metrics[{index}]")
        if metric.is_built_in and canary.spec.target_ref.is_core_service:
            pods = f"{canary.spec.target_ref.name}-…"
            message = f"counts requests to pods named {pods}, which a Service need not have: use a templateRef or a query"
            yield warning(f"spec.analysis.metrics[{index}].name", metric.name, message, "metrics:OBS-SEL-05")
    yield from duplicate_problems((metric.name for metric in analysis.metrics), "spec.analysis.metrics")


def _interval_problems(interval: str, context: Context) -> Iterator[Problem]:
    if not interval:
        return
    minimum = context.minimum_interval.total_seconds()
    try:
        if parse_duration(interval) < context.minimum_interval:
            yield warning("spec.analysis.interval", interval, f"is raised to the minimum of {minimum:g} s", "GAP-17")
    except ValueError:
        yield warning("spec.analysis.interval", interval, "is no duration such as 30s or 1m30s: 60 s are used", "GAP-15")


def _metric_problems(metric: Metric, path: str) -> Iterator[Problem]:
    yield from _source_problems(metric, path)
    yield from _bound_problems(metric, path)
    if metric.is_built_in:
        yield from _built_in_problems(metric, path)
    if metric.interval:
        try:
            parse_duration(metric.interval)
        except ValueError:
            message = "is no duration such as 30s or 1m30s; only Graphite reads others"
            yield warning(f"{path}.interval", metric.interval, message, "GAP-19")


def _source_problems(metric: Metric, path: str) -> Iterator[Problem]:
    if metric.template_ref is None and not metric.query and metric.name not in BUILT_IN_METRICS:
        message = f"needs a templateRef or a query, or one of the built-in names {', '.join(BUILT_IN_METRICS)}"
        yield invalid(f"{path}.name", metric.name, message, "GAP-24")
    if metric.query and metric.template_ref:
        yield warning(f"{path}.query", metric.query, "is asked besides the templateRef", "GAP-25")
    elif metric.name in BUILT_IN_METRICS and (metric.query or metric.template_ref):
        yield warning(f"{path}.name", metric.name, "is the name of a built-in check, which is made as well", "GAP-25")


def _bound_problems(metric: Metric, path: str) -> Iterator[Problem]:
    bounds = metric.threshold_range
    if bounds is None:
        if metric.threshold is None and not metric.is_built_in:
            yield warning(path, metric.name, "has no bound: any value above 0 fails", "GAP-22")
        return
    if metric.threshold is not None:
        yield warning(f"{path}.threshold", metric.threshold, "is ignored: thresholdRange is given", "GAP-23")
    if bounds.min is None and bounds.max is None:
        if not metric.is_built_in:
            yield warning(f"{path}.thresholdRange", None, "has neither min nor max: every value passes", "GAP-21")
    elif bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        yield invalid(f"{path}.thresholdRange.min", bounds.min, f"must not be greater than max ({bounds.max:g})", "GAP-20")


def _built_in_problems(metric: Metric, path: str) -> Iterator[Problem]:
    bounds = dict(_bounds(metric))
    if not bounds:
        yield invalid(f"{path}.thresholdRange", None, f"the built-in check {metric.name} needs min or max", "GAP-22")
    for field, bound in bounds.items():
        if metric.name == SUCCESS_RATE and not 0 <= bound <= 100:
            yield warning(f"{path}.{field}", bound, "is no percentage from 0 to 100: the check would never or always pass", "GAP-28")
        if metric.name == REQUEST_DURATION and bound != int(bound):
            yield warning(f"{path}.{field}", bound, f"is cut to whole milliseconds: {int(bound)}", "GAP-26")


def _bounds(metric: Metric) -> Iterator[tuple[str, float]]:
    if metric.threshold_range is None:
        if metric.threshold is not None:
            yield "threshold", metric.threshold
        return
    for name, bound in (("min", metric.threshold_range.min), ("max", metric.threshold_range.max)):
        if bound is not None:
            yield f"thresholdRange.{name}", bound


def duplicate_problems(names: Iterable[str], path: str) -> Iterator[Problem]:
    """Names that are given more than once (api:GAP-27)."""
    for name, count in Counter(names).items():
        if count > 1:
            yield warning(path, name, f"is the name of {count} entries: give each its own", "GAP-27")
