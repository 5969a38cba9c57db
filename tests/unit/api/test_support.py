"""The table of what this version supports."""

from flagger_py.api import support
from flagger_py.api.analysis import Analysis
from flagger_py.api.base import ApiModel
from flagger_py.api.canary import Canary
from flagger_py.api.crds import object_schema
from flagger_py.api.shapes import fields_of
from flagger_py.api.support import Area


def test_every_provider_of_flagger_is_in_the_table() -> None:
    """engine:VAL-03"""
    names = {feature.name for feature in support.FEATURES if feature.area == Area.PROVIDER}
    assert len(names) == 19
    assert support.supported(Area.PROVIDER) == "contour, gatewayapi:v1, gatewayapi:v1beta1, istio, knative, kubernetes"


def test_plugins_are_named_with_our_own() -> None:
    assert support.supported(Area.ALERT) == "discord, gchat, generic, msteams, rocket, slack"
    assert support.supported(Area.ALERT, {"mine"}) == "discord, gchat, generic, mine, msteams, rocket, slack"
    assert "mine" in support.known(Area.METRIC, {"mine"})


def test_the_table_is_markdown() -> None:
    lines = support.as_markdown().splitlines()
    assert len(lines) == len(support.FEATURES) + 2
    assert all(line.count("|") == 5 for line in lines)
    assert "| Traffic provider | `nginx` | not yet |  |" in lines


def test_json_names_with_acronyms_and_digits_are_those_of_the_api() -> None:
    """style: `to_camel` does not know them."""
    names = set(all_names(Canary))
    assert {"consecutive5xxErrors", "disableTLS", "targetUID", "h2UpgradePolicy", "http1MaxPendingRequests", "useSourceIp", "from"} <= names
    assert not {name for name in names if "_" in name}


def all_names(model: type[ApiModel]) -> list[str]:
    names: list[str] = []
    for field in fields_of(model):
        below = field.shape.model or (field.shape.element.model if field.shape.element else None)
        names += [field.json_name, *(all_names(below) if below else [])]
    return names


def test_descriptions_come_from_the_docstrings() -> None:
    assert object_schema(Analysis)["properties"]["interval"]["description"] == "The length of a step."
