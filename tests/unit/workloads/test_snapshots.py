"""Promoted templates kept as ControllerRevisions."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from flagger_py.objects.errors import Forbidden
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.identity import promotion_id
from flagger_py.workloads.snapshots import Snapshots, TemplateForm, choose, new_snapshot
from tests.unit.workloads.build import CANARY_UID, NAMESPACE, make_canary, make_deployment, owned_by
from tests.unit.workloads.memory import MemoryObjects

CANARY = make_canary()


def primary(image: str, promotion: str = "") -> Manifest:
    manifest = make_deployment("web-primary", image=image)
    manifest["spec"]["template"]["metadata"]["annotations"] = {"flagger-id": promotion}
    return manifest


def kept_images(objects: MemoryObjects) -> list[str]:
    """Newest first."""
    snapshots = [manifest for ref, manifest in objects.stored.items() if ref.resource.kind == "ControllerRevision"]
    snapshots.sort(key=lambda snapshot: int(snapshot["revision"]), reverse=True)
    return [snapshot["data"]["spec"]["template"]["spec"]["containers"][0]["image"] for snapshot in snapshots]


async def test_three_are_kept() -> None:
    objects = MemoryObjects()
    for number in range(5):
        await Snapshots(objects, TemplateForm()).keep(CANARY, primary(f"web:{number}"))
    assert kept_images(objects) == ["web:4", "web:3", "web:2"]


async def test_the_same_template_is_kept_once() -> None:
    objects = MemoryObjects()
    for _ in range(2):
        await Snapshots(objects, TemplateForm()).keep(CANARY, primary("web:1"))
    assert objects.writes == [f"create ControllerRevision {objects.names('ControllerRevision')[0]}"]


async def test_an_older_template_becomes_the_newest_again() -> None:
    objects = MemoryObjects()
    for image in ("web:1", "web:2", "web:1"):
        await Snapshots(objects, TemplateForm()).keep(CANARY, primary(image))
    assert kept_images(objects) == ["web:1", "web:2"]


async def test_snapshots_of_other_canaries_do_not_count() -> None:
    objects = MemoryObjects()
    other = CANARY.with_changes(metadata=CANARY.metadata.model_copy(update={"uid": "other", "name": "other"}))
    for number in range(4):
        await Snapshots(objects, TemplateForm()).keep(other, primary(f"other:{number}"))
    await Snapshots(objects, TemplateForm()).keep(CANARY, primary("web:1"))
    restorable = await Snapshots(objects, TemplateForm()).restorable(CANARY)
    assert restorable is not None
    assert restorable["spec"] == primary("web:1")["spec"]
    assert len(kept_images(objects)) == 4


async def test_a_missing_right_is_reported_once() -> None:
    """design §5"""
    objects = MemoryObjects()
    snapshots = Snapshots(objects, TemplateForm())
    with capture_logs() as logs:
        for _ in range(2):
            objects.fail("create", "ControllerRevision", Forbidden("no", status=403))
            await snapshots.keep(CANARY, primary("web:1"))
        objects.fail("find", "ControllerRevision", Forbidden("no", status=403))
        assert await snapshots.restorable(CANARY) is None
    assert [entry["event"] for entry in logs] == ["primary_snapshots_forbidden"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(None, "web:2", id="nothing recorded: the newest"),
        pytest.param({"promotedRevision": "v1:1"}, "web:1", id="a promotion that was given up does not count"),
        pytest.param({"promotedRevision": "v1:1", "promoting": True}, "web:2", id="a promotion in progress counts"),
        pytest.param({"promotedRevision": "v1:gone"}, "web:2", id="one that was adopted has another id"),
    ],
)
def test_which_one_is_restored(record: dict[str, Any] | None, expected: str) -> None:
    """workloads:DEP-05"""
    canary = make_canary(status={} if record is None else {"rollout": {"version": 1, **record}})
    snapshots = [
        new_snapshot(canary, primary(f"web:{n}", promotion_id(CANARY_UID, f"v1:{n}", "")), TemplateForm(), revision=n)["data"]
        for n in (2, 1)
    ]
    chosen = choose(canary, snapshots, TemplateForm())
    assert chosen is not None
    assert chosen["spec"]["template"]["spec"]["containers"][0]["image"] == expected


def test_its_name_and_owner() -> None:
    canary = CANARY.with_changes(metadata=CANARY.metadata.model_copy(update={"name": "a" * 199 + ".b" + "c" * 40}))
    snapshot = new_snapshot(canary, primary("web:1"), TemplateForm(), revision=1)
    assert snapshot["metadata"]["name"].startswith("a" * 199 + "-")
    assert len(snapshot["metadata"]["name"]) == 216
    assert snapshot["metadata"]["namespace"] == NAMESPACE
    assert snapshot["metadata"]["ownerReferences"] == owned_by(canary)
    assert "status" not in snapshot["data"]
