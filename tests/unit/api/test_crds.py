"""The CustomResourceDefinitions that are generated from the models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger_py.api.crds import DEFINITIONS, Definition, as_yaml

FOLDER = Path(__file__).parents[3] / "deploy" / "crds"
BY_PLURAL = {definition.plural: definition for definition in DEFINITIONS}


def version(plural: str) -> dict[str, Any]:
    found: dict[str, Any] = BY_PLURAL[plural].to_manifest()["spec"]["versions"][0]
    return found


def spec_of(plural: str) -> dict[str, Any]:
    found: dict[str, Any] = version(plural)["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}[]")


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.plural)
def test_the_files_in_deploy_are_current(definition: Definition) -> None:
    """Renew them with `flagger-py crds --output deploy/crds`."""
    assert (FOLDER / f"{definition.name}.yaml").read_text(encoding="utf-8") == as_yaml(definition)


def test_there_are_no_other_definitions_in_deploy() -> None:
    assert {path.name for path in FOLDER.glob("*.flagger.app.yaml")} == {f"{definition.name}.yaml" for definition in DEFINITIONS}


def test_names_are_those_of_flagger() -> None:
    """api:§1, api:API-02"""
    canaries = BY_PLURAL["canaries"].to_manifest()
    assert canaries["metadata"] == {"name": "canaries.flagger.app", "annotations": {"helm.sh/resource-policy": "keep"}}
    assert canaries["spec"]["names"] == {
        "plural": "canaries",
        "singular": "canary",
        "kind": "Canary",
        "listKind": "CanaryList",
        "categories": ["all"],
    }


@pytest.mark.parametrize(
    ("plural", "columns"),
    [
        ("canaries", ["Status", "Weight", "LastTransitionTime"]),
        ("metrictemplates", ["Provider"]),
        ("alertproviders", ["Type"]),
    ],
)
def test_default_columns_are_those_of_flagger(plural: str, columns: list[str]) -> None:
    """api:API-01"""
    printed = version(plural)["additionalPrinterColumns"]
    assert [column["name"] for column in printed if not column.get("priority")] == columns


def test_required_fields_and_alternatives_are_those_of_flagger() -> None:
    """api:API-05, api:API-06: a new `required` or `oneOf` would lock stored objects."""
    spec = spec_of("canaries")
    assert spec["required"] == ["targetRef", "analysis"]
    analysis = spec["properties"]["analysis"]
    assert "required" not in analysis
    assert analysis["oneOf"] == [{"required": ["interval", "threshold", step]} for step in ("iterations", "stepWeight", "stepWeights")]
    assert spec["properties"]["service"]["required"] == ["port"]
    assert spec["properties"]["service"]["properties"]["targetPort"]["x-kubernetes-int-or-string"] is True
    assert "required" not in version("canaries")["schema"]["openAPIV3Schema"]
    assert spec_of("metrictemplates")["required"] == ["provider", "query"]
    assert spec_of("alertproviders")["required"] == ["type"]


def test_defaults_are_flaggers_and_the_two_missing_ones() -> None:
    """api:API-18, api:GAP-18, api:GAP-32"""
    defaults = {path: node["default"] for path, node in nodes(spec_of("canaries")) if "default" in node}
    assert defaults == {
        ".service.mirror[].backendRef.group": "",
        ".service.mirror[].backendRef.kind": "Service",
        ".service.gatewayRefs[].group": "gateway.networking.k8s.io",
        ".service.gatewayRefs[].kind": "Gateway",
        ".analysis.sessionAffinity.maxAge": 86400,
        ".analysis.metrics[].interval": "1m",
        ".analysis.alerts[].severity": "info",
    }


@pytest.mark.parametrize(
    ("plural", "path"), [("canaries", ("provider",)), ("metrictemplates", ("provider", "type")), ("alertproviders", ("type",))]
)
def test_plugin_names_are_not_enumerated(plural: str, path: tuple[str, ...]) -> None:
    """issue 3 §2.2: known names are checked by the controller, so that plug-ins need no other CRD."""
    node = spec_of(plural)
    for name in path:
        node = node["properties"][name]
    assert "enum" not in node
    assert node["minLength"] == 1
    assert node["pattern"]


def test_the_stored_record_is_in_the_schema() -> None:
    """design:§5: what is not in it is pruned."""
    status = version("canaries")["schema"]["openAPIV3Schema"]["properties"]["status"]
    record = status["properties"]["rollout"]["properties"]
    assert {"targetUID", "configVersions", "desired", "gate", "unreadySince", "checks", "command", "outcome", "outbox"} <= set(record)
    assert record["outbox"]["maxItems"] == 16
    assert status["properties"]["phase"]["enum"][0] == ""


@pytest.mark.parametrize("plural", ["metrictemplates", "alertproviders"])
def test_templates_and_alert_providers_have_a_status_subresource_without_schema(plural: str) -> None:
    """api:API-09"""
    assert version(plural)["subresources"] == {"status": {}}
    assert "status" not in version(plural)["schema"]["openAPIV3Schema"]["properties"]


def test_nothing_is_kept_unseen_and_nothing_is_a_reference() -> None:
    """api:§1: no preserve-unknown-fields anywhere; a structural schema has no $ref."""
    text = "".join(as_yaml(definition) for definition in DEFINITIONS)
    assert "preserve-unknown" not in text
    assert "$ref" not in text
    assert yaml.safe_load(as_yaml(DEFINITIONS[0])) == DEFINITIONS[0].to_manifest()
