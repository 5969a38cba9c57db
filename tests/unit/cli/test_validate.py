"""`flagger-py validate`"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flagger_py.cli.validate import validate
from tests.unit.api.manifests import changed, valid_canary

CANARY = valid_canary()
TEMPLATE = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "latency", "namespace": "test"},
    "spec": {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": "up{a='{{ target }}'}"},
}
USES_TEMPLATE = changed(CANARY, {"spec.analysis.metrics": [{"name": "latency", "threshold": 1, "templateRef": {"name": "latency"}}]})


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(validate, arguments, input=stdin)


def check(*manifests: dict[str, Any], options: tuple[str, ...] = ()) -> Result:
    return run("-", *options, stdin=yaml.safe_dump_all(manifests))


def test_a_good_canary() -> None:
    result = check(CANARY)
    assert result.output == "1 object checked: no problem found\n"
    assert result.exit_code == 0


def test_a_finding_names_file_line_object_field_value_and_what_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("# a shop\n" + yaml.safe_dump(changed(CANARY, {"spec.analysis.maxWeight": 120}), sort_keys=False))
    result = run(str(file))
    line = file.read_text().splitlines().index("    maxWeight: 120") + 1
    assert f"{file}:{line}: Canary test/shop: spec.analysis.maxWeight: 120: must be from 0 to 100 [Invalid, GAP-02]" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("changes", "word", "lenient", "strict"),
    [
        ({"spec.provider": "linkerd"}, "not supported", 0, 1),
        ({"spec.analysis.interval": "5s"}, "1 warnings", 0, 1),
        ({"spec.analysis.threshold": -1}, "1 invalid", 1, 1),
    ],
)
def test_exit_codes(changes: dict[str, Any], word: str, lenient: int, strict: int) -> None:
    """issue 3 §1"""
    manifest = changed(CANARY, changes)
    assert word in check(manifest).output
    assert check(manifest).exit_code == lenient
    assert check(manifest, options=("--strict",)).exit_code == strict


def test_a_missing_reference_is_noted_and_never_fails() -> None:
    result = check(USES_TEMPLATE, options=("--strict",))
    assert "this MetricTemplate is not among the files [Note, GAP-66]" in result.output
    assert result.exit_code == 0


def test_a_template_among_the_files_is_checked_with_the_canary() -> None:
    assert check(USES_TEMPLATE, TEMPLATE).exit_code == 0
    broken = changed(TEMPLATE, {"spec.provider": {"type": "datdog"}})
    assert 'templateRef: "test/latency": the MetricTemplate cannot be used: spec.provider.type' in check(USES_TEMPLATE, broken).output


def test_a_query_template_that_does_not_parse_is_a_warning() -> None:
    """api:GAP-64"""
    result = check(changed(TEMPLATE, {"spec.query": "{{ targt }}"}))
    assert "is no query template: unknown function targt" in result.output
    assert result.exit_code == 0


def test_two_canaries_on_one_target() -> None:
    result = check(CANARY, changed(CANARY, {"metadata.name": "again"}))
    assert "Canary test/shop: spec.targetRef.name" in result.output
    assert "target of Canary test/again already" in result.output
    assert result.exit_code == 1


def test_folders_are_read_whole_and_other_kinds_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub" / "canary.yml").write_text(yaml.safe_dump(CANARY))
    (tmp_path / "template.json").write_text(json.dumps(TEMPLATE))
    (tmp_path / "deployment.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\n---\n---\n# nothing\n")
    (tmp_path / "README.md").write_text("a: b: c")
    (tmp_path / ".git" / "hidden.yaml").write_text("a: b: c")
    assert run(str(tmp_path)).output == "2 objects checked: no problem found\n"


def test_lists_are_unpacked() -> None:
    result = check({"apiVersion": "v1", "kind": "List", "items": [changed(CANARY, {"spec.analysis.threshold": -1}), TEMPLATE]})
    assert "standard input:" in result.output
    assert "2 objects checked: 1 invalid" in result.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: c: d\n", "standard input:2: cannot be read: mapping values are not allowed here"),
        ("a: 1\na: 2\n", "standard input:2: cannot be read: the key 'a' is given twice"),
        ("- a\n", "standard input:1: cannot be read: is no Kubernetes object"),
        ("a: \x07\n", "standard input: cannot be read: unacceptable character"),
    ],
)
def test_unreadable_yaml_is_an_error_with_its_line(text: str, expected: str) -> None:
    result = run("-", stdin=text)
    assert expected in result.output
    assert result.exit_code == 1


def test_what_stands_before_unreadable_yaml_is_checked() -> None:
    result = run("-", stdin=yaml.safe_dump(changed(CANARY, {"spec.analysis.threshold": -1})) + "---\na: b: c\n")
    assert "spec.analysis.threshold" in result.output
    assert "cannot be read" in result.output


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spec.analysis.stepWeight": 10.5}, "spec.analysis.stepWeight: 10.5: must be a whole number [Invalid, GAP-01]"),
        ({"spec.canaryAnalysis": {}}, "spec.canaryAnalysis: is no field of the API, which drops it: did you mean"),
        ({"spec.service.hostz": ["a"]}, "did you mean hosts?"),
        ({"apiVersion": "flagger.app/v1alpha3"}, "must be flagger.app/v1beta1 [Invalid, API-04]"),
        ({"kind": "Canry"}, "must be one of Canary, MetricTemplate, AlertProvider"),
        ({"metadata": {}}, "Canary (no name): metadata.name: is required"),
        ({"metadata": []}, "metadata: must be an object"),
    ],
)
def test_what_is_no_canary_is_said(changes: dict[str, Any], expected: str) -> None:
    assert expected in check(changed(CANARY, changes)).output


def test_times_in_annotations_stay_text() -> None:
    text = yaml.safe_dump(CANARY).replace("metadata:\n", "metadata:\n  annotations: {at: 2026-01-01T00:00:00Z}\n")
    assert run("-", stdin=text).exit_code == 0


def test_the_controllers_flags_can_be_given() -> None:
    manifest = changed(CANARY, {"spec.analysis.interval": "3s", "spec.provider": None})
    assert check(manifest, options=("--minimum-interval", "2s", "--strict")).exit_code == 0
    assert "(from the command line)" in check(manifest, options=("--provider", "nope")).output
    assert check(manifest, options=("--minimum-interval", "soon")).exit_code == 2


def test_json_output() -> None:
    (finding,) = json.loads(check(changed(CANARY, {"spec.analysis.threshold": -1}), options=("-o", "json")).output)
    assert finding["object"] == "Canary test/shop"
    assert (finding["path"], finding["value"], finding["severity"]) == ("spec.analysis.threshold", "-1", "Invalid")


def test_the_capabilities_of_the_installed_router_count() -> None:
    affinity = {"spec.provider": "contour", "spec.analysis.sessionAffinity": {"cookieName": "c"}}
    assert "provider contour cannot pin sessions" in check(changed(CANARY, affinity)).output
