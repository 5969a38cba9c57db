"""`status` of a Canary as a model."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from flagger_py.api.rollout_record import (
    RESULT_LIMIT,
    Check,
    CheckOutcome,
    Command,
    DesiredRoutes,
    Gate,
    OutboxEntry,
    RolloutRecord,
    UnreadySince,
    newest_that_fit,
)
from flagger_py.api.status import CanaryStatus, Condition, ConditionType, Phase

NOW = datetime(2026, 11, 23, 6, 42, 40, 123456, tzinfo=UTC)


def full_record() -> RolloutRecord:
    return RolloutRecord(
        run="0123456789ab",
        revision="v1:0123456789abcdef",
        promoted_revision="v1:0123456789abcdee",
        promoted_configs="0123456789abcdef",
        target_uid="d5326d51-55d2-42be-8145-3d033ed9c69d",
        target_generation=12,
        config_versions={f"configmap/settings-{i:02}": f"d5326d51-55d2-42be-8145-3d033ed9c6{i:02}/12345678" for i in range(20)},
        started_at=NOW,
        step=3,
        step_started_at=NOW,
        check_number=2,
        desired=DesiredRoutes(primary=80, canary=20),
        pre_rollout=True,
        gate=Gate(type="confirm-promotion", name="ask the owner", step=3, since=NOW),
        unready_since=UnreadySince(canary=NOW),
        command=Command(id="d5326d51-55d2-42be-8145-3d033ed9c69d", verb="pause", result="x" * RESULT_LIMIT, at=NOW),
        paused_since=NOW,
        checks=tuple(
            Check(
                name=f"metric-{i}",
                value=99.5,
                bound="min 99, max 100",
                result=CheckOutcome.FAIL,
                message="95.2 is below the minimum 99",
                at=NOW,
            )
            for i in range(10)
        ),
        outbox=newest_that_fit([alert("New revision detected, progressing canary analysis.") for _ in range(16)]),
    )


def alert(message: str) -> OutboxEntry:
    entry_id = "0123456789ab-promotion-failed-1795416160"
    return OutboxEntry(id=entry_id, kind="alert", phase="Progressing", severity="error", message=message, details=True, at=NOW)


def full_status() -> CanaryStatus:
    return CanaryStatus(
        phase=Phase.PROGRESSING,
        canary_weight=20,
        tracked_configs={f"configmap/settings-{i:02}": "9afeb0f2b203f254" for i in range(20)},
        last_applied_spec="598676fbc",
        last_promoted_spec="598676fbc",
        last_transition_time=NOW,
        conditions=tuple(
            Condition(type=kind, status="True", reason="Progressing", message="New revision detected, progressing.", last_update_time=NOW)
            for kind in ConditionType
        ),
        rollout=full_record(),
    )


def test_a_full_status_stays_below_8_kib() -> None:
    """design:§5"""
    assert len(orjson.dumps(full_status().to_manifest())) < 8 * 1024


@pytest.mark.parametrize(("message", "kept"), [("", 16), ("x" * 80, 10), ("x" * 256, 6), ("ü" * 256, 3)])
def test_an_outbox_of_long_messages_keeps_the_newest(message: str, kept: int) -> None:
    """design:§5"""
    entries = [alert(message).model_copy(update={"at": NOW + timedelta(seconds=number)}) for number in range(40)]
    fitting = newest_that_fit(entries)
    assert fitting == tuple(entries[-kept:])
    status = full_status()
    assert status.rollout
    full = status.model_copy(update={"rollout": status.rollout.model_copy(update={"outbox": fitting})})
    assert len(orjson.dumps(full.to_manifest())) < 8 * 1024


def test_a_full_status_survives_a_round_trip() -> None:
    assert CanaryStatus.model_validate(full_status().to_manifest()) == full_status()


def test_times_are_utc_with_z_and_keep_their_fraction() -> None:
    whole = NOW.replace(microsecond=0)
    record = RolloutRecord(started_at=NOW, step_started_at=whole)
    assert record.to_manifest() == {
        "version": 1,
        "startedAt": "2026-11-23T06:42:40.123456Z",
        "stepStartedAt": "2026-11-23T06:42:40Z",
    }


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    record = RolloutRecord.model_validate({"startedAt": "2026-11-23T08:42:40.123456+02:00"})
    assert record.started_at == NOW
    assert record.started_at.utcoffset() == timedelta()


def test_an_empty_status_still_has_what_other_tools_read() -> None:
    """design:§5: Argo CD compares `canaryWeight` with a number and joins the conditions."""
    assert CanaryStatus().to_manifest() == {"phase": "", "failedChecks": 0, "canaryWeight": 0, "iterations": 0, "conditions": []}


def test_a_value_of_zero_is_a_value() -> None:
    check = Check(name="errors", value=0.0, result=CheckOutcome.PASS, at=NOW)
    assert check.to_manifest()["value"] == 0.0


def test_a_record_of_a_newer_version_decodes_whatever_its_form() -> None:
    newer = RolloutRecord.model_validate({"version": 7, "step": "third", "desired": [1]})
    assert newer.version == 7
    assert not newer.is_known


def test_fields_and_conditions_of_others_survive() -> None:
    """workloads:ST-06."""
    manifest = {**CanaryStatus().to_manifest(), "conditions": [{"type": "Custom", "status": "True", "reason": "X"}], "theirs": {"a": 1}}
    assert CanaryStatus.model_validate(manifest).to_manifest() == manifest


def test_no_condition_type_makes_flux_or_argo_wait() -> None:
    """design:§5"""
    assert not {"Ready", "Reconciling", "Stalled"} & set(ConditionType)
