"""Rules about what is released, who splits its traffic, and what both refer to."""

from collections.abc import Iterator

from flagger_py.api import effective, support
from flagger_py.api.canary import Canary
from flagger_py.api.problems import Problem, invalid, not_supported, warning
from flagger_py.api.providers import KNATIVE, USE_INSTEAD, traffic_provider
from flagger_py.api.references import KNATIVE_API_VERSION, SCALED_OBJECT, TARGET_NAME_LIMIT, AutoscalerRef
from flagger_py.api.support import Area
from flagger_py.api.validation.context import Context

_USUAL_API_VERSIONS = {"Deployment": ("apps/v1",), "DaemonSet": ("apps/v1",), "Service": ("v1", KNATIVE_API_VERSION)}


def target_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Everything that is wrong with target, provider, autoscaler and the other references."""
    yield from _provider_problems(canary, context)
    yield from _target_problems(canary)
    yield from _knative_problems(canary)
    yield from _needed_field_problems(canary, context)
    yield from _autoscaler_problems(canary)
    if context.no_cross_namespace_refs:
        yield from _cross_namespace_problems(canary)


def _provider_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    provider = effective.provider(canary, context.provider)
    origin = "" if canary.spec.provider else " (from the command line)"
    if not provider or support.is_supported(Area.PROVIDER, provider) or provider in context.routers:
        return
    if instead := USE_INSTEAD.get(provider):
        yield invalid("spec.provider", provider, f"use {instead}{origin}", "routers:PRV-02")
    elif traffic_provider(provider):
        supported = support.supported(Area.PROVIDER, context.routers)
        yield not_supported("spec.provider", provider, f"is not supported by this version yet{origin}; supported are {supported}")
    else:
        known = support.known(Area.PROVIDER, context.routers)
        yield invalid("spec.provider", provider, f"is not known{origin}; known are {known}", "routers:PRV-02")


def _target_problems(canary: Canary) -> Iterator[Problem]:
    target = canary.spec.target_ref
    if not target.name and target.has("name"):
        yield invalid("spec.targetRef.name", target.name, "must not be empty", "GAP-41")
    if len(target.name) > TARGET_NAME_LIMIT and target.api_version != KNATIVE_API_VERSION:
        message = f"must have at most {TARGET_NAME_LIMIT} characters, so that -primary can be added"
        yield invalid("spec.targetRef.name", target.name, message, "GAP-41")
    if target.name.endswith("-primary"):
        yield warning("spec.targetRef.name", target.name, "looks like a primary that a Canary has made, not like its target", "GAP-42")
    usual = _USUAL_API_VERSIONS.get(target.kind, (target.api_version,))
    if target.api_version not in usual:
        yield warning("spec.targetRef.apiVersion", target.api_version, f"is {' or '.join(usual)} for a {target.kind}", "GAP-50")
    name = target.kind_name
    if support.is_known(Area.TARGET, name) and not support.is_supported(Area.TARGET, name):
        message = f"the target {name} is not supported by this version yet; supported are {support.supported(Area.TARGET)}"
        yield not_supported("spec.targetRef.kind", target.kind, message)


def _knative_problems(canary: Canary) -> Iterator[Problem]:
    is_target = canary.spec.target_ref.is_knative
    if is_target != (canary.spec.provider == KNATIVE):
        message = f"a target Service of {KNATIVE_API_VERSION} and spec.provider {KNATIVE} need each other"
        yield invalid("spec.provider", canary.spec.provider, message, "engine:VAL-21")
    if is_target and canary.spec.autoscaler_ref:
        yield invalid("spec.autoscalerRef", None, "must not be given: a Knative target scales itself", "engine:VAL-22")


def _needed_field_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """A provider without the field that it cannot do without (api:GAP-46)."""
    name = effective.provider(canary, context.provider)
    provider = traffic_provider(name)
    if provider and provider.needs and provider.needs not in _given_fields(canary):
        yield invalid(provider.needs, None, f"is required for provider {name}", "GAP-46")


def _given_fields(canary: Canary) -> set[str]:
    spec, service = canary.spec, canary.spec.service
    given = {
        "spec.ingressRef": spec.ingress_ref is not None,
        "spec.routeRef": spec.route_ref is not None,
        "spec.service.gatewayRefs": bool(service and service.gateway_refs),
        "spec.service.meshName": bool(service and service.mesh_name),
    }
    return {path for path, is_given in given.items() if is_given}


def _autoscaler_problems(canary: Canary) -> Iterator[Problem]:
    autoscaler, path = canary.spec.autoscaler_ref, "spec.autoscalerRef"
    if autoscaler is None:
        return
    if canary.spec.target_ref.kind not in {"", "Deployment"}:
        yield warning(path, None, f"is of no use for a {canary.spec.target_ref.kind}", "GAP-49")
    if autoscaler.primary_scaler_queries and autoscaler.kind != SCALED_OBJECT:
        yield warning(f"{path}.primaryScalerQueries", None, "is read for a ScaledObject only", "GAP-52")
    yield from _replica_problems(autoscaler, path)


def _replica_problems(autoscaler: AutoscalerRef, path: str) -> Iterator[Problem]:
    replicas = autoscaler.primary_scaler_replicas
    if replicas and replicas.min_replicas == 0 and autoscaler.kind != SCALED_OBJECT:
        message = f"must be at least 1: only a {SCALED_OBJECT} may have 0"
        yield invalid(f"{path}.primaryScalerReplicas.minReplicas", 0, message, "engine:VAL-04")
    if replicas is None or replicas.min_replicas is None or replicas.max_replicas is None:
        return
    if replicas.min_replicas > replicas.max_replicas:
        message = f"must not be greater than maxReplicas ({replicas.max_replicas})"
        yield invalid(f"{path}.primaryScalerReplicas.minReplicas", replicas.min_replicas, message, "GAP-51")


def _cross_namespace_problems(canary: Canary) -> Iterator[Problem]:
    """References to other namespaces, where the command line forbids them (engine:VAL-20)."""
    for path, namespace in _referred_namespaces(canary):
        if namespace and namespace != canary.namespace:
            message = f"must be the Canary's own namespace ({canary.namespace}): -no-cross-namespace-refs is set"
            yield invalid(path, namespace, message, "engine:VAL-20")


def _referred_namespaces(canary: Canary) -> Iterator[tuple[str, str]]:
    analysis = effective.analysis_of(canary)
    if canary.spec.upstream_ref:
        yield "spec.upstreamRef.namespace", canary.spec.upstream_ref.namespace
    for index, metric in enumerate(analysis.metrics):
        if metric.template_ref:
            yield f"spec.analysis.metrics[{index}].templateRef.namespace", metric.template_ref.namespace
    for index, alert in enumerate(analysis.alerts):
        yield f"spec.analysis.alerts[{index}].providerRef.namespace", alert.provider_ref.namespace
