"""Config tracking: what is read, what counts as a change, and the primary's copies."""

from typing import Any

import pytest

from flagger_py.objects.errors import ServerError
from flagger_py.objects.resource import Manifest
from flagger_py.workloads.base import TrackedConfigs, WorkloadError
from flagger_py.workloads.checksums import checksum, data_checksum
from flagger_py.workloads.configs import Configs
from flagger_py.workloads.settings import WorkloadSettings
from flagger_py.workloads.template import ConfigReference
from tests.unit.workloads.build import NAMESPACE, make_canary, make_config, other_canary_owner, owned_by
from tests.unit.workloads.memory import MemoryObjects

CANARY = make_canary()
SETTINGS = ConfigReference("configmap", "settings", False)
TOKEN = ConfigReference("secret", "token", False)
OPTIONAL = ConfigReference("configmap", "maybe", True)
BLUE = make_config("settings", {"colour": "blue"}, labels={"team": "shop"}, annotations={"note": "1"})
SECRET = make_config("token", {"token": "czNjcmV0"}, kind="Secret")


def configs_on(objects: MemoryObjects, **settings: Any) -> Configs:
    return Configs(objects, WorkloadSettings(**settings))


class TestTracked:
    async def test_checksums_and_versions_of_everything_referred_to(self) -> None:
        """workloads:CFG-07, CFG-11"""
        objects = MemoryObjects([BLUE, SECRET])
        tracked = await configs_on(objects).tracked(CANARY, [SETTINGS, TOKEN, OPTIONAL], {}, {})
        assert tracked.checksums == {"configmap/settings": checksum(BLUE), "secret/token": checksum(SECRET)}
        assert tracked.versions == {"configmap/settings": "uid-1/1", "secret/token": "uid-2/2"}

    async def test_a_known_version_is_not_read_again(self) -> None:
        """workloads:CFG-15"""
        objects = MemoryObjects([BLUE])
        known = TrackedConfigs({"configmap/settings": "0123456789abcdef"}, {"configmap/settings": "uid-1/1"})
        assert await configs_on(objects).tracked(CANARY, [SETTINGS], known.checksums, known.versions) == known
        assert objects.reads == []

    async def test_what_was_read_once_is_remembered(self) -> None:
        """workloads:CFG-15: the status gets a version that moved without a new checksum only with its next write."""
        objects = MemoryObjects([BLUE])
        configs = configs_on(objects)
        first = await configs.tracked(CANARY, [SETTINGS], {}, {})
        assert await configs.tracked(CANARY, [SETTINGS], {}, {}) == first
        assert objects.reads == ["get ConfigMap settings"]

    async def test_a_new_version_is_read(self) -> None:
        """workloads:CFG-11"""
        objects = MemoryObjects([BLUE])
        configs = configs_on(objects)
        first = await configs.tracked(CANARY, [SETTINGS], {}, {})
        objects.edit("ConfigMap", NAMESPACE, "settings", lambda config: config["data"].update(colour="green"))
        second = await configs.tracked(CANARY, [SETTINGS], first.checksums, first.versions)
        assert second.checksums == {"configmap/settings": checksum(make_config("settings", {"colour": "green"}))}
        assert second.versions == {"configmap/settings": "uid-1/2"}

    async def test_one_that_opted_out_is_known_and_not_tracked(self) -> None:
        """workloads:CFG-05"""
        objects = MemoryObjects([make_config("settings", {}, annotations={"flagger.app/config-tracking": "disabled"})])
        tracked = await configs_on(objects).tracked(CANARY, [SETTINGS], {}, {})
        assert tracked == TrackedConfigs({}, {"configmap/settings": "uid-1/1"})
        again = configs_on(objects)
        assert await again.tracked(CANARY, [SETTINGS], tracked.checksums, tracked.versions) == tracked
        assert objects.reads == ["get ConfigMap settings"]

    async def test_toggling_the_opt_out_changes_the_set(self) -> None:
        """workloads:CFG-05"""
        objects = MemoryObjects([BLUE])
        configs = configs_on(objects)
        first = await configs.tracked(CANARY, [SETTINGS], {}, {})
        opt_out = {"flagger.app/config-tracking": "disable"}
        objects.edit("ConfigMap", NAMESPACE, "settings", lambda config: config["metadata"].update(annotations=opt_out))
        assert (await configs.tracked(CANARY, [SETTINGS], first.checksums, first.versions)).checksums == {}

    async def test_a_missing_one_is_an_error_that_names_both(self) -> None:
        """workloads:CFG-04"""
        with pytest.raises(WorkloadError, match="Secret shop/token does not exist, but Deployment shop/web refers to it"):
            await configs_on(MemoryObjects()).tracked(CANARY, [TOKEN], {}, {})

    async def test_an_optional_one_is_absent_only_on_404(self) -> None:
        """workloads:CFG-04"""
        objects = MemoryObjects([make_config("maybe", {})])
        objects.fail("get", "ConfigMap", ServerError("down", status=500))
        with pytest.raises(ServerError):
            await configs_on(objects).tracked(CANARY, [OPTIONAL], {}, {})

    async def test_one_deleted_between_cache_and_read_is_missing(self) -> None:
        """workloads:CFG-04"""
        objects = MemoryObjects([make_config("maybe", {})])
        objects.before("get", "ConfigMap", objects.stored.clear)
        assert await configs_on(objects).tracked(CANARY, [OPTIONAL], {}, {}) == TrackedConfigs()

    async def test_a_checksum_of_flagger_is_taken_over(self) -> None:
        """workloads:CFG-07: `binaryData`, which Flagger does not hash, is no reason for a rollout at take-over."""
        config = make_config("settings", {"a": "1"}, binaryData={"b": "AA=="})
        objects = MemoryObjects([config])
        configs = configs_on(objects)
        stored = {"configmap/settings": data_checksum(config)}
        tracked = await configs.tracked(CANARY, [SETTINGS], stored, {})
        assert tracked.checksums == stored
        objects.edit("ConfigMap", NAMESPACE, "settings", lambda live: live["binaryData"].update(b="AQ=="))
        assert (await configs.tracked(CANARY, [SETTINGS], tracked.checksums, tracked.versions)).checksums != stored

    async def test_nothing_is_tracked_where_tracking_is_off(self) -> None:
        """workloads:CFG-14, S4"""
        objects = MemoryObjects()
        configs = configs_on(objects, config_tracking=False)
        assert await configs.tracked(CANARY, [TOKEN], {}, {}) == TrackedConfigs()
        assert await configs.sources(CANARY, [TOKEN]) == {}
        await configs.prune(CANARY, ())
        assert objects.calls == []


class TestCopies:
    async def copied(self, objects: MemoryObjects, source: Manifest, **settings: Any) -> Manifest:
        key = f"{source['kind'].lower()}/{source['metadata']['name']}"
        await configs_on(objects, **settings).copy(CANARY, {key: source})
        return objects.manifest(source["kind"], NAMESPACE, source["metadata"]["name"] + "-primary")

    async def test_content_type_and_owner(self) -> None:
        """workloads:CFG-09"""
        copy = await self.copied(MemoryObjects(), {**SECRET, "immutable": True})
        assert (copy["type"], copy["data"]) == ("Opaque", SECRET["data"])
        assert copy["metadata"]["ownerReferences"] == owned_by(CANARY)
        assert "immutable" not in copy

    async def test_binary_data_is_copied(self) -> None:
        """workloads:CFG-07"""
        copy = await self.copied(MemoryObjects(), make_config("settings", binaryData={"b": "AA=="}))
        assert copy["binaryData"] == {"b": "AA=="}
        assert "data" not in copy

    async def test_only_included_labels_and_no_annotations(self) -> None:
        """workloads:CFG-09, GEN-06"""
        copy = await self.copied(MemoryObjects(), BLUE)
        assert (copy["metadata"]["labels"], copy["metadata"].get("annotations")) == ({}, None)
        copy = await self.copied(MemoryObjects(), BLUE, include_label_prefixes=("te",))
        assert copy["metadata"]["labels"] == {"team": "shop"}

    async def test_an_equal_copy_is_left_alone(self) -> None:
        objects = MemoryObjects([make_config("settings-primary", BLUE["data"], owners=owned_by(CANARY))])
        await self.copied(objects, BLUE)
        assert objects.writes == []

    async def test_keys_that_went_away_go_away_in_the_copy(self) -> None:
        """workloads:CFG-08"""
        stale = make_config("settings-primary", {"colour": "red", "old": "1"}, owners=owned_by(CANARY), binaryData={"b": "AA=="})
        copy = await self.copied(MemoryObjects([stale]), BLUE)
        assert copy["data"] == {"colour": "blue"}
        assert "binaryData" not in copy

    async def test_a_foreign_object_of_that_name_is_refused(self) -> None:
        """workloads:CFG-09"""
        objects = MemoryObjects([make_config("settings-primary", {"mine": "1"})])
        with pytest.raises(WorkloadError, match="ConfigMap shop/settings-primary exists and belongs to no Canary"):
            await self.copied(objects, BLUE)
        assert objects.manifest("ConfigMap", NAMESPACE, "settings-primary")["data"] == {"mine": "1"}

    async def test_two_canaries_share_one_copy(self) -> None:
        """workloads:CFG-09, S7"""
        objects = MemoryObjects([make_config("settings-primary", {"colour": "red"}, owners=[other_canary_owner()])])
        copy = await self.copied(objects, BLUE)
        assert copy["metadata"]["ownerReferences"] == [*owned_by(CANARY), other_canary_owner(controller=False)]

    async def test_a_copy_of_the_same_canary_before_a_restore_is_taken_over(self) -> None:
        """workloads:CFG-09: its owner reference has the uid of a Canary that is gone."""
        stale = make_config("settings-primary", BLUE["data"], owners=[{**owned_by(CANARY)[0], "uid": "gone"}])
        copy = await self.copied(MemoryObjects([stale]), BLUE)
        assert copy["metadata"]["ownerReferences"] == owned_by(CANARY)

    async def test_a_secret_of_another_type_is_replaced(self) -> None:
        """The server refuses to change a Secret's type."""
        owners = [*owned_by(CANARY), other_canary_owner(controller=False)]
        stale = make_config("token-primary", {}, kind="Secret", type="kubernetes.io/tls", owners=owners)
        objects = MemoryObjects([stale])
        copy = await self.copied(objects, SECRET)
        assert (copy["type"], copy["metadata"]["ownerReferences"]) == ("Opaque", owners)
        assert objects.writes == ["delete Secret token-primary", "create Secret token-primary"]

    async def test_a_copy_that_somebody_else_changes_is_read_again(self) -> None:
        objects = MemoryObjects([make_config("settings-primary", {"colour": "red"}, owners=owned_by(CANARY))])
        objects.before(
            "patch", "ConfigMap", lambda: objects.edit("ConfigMap", NAMESPACE, "settings-primary", lambda copy: copy.update(data={}))
        )
        assert (await self.copied(objects, BLUE))["data"] == BLUE["data"]

    async def test_a_name_without_room_is_refused(self) -> None:
        """workloads:SEL-04"""
        with pytest.raises(WorkloadError, match="has 246 characters; at most 245"):
            await self.copied(MemoryObjects(), make_config("a" * 246, {}))


@pytest.mark.parametrize(
    ("owners", "name", "expected"),
    [
        pytest.param(owned_by(CANARY), "old-primary", [], id="own and unused"),
        pytest.param(owned_by(CANARY), "settings-primary", ["settings-primary"], id="still referred to"),
        pytest.param([], "old-primary", ["old-primary"], id="not ours"),
        pytest.param([other_canary_owner()], "old-primary", ["old-primary"], id="another Canary's"),
        pytest.param(owned_by(CANARY), "old", ["old"], id="not named as a copy"),
        pytest.param([*owned_by(CANARY), other_canary_owner()], "old-primary", ["old-primary"], id="shared"),
    ],
)
async def test_prune(owners: list[dict[str, Any]], name: str, expected: list[str]) -> None:
    """workloads:CFG-09"""
    objects = MemoryObjects([make_config(name, {}, owners=owners)])
    await configs_on(objects).prune(CANARY, {"configmap/settings-primary"})
    assert objects.names("ConfigMap") == expected


async def test_pruning_a_shared_copy_only_drops_this_owner() -> None:
    """workloads:CFG-09"""
    objects = MemoryObjects([make_config("old-primary", {}, kind="Secret", owners=[*owned_by(CANARY), other_canary_owner()])])
    await configs_on(objects).prune(CANARY, ())
    assert objects.manifest("Secret", NAMESPACE, "old-primary")["metadata"]["ownerReferences"] == [other_canary_owner()]
