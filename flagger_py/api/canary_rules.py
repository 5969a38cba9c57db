"""The CEL rules of a Canary's spec that join several fields. They speak of Flagger's providers, never of plug-ins."""

from collections.abc import Callable

from flagger_py.api.capabilities import Capabilities
from flagger_py.api.providers import KNATIVE, KUBERNETES, TRAFFIC_PROVIDERS
from flagger_py.api.references import KNATIVE_API_VERSION
from flagger_py.api.schema import Rule

_HAS_MATCH = "has(self.analysis.match) && size(self.analysis.match) > 0"
_IS_GATEWAY_API = "has(self.provider) && self.provider.startsWith('gatewayapi:')"


def _providers(condition: Callable[[Capabilities], bool]) -> list[str]:
    return [provider.name for provider in TRAFFIC_PROVIDERS if provider.name != KUBERNETES and condition(provider.capabilities)]


def _is_one_of(names: list[str]) -> str:
    return f"has(self.provider) && self.provider in {names}"


def _needed_field_rules() -> list[Rule]:
    by_field: dict[str, list[str]] = {}
    for provider in TRAFFIC_PROVIDERS:
        if provider.needs:
            by_field.setdefault(provider.needs, []).append(provider.name)
    return [
        Rule(cel=f"!({_is_one_of(names)}) || {_is_given(path)}", message=f"{path} is required for {', '.join(names)}", source="GAP-46")
        for path, names in by_field.items()
    ]


def _is_given(path: str) -> str:
    """CEL for "the field, given from the root, is there and not empty"."""
    field = f"self{path.removeprefix('spec')}"
    if path.endswith("Ref"):
        return f"has({field})"
    return f"(has(self.service) && has({field}) && size({field}) > 0)"


_NO_AB = _providers(lambda can: not can.header_match)
_NO_MIRROR = _providers(lambda can: not (can.mirror_weighted or can.mirror_iterations))
_PINNING = _providers(lambda can: can.session_affinity)
_IS_KNATIVE_TARGET = f"self.targetRef.kind == 'Service' && self.targetRef.apiVersion == '{KNATIVE_API_VERSION}'"

CANARY_RULES = (
    Rule(
        cel=f"has(self.service) || ({_IS_KNATIVE_TARGET})",
        message="spec.service is required, except for a Knative target",
        source="GAP-39",
    ),
    Rule(
        cel=f"({_IS_KNATIVE_TARGET}) == (has(self.provider) && self.provider == '{KNATIVE}')",
        message=f"a Knative target and provider {KNATIVE} need each other",
        source="GAP-47",
    ),
    Rule(
        cel=f"!({_IS_KNATIVE_TARGET}) || !has(self.autoscalerRef)",
        message="a Knative target scales itself: no spec.autoscalerRef",
        source="API-24",
    ),
    *_needed_field_rules(),
    Rule(
        cel=f"!({_is_one_of(_NO_AB)}) || !has(self.analysis) || !(has(self.analysis.iterations) && {_HAS_MATCH})",
        message=f"A/B tests (match with iterations) are not possible with {', '.join(_NO_AB)}",
        source="GAP-12",
    ),
    Rule(
        cel=f"!({_IS_GATEWAY_API}) || !has(self.analysis) || !has(self.analysis.match) || self.analysis.match.all(m, "
        "(has(m.headers) || has(m.queryParams)) && "
        "(!has(m.headers) || m.headers.all(k, has(m.headers[k].exact) || has(m.headers[k].regex))) && "
        "(!has(m.queryParams) || m.queryParams.all(k, has(m.queryParams[k].exact) || has(m.queryParams[k].regex))))",
        message="with the Gateway API each analysis.match needs headers or queryParams, compared by exact or regex",
        source="GAP-11",
    ),
    Rule(
        cel=f"!({_is_one_of(_NO_MIRROR)}) || !has(self.analysis) || !has(self.analysis.mirror) || !self.analysis.mirror",
        message=f"analysis.mirror is not possible with {', '.join(_NO_MIRROR)}",
        source="GAP-13",
    ),
    Rule(
        cel=f"!({_IS_GATEWAY_API}) || !has(self.analysis) || !has(self.analysis.mirror) || !self.analysis.mirror || "
        "has(self.analysis.iterations)",
        message="with the Gateway API analysis.mirror needs iterations",
        source="GAP-13",
    ),
    Rule(
        cel=f"!({_is_one_of(_PINNING)}) || !has(self.analysis) || !has(self.analysis.sessionAffinity) || !({_HAS_MATCH})",
        message="analysis.sessionAffinity and analysis.match exclude each other",
        source="GAP-33",
    ),
)
