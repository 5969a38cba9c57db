"""The guide to alerts and the example of a notifier say what is so."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml

from flagger_py.api import support
from flagger_py.api.alert_provider import AlertProvider
from flagger_py.api.analysis import Analysis, Severity
from flagger_py.api.validation import Context, validate_alert_provider
from flagger_py.notify.base import Alert, AlertField, Notifier, NotifierConfig
from flagger_py.notify.generic import GenericNotifier

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "guide" / "alerts.md").read_text()

ALERT = Alert(
    id="0d3f6c1b9a42-rolled-back-1767323045",
    name="web",
    namespace="shop",
    phase="Failed",
    severity=Severity.ERROR,
    message="Canary analysis failed, rolling back: failed checks threshold reached 5: success rate 87.30% < 99%",
    fields=(AlertField("Cluster", "prod"),),
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_provider_and_the_alert_of_the_guide_are_valid() -> None:
    provider, canary = (yaml.safe_load(block) for block in blocks(GUIDE, "yaml"))
    assert validate_alert_provider(AlertProvider.model_validate(provider), Context()) == ()
    (alert,) = Analysis.model_validate(canary["analysis"]).alerts
    assert (alert.severity, alert.provider_ref.name) == (Severity.ERROR, provider["metadata"]["name"])


def test_the_guide_names_every_type() -> None:
    types = {feature.name for feature in support.FEATURES if feature.area is support.Area.ALERT}
    assert set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)) == types


def test_the_generic_payload_is_the_one_of_the_guide() -> None:
    """metrics:ALR-GEN-01"""
    (shown,) = blocks(GUIDE, "json")
    sent = GenericNotifier().render(ALERT, NotifierConfig(address="https://a")).body
    assert orjson.loads(sent or b"") == orjson.loads(shown)


def test_the_notifier_of_the_plugin_guide_works() -> None:
    (source,) = blocks((DOCS / "plugins.md").read_text(), "python")
    names: dict[str, Any] = {}
    exec(source, names)
    notifier = names["PagerNotifier"]()
    assert isinstance(notifier, Notifier)
    request = notifier.render(ALERT, NotifierConfig(address="https://pager", credentials={"key": "k"}))
    assert orjson.loads(request.body or b"") == {"summary": f"web.shop: {ALERT.message}", "key": "k"}
