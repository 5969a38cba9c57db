"""Objects in files as a cluster in memory: what a plug-in may rely on, as on a real one."""

import pytest
import yaml

from flagger_py.cli.file_objects import FileObjects
from flagger_py.cli.manifest_files import ReadManifest
from flagger_py.objects.errors import AlreadyExists, Conflict, Invalid, NotFound
from flagger_py.objects.patch import JsonPatch, MergePatch, merge_patch, pinned
from flagger_py.objects.resource import CONFIG_MAP, Manifest, Ref, Resource

REF = Ref(CONFIG_MAP, "test", "settings")
HTTP_ROUTE_V1 = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")


def config(**data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "test"}, "data": data}


def objects_of(*manifests: Manifest) -> FileObjects:
    nodes = [yaml.compose(yaml.safe_dump(manifest)) for manifest in manifests]
    reads = [ReadManifest("all.yaml", manifest, node) for manifest, node in zip(manifests, nodes, strict=True) if node]
    return FileObjects(reads, "default")


async def test_a_patch_is_pinned_to_the_version_that_was_read() -> None:
    objects = objects_of(config(colour="blue"))
    read = await objects.get(REF)
    assert read is not None
    patch = pinned(merge_patch(read, {**read, "data": {"colour": "green"}}), read)
    assert (await objects.patch(REF, patch))["data"] == {"colour": "green"}
    with pytest.raises(Conflict):
        await objects.patch(REF, patch)


async def test_a_change_that_is_undone_is_none() -> None:
    objects = objects_of(config(colour="blue"))
    await objects.patch(REF, MergePatch({"data": {"colour": "green"}}))
    assert [change.name for change in objects.changes()] == ["ConfigMap test/settings"]
    await objects.patch(REF, MergePatch({"data": {"colour": "blue"}}))
    assert list(objects.changes()) == []


async def test_an_object_that_is_deleted_and_made_again_is_one_change() -> None:
    objects = objects_of(config(colour="blue"))
    await objects.delete(REF, uid="")
    assert [change.after for change in objects.changes()] == [None]
    await objects.create(CONFIG_MAP, config(colour="green"))
    (change,) = objects.changes()
    assert (change.before, change.after) == (config(colour="blue"), config(colour="green"))


async def test_what_a_cluster_refuses_is_refused() -> None:
    objects = objects_of(config())
    with pytest.raises(AlreadyExists):
        await objects.create(CONFIG_MAP, config())
    with pytest.raises(NotFound):
        await objects.patch(Ref(CONFIG_MAP, "test", "other"), MergePatch({"data": {}}))
    with pytest.raises(Invalid, match="a JSON patch cannot be applied to files"):
        await objects.patch(REF, JsonPatch(({"op": "remove", "path": "/data"},)))


async def test_an_object_is_found_in_whatever_version_it_is_written() -> None:
    route = {"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "HTTPRoute", "metadata": {"name": "web", "namespace": "test"}}
    assert await objects_of(route).get(Ref(HTTP_ROUTE_V1, "test", "web")) is not None


async def test_objects_are_found_by_label() -> None:
    labelled = {**config(), "metadata": {"name": "one", "namespace": "test", "labels": {"app": "web"}}}
    objects = objects_of(config(), labelled)
    assert [found["metadata"]["name"] for found in await objects.find(CONFIG_MAP, "test", "app=web")] == ["one"]
    assert [found["metadata"]["name"] for found in await objects.find(CONFIG_MAP, "test")] == ["one", "settings"]
    assert await objects.find(CONFIG_MAP, "elsewhere") == []


async def test_what_is_handed_out_can_be_changed_without_harm() -> None:
    objects = objects_of(config(colour="blue"))
    read = await objects.get(REF)
    assert read is not None
    read["data"]["colour"] = "green"
    assert (await objects.get(REF) or {})["data"] == {"colour": "blue"}
