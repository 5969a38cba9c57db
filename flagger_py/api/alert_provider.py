"""The AlertProvider: where alerts are sent."""

from typing import Annotated, ClassVar

from flagger_py.api.analysis import HTTP_URL
from flagger_py.api.base import ApiModel, ApiObject
from flagger_py.api.metric_template import PLUGIN_NAME, PLUGIN_NAME_IN_WORDS, SecretRef
from flagger_py.api.schema import SPEC_RULE, Rule, Schema


class AlertProviderSpec(ApiModel):
    """The service that takes the alerts. Where both are given, the secret's address is used (api:GAP-61)."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(cel="has(self.address) || has(self.secretRef)", message="address or secretRef is required", source="GAP-61"),
    )

    type: Annotated[str, Schema(required=True, min_length=1, max_length=253, pattern=PLUGIN_NAME, allowed=PLUGIN_NAME_IN_WORDS)] = ""
    channel: str = ""
    username: str = ""
    address: Annotated[str, Schema(pattern=HTTP_URL, allowed="an http or https URL", max_length=2048, source="GAP-62")] = ""
    proxy: str = ""
    secret_ref: SecretRef | None = None


class AlertProvider(ApiObject):
    """Where the alerts of Canaries are sent."""

    rules: ClassVar[tuple[Rule, ...]] = (SPEC_RULE,)

    kind: str = "AlertProvider"
    spec: AlertProviderSpec = AlertProviderSpec()
