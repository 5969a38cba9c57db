"""Validation of MetricTemplates and AlertProviders."""

from collections.abc import Iterator

from flagger_py.api import support
from flagger_py.api.alert_provider import AlertProvider
from flagger_py.api.metric_template import MetricProviderSpec, MetricTemplate
from flagger_py.api.problems import Problem, invalid, not_supported, warning
from flagger_py.api.providers import METRIC_PROVIDERS, MetricProviderType
from flagger_py.api.support import Area
from flagger_py.api.validation.context import Context
from flagger_py.api.validation.schema_rules import schema_problems

_FIELDS = {
    "address": "address",
    "secretRef": "secret_ref",
    "region": "region",
    "headers": "headers",
    "insecureSkipVerify": "insecure_skip_verify",
}


def validate_metric_template(template: MetricTemplate, context: Context) -> tuple[Problem, ...]:
    """Everything that is wrong with a MetricTemplate's spec. The query's template language is checked where it is rendered."""
    if not template.has("spec"):
        return (invalid("spec", None, "is required", "GAP-67"),)
    return (
        *schema_problems(template.spec, "spec"),
        *_type_problems("spec.provider.type", template.spec.provider.type, Area.METRIC, context.metric_providers),
        *_provider_problems(template.spec.provider),
    )


def validate_alert_provider(provider: AlertProvider, context: Context) -> tuple[Problem, ...]:
    """Everything that is wrong with an AlertProvider's spec."""
    if not provider.has("spec"):
        return (invalid("spec", None, "is required", "GAP-67"),)
    return (
        *schema_problems(provider.spec, "spec"),
        *_type_problems("spec.type", provider.spec.type, Area.ALERT, context.notifiers),
        *_address_problems(provider),
    )


def _type_problems(path: str, name: str, area: Area, plugins: frozenset[str]) -> Iterator[Problem]:
    if not name or name in plugins or support.is_supported(area, name):
        return
    if support.is_known(area, name):
        yield not_supported(path, name, f"is not supported by this version yet; supported are {support.supported(area, plugins)}")
    else:
        yield invalid(path, name, f"is not known; known are {support.known(area, plugins)}", "metrics:TPL-06")


def _provider_problems(provider: MetricProviderSpec) -> Iterator[Problem]:
    kind = next((kind for kind in METRIC_PROVIDERS if kind.type == provider.type), None)
    if kind is None:
        return
    for json_name, name in _FIELDS.items():
        yield from _field_problems(kind, json_name, is_given=bool(getattr(provider, name)))
    if provider.address and kind.type == "prometheus" and not provider.address.lower().startswith(("http://", "https://")):
        yield warning("spec.provider.address", provider.address, "is no http or https URL: every query would fail", "metrics:PROM-02")


def _field_problems(kind: MetricProviderType, field: str, *, is_given: bool) -> Iterator[Problem]:
    if field in kind.mandatory and not is_given:
        yield invalid(f"spec.provider.{field}", None, f"is required for type {kind.type}", "GAP-63")
    if is_given and field not in kind.mandatory | kind.reads:
        yield warning(f"spec.provider.{field}", None, f"has no effect with type {kind.type}", "GAP-65")


def _address_problems(provider: AlertProvider) -> Iterator[Problem]:
    if not provider.spec.has("address") and provider.spec.secret_ref is None:
        yield invalid("spec.address", None, "or secretRef is required", "GAP-61")
    if provider.spec.address and provider.spec.secret_ref:
        yield warning("spec.address", None, "is not used where the secret has a key address", "GAP-61")
    if provider.spec.proxy and not provider.spec.proxy.lower().startswith(("http://", "https://")):
        yield warning("spec.proxy", None, "must be an http or https URL: others, such as socks5, cannot be used", "metrics:ALR-08")
