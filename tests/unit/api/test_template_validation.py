"""Validation of MetricTemplates and AlertProviders, by the CRD and by us."""

from typing import Any

import pytest

from flagger_py.api.alert_provider import AlertProvider
from flagger_py.api.crds import root_schema
from flagger_py.api.metric_template import MetricTemplate
from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.validation import Context, validate_alert_provider, validate_metric_template
from tests.unit.api.admission import refusals

INVALID, NOT_SUPPORTED, WARNING = ProblemSeverity.INVALID, ProblemSeverity.NOT_SUPPORTED, ProblemSeverity.WARNING
PROMETHEUS = {"type": "prometheus", "address": "http://prometheus:9090"}
SECRET = {"secretRef": {"name": "s"}}


def template(provider: dict[str, Any], query: str = "up") -> dict[str, Any]:
    return {"kind": "MetricTemplate", "metadata": {"name": "a"}, "spec": {"provider": provider, "query": query}}


def alert_provider(spec: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "AlertProvider", "metadata": {"name": "a"}, "spec": spec}


def template_problems(manifest: dict[str, Any], context: Context | None = None) -> tuple[Problem, ...]:
    return validate_metric_template(MetricTemplate.model_validate(manifest), context or Context())


def alert_problems(manifest: dict[str, Any], context: Context | None = None) -> tuple[Problem, ...]:
    return validate_alert_provider(AlertProvider.model_validate(manifest), context or Context())


def test_a_prometheus_template_has_no_problem() -> None:
    manifest = template(PROMETHEUS | SECRET | {"headers": {"x": ["y"]}, "insecureSkipVerify": True})
    assert template_problems(manifest) == ()
    assert refusals(manifest, root_schema(MetricTemplate)) == []


@pytest.mark.parametrize(
    ("manifest", "path", "severity", "admission"),
    [
        pytest.param(template({"type": "prometheus"}), "spec.provider.address", INVALID, True, id="GAP-63 prometheus"),
        pytest.param(template({"type": "graphite"}), "spec.provider.address", INVALID, True, id="GAP-63 graphite"),
        pytest.param(template({"type": "influxdb"}), "spec.provider.address", INVALID, False, id="API-35 influxdb in Flagger's docs"),
        pytest.param(template({"type": "cloudwatch"}), "spec.provider.region", INVALID, True, id="GAP-63 cloudwatch"),
        pytest.param(template({"type": "datadog"}), "spec.provider.secretRef", INVALID, True, id="GAP-63 datadog"),
        pytest.param(template(PROMETHEUS, ""), "spec.query", INVALID, True, id="GAP-64 empty query"),
        pytest.param(template(PROMETHEUS | {"region": "eu"}), "spec.provider.region", WARNING, False, id="GAP-65 region"),
        pytest.param(
            template({"type": "datadog", "insecureSkipVerify": True} | SECRET),
            "spec.provider.insecureSkipVerify",
            WARNING,
            False,
            id="GAP-65 false safety",
        ),
        pytest.param(template({"type": "datadog"} | SECRET), "spec.provider.type", NOT_SUPPORTED, False, id="not yet"),
        pytest.param(template({"type": "promtheus"}), "spec.provider.type", INVALID, False, id="unknown type"),
        pytest.param(template({"type": ""}), "spec.provider.type", INVALID, True, id="empty type"),
        pytest.param(
            template({"type": "prometheus", "address": "prometheus:9090"}), "spec.provider.address", WARNING, False, id="PROM-02 no scheme"
        ),
        pytest.param({"kind": "MetricTemplate"}, "spec", INVALID, True, id="GAP-67 no spec"),
    ],
)
def test_metric_templates(manifest: dict[str, Any], path: str, severity: ProblemSeverity, admission: bool) -> None:
    assert (path, severity) in {(problem.path, problem.severity) for problem in template_problems(manifest)}
    assert bool(refusals(manifest, root_schema(MetricTemplate))) == admission


def test_an_unknown_type_names_the_known_ones_and_an_installed_one_is_known() -> None:
    (problem,) = template_problems(template({"type": "mine"}), Context(metric_providers=frozenset({"other"})))
    assert "known are cloudwatch" in problem.message
    assert "other" in problem.message
    assert template_problems(template({"type": "mine"}), Context(metric_providers=frozenset({"mine"}))) == ()


@pytest.mark.parametrize(
    ("spec", "path", "severity", "admission"),
    [
        pytest.param({"type": "slack"}, "spec.address", INVALID, True, id="GAP-61 neither"),
        pytest.param({"type": "slack", "address": "http://a"} | SECRET, "spec.address", WARNING, False, id="GAP-61 both"),
        pytest.param({"type": "slack", "address": "hooks.slack.com"}, "spec.address", INVALID, True, id="GAP-62"),
        pytest.param({"type": "slack", "address": "http://a", "proxy": "socks5://p"}, "spec.proxy", WARNING, False, id="ALR-08 socks"),
        pytest.param({"type": "slak", "address": "http://a"}, "spec.type", INVALID, False, id="unknown type"),
        pytest.param({"address": "http://a"}, "spec.type", INVALID, True, id="no type"),
    ],
)
def test_alert_providers(spec: dict[str, Any], path: str, severity: ProblemSeverity, admission: bool) -> None:
    manifest = alert_provider(spec)
    assert (path, severity) in {(problem.path, problem.severity) for problem in alert_problems(manifest)}
    assert bool(refusals(manifest, root_schema(AlertProvider))) == admission


@pytest.mark.parametrize("alert_type", ["discord", "gchat", "generic", "msteams", "rocket", "slack"])
def test_every_alert_type_may_be_used(alert_type: str) -> None:
    """metrics:ALR-01, metrics:ALR-GEN-01"""
    manifest = alert_provider({"type": alert_type, "address": "https://a", "proxy": "http://p"})
    assert alert_problems(manifest) == ()
    assert refusals(manifest, root_schema(AlertProvider)) == []
