"""The MetricTemplate: a query that Canaries share, and the provider that answers it."""

from typing import Annotated, ClassVar

from pydantic import Field

from flagger_py.api.base import ApiModel, ApiObject, Bool
from flagger_py.api.providers import METRIC_PROVIDERS
from flagger_py.api.references import RequiredName
from flagger_py.api.schema import SPEC_RULE, Rule, Schema

PLUGIN_NAME = r"^[a-zA-Z0-9]([-a-zA-Z0-9._:]*[a-zA-Z0-9])?$"
PLUGIN_NAME_IN_WORDS = "letters, digits and -._:, beginning and ending with a letter or digit"


class SecretRef(ApiModel):
    """A Secret in the namespace of the object that names it."""

    name: RequiredName = ""


_WITHOUT_ADDRESS_IN_FLAGGERS_DOCS = "influxdb"
"""An example there lacks the address, so the CRD has to take it (api:API-35); the controller and `validate` refuse it."""


def _needs(field: str) -> Rule:
    types = sorted(provider.type for provider in METRIC_PROVIDERS if field in provider.mandatory)
    types = [name for name in types if name != _WITHOUT_ADDRESS_IN_FLAGGERS_DOCS]
    given = "has(self.secretRef)" if field == "secretRef" else f"(has(self.{field}) && self.{field} != '')"
    return Rule(cel=f"!(self.type in {types}) || {given}", message=f"{field} is required for the types {', '.join(types)}", source="GAP-63")


class MetricProviderSpec(ApiModel):
    """Where a query is sent, and with which credentials."""

    rules: ClassVar[tuple[Rule, ...]] = tuple(_needs(field) for field in ("address", "region", "secretRef"))

    type: Annotated[str, Schema(required=True, min_length=1, max_length=253, pattern=PLUGIN_NAME, allowed=PLUGIN_NAME_IN_WORDS)] = ""
    address: Annotated[str, Schema(max_length=2048)] = ""
    headers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    secret_ref: SecretRef | None = None
    region: Annotated[str, Schema(max_length=253)] = ""
    insecure_skip_verify: Bool = False


class MetricTemplateSpec(ApiModel):
    """A query in the template language, and who answers it."""

    provider: Annotated[MetricProviderSpec, Schema(required=True)] = MetricProviderSpec()
    query: Annotated[str, Schema(required=True, min_length=1, source="GAP-64")] = ""


class MetricTemplate(ApiObject):
    """A query that Canaries refer to by name."""

    rules: ClassVar[tuple[Rule, ...]] = (SPEC_RULE,)

    kind: str = "MetricTemplate"
    spec: MetricTemplateSpec = MetricTemplateSpec()
