"""The controller's own metrics against a recording of Flagger's (metrics:REC-01..17)."""

import math
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flagger_py.api.effective import Strategy
from flagger_py.api.status import Phase
from flagger_py.controller.exported import AnalysisStatus, ExportedMetrics, Subject
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes

RECORDING = Path(__file__).parents[2] / "fixtures/controller/flagger-metrics.txt"
WEB = Subject("web", "fx-istio-gated")
CANARY = "fx-istio-gated/web"

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(text: str) -> Series:
    """Every `flagger_*` sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("flagger_")
    }


def types(text: str) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(text) if family.name.startswith("flagger_")}


def exposed(metrics: ExportedMetrics) -> Series:
    return series(metrics.render().decode())


def names(metrics: ExportedMetrics, subject: str) -> set[str]:
    """The names of all samples that mention a value in a label."""
    return {name for name, labels in exposed(metrics) if any(value.startswith(subject) for _, value in labels)}


@pytest.fixture
def metrics() -> ExportedMetrics:
    exported = ExportedMetrics("1.44.0", "istio")
    exported.add(CANARY, WEB)
    return exported


def play_recorded_rollouts(metrics: ExportedMetrics) -> None:
    """A success and a failure, as the recording has them (REC-17)."""
    metrics.phase(WEB, Phase.PROGRESSING)
    for seconds in (0.9, 0.9, 0.9, 0.9, 1.1, 1.1, 1.1):
        metrics.routes(WEB, Routes(80, 20))
        metrics.analysed(WEB, seconds)
    metrics.succeeded(WEB, Strategy.WEIGHTED, AnalysisStatus.COMPLETED)
    metrics.measured(WEB, "request-success-rate", 50)
    metrics.measured(WEB, "request-duration", 0)
    metrics.failed(WEB, Strategy.WEIGHTED)
    metrics.phase(WEB, Phase.FAILED)
    metrics.routes(WEB, ALL_PRIMARY)


def test_names_labels_types_and_values_are_those_of_the_recording(metrics: ExportedMetrics) -> None:
    """metrics:REC-17"""
    play_recorded_rollouts(metrics)
    recorded = series(RECORDING.read_text())
    ours = exposed(metrics)
    assert ours.keys() == recorded.keys()
    for key, value in recorded.items():
        if key[0] != "flagger_canary_duration_seconds_sum":
            assert ours[key] == value, key
    assert types(metrics.render().decode()) == types(RECORDING.read_text())


def test_no_created_series_and_the_process_metrics_too(metrics: ExportedMetrics) -> None:
    """metrics:REC-16, metrics:SRV-01"""
    play_recorded_rollouts(metrics)
    text = metrics.render().decode()
    assert "_created" not in text
    assert "process_resident_memory_bytes" in text
    assert "python_info" in text


@pytest.mark.parametrize("phase", list(Phase))
def test_the_status_is_0_progressing_2_failed_and_1_for_every_other_phase(metrics: ExportedMetrics, phase: Phase) -> None:
    """metrics:REC-10"""
    metrics.phase(WEB, phase)
    expected = {Phase.PROGRESSING: 0, Phase.FAILED: 2}.get(phase, 1)
    assert exposed(metrics)["flagger_canary_status", frozenset({("name", "web"), ("namespace", "fx-istio-gated")})] == expected


def test_the_label_of_each_strategy_is_flaggers() -> None:
    """metrics:REC-09, operations:OPS-10"""
    assert {str(strategy) for strategy in Strategy} == {"canary", "blue-green", "ab-testing"}


def test_everything_of_a_deleted_canary_goes(metrics: ExportedMetrics) -> None:
    """metrics:REC-15, operations:OPS-11"""
    play_recorded_rollouts(metrics)
    metrics.remove(CANARY)
    assert {name for name, _ in exposed(metrics)} == {"flagger_info"}
    metrics.remove(CANARY)


def test_a_late_value_does_not_bring_a_deleted_canary_back(metrics: ExportedMetrics) -> None:
    metrics.remove(CANARY)
    play_recorded_rollouts(metrics)
    assert {name for name, _ in exposed(metrics)} == {"flagger_info"}


def test_canaries_are_counted_per_namespace(metrics: ExportedMetrics) -> None:
    """metrics:REC-02"""

    def total(namespace: str) -> float:
        return exposed(metrics).get(("flagger_canary_total", frozenset({("namespace", namespace)})), math.nan)

    metrics.add("fx-istio-gated/api", Subject("api", "fx-istio-gated"))
    metrics.add("other/api", Subject("api", "other"))
    metrics.add("other/api", Subject("api", "other"))
    assert (total("fx-istio-gated"), total("other")) == (2, 1)
    metrics.remove("fx-istio-gated/api")
    metrics.remove("other/api")
    assert total("fx-istio-gated") == 1
    assert math.isnan(total("other"))


def test_a_target_that_another_canary_uses_keeps_its_series(metrics: ExportedMetrics) -> None:
    metrics.add("fx-istio-gated/copy", WEB)
    metrics.phase(WEB, Phase.SUCCEEDED)
    metrics.remove("fx-istio-gated/copy")
    assert names(metrics, "web") == {"flagger_canary_status"}


def test_a_canary_that_changes_its_target_leaves_no_series_of_the_old_one(metrics: ExportedMetrics) -> None:
    play_recorded_rollouts(metrics)
    metrics.add(CANARY, Subject("site", "fx-istio-gated"))
    metrics.phase(Subject("site", "fx-istio-gated"), Phase.INITIALIZED)
    assert names(metrics, "web") == set()
    assert names(metrics, "site") == {"flagger_canary_status"}
