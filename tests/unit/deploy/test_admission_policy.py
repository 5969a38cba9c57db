"""The optional admission policy: it warns of edits that do not do what they seem to, and of nothing else."""

from copy import deepcopy
from typing import Any

import cel
import pytest
import yaml

from flagger_py.objects.resource import Manifest
from tests.memory.cluster import ROOT, canary

DOCUMENTS: list[Manifest] = list(yaml.safe_load_all((ROOT / "deploy/kustomize/admission/policy.yaml").read_text()))


def warnings_of(before: Manifest, after: Manifest) -> list[str]:
    """The messages of the expressions that do not hold."""
    rules: list[dict[str, str]] = DOCUMENTS[0]["spec"]["validations"]
    return [rule["message"] for rule in rules if not cel.evaluate(rule["expression"], {"object": after, "oldObject": before})]


def with_fields(target: dict[str, Any] | None = None, **service: Any) -> Manifest:
    manifest = deepcopy(canary())
    manifest["spec"]["targetRef"] |= target or {}
    manifest["spec"]["service"] |= service
    return manifest


@pytest.mark.parametrize(
    ("after", "path"),
    [
        pytest.param(with_fields({"name": "other"}), "spec.targetRef", id="api:GAP-45 another target"),
        pytest.param(with_fields({"kind": "DaemonSet"}), "spec.targetRef", id="api:GAP-45 another kind"),
        pytest.param(with_fields(name="shop"), "spec.service.name", id="api:GAP-45 another name"),
        pytest.param(with_fields(headless=True), "spec.service.headless", id="api:GAP-44 headless"),
        pytest.param(with_fields(trafficDistribution="PreferClose"), "spec.service.trafficDistribution", id="api:GAP-44 traffic"),
    ],
)
def test_an_edit_that_leaves_something_behind_is_warned_of_in_both_directions(after: Manifest, path: str) -> None:
    for edit in ((canary(), after), (after, canary())):
        (message,) = warnings_of(*edit)
        assert message.startswith(f"{path} was changed: ")


@pytest.mark.parametrize("after", [canary(), canary(threshold=9), with_fields(port=81)])
def test_any_other_edit_is_not(after: Manifest) -> None:
    assert warnings_of(canary(), after) == []


def test_nothing_is_refused() -> None:
    """api:API-35: what Flagger accepts is accepted."""
    policy, binding = DOCUMENTS
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Warn"]}
    assert policy["spec"]["failurePolicy"] == "Ignore"
