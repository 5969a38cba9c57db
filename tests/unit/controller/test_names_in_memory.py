"""Names at their limits: the longest go all the way, and one character more is told with what is allowed."""

from typing import Any, Final

import pytest

from flagger_py.objects.resource import CANARY, CONFIG_MAP, CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, EVENT, SERVICE, Manifest, Resource
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, daemon_set, deployment, memory_cluster, running_controller
from tests.memory.people import told
from tests.memory.service_targets import service, service_canary

pytestmark = pytest.mark.looptime

LONGEST: Final = "t" * 55
"""`-primary` makes 63 characters of it: the limit of a label's value and of a Service's name."""
CONFIG: Final = "c" * 245
"""`-primary` makes 253 characters of it: the limit of any name."""
OBJECT: Final = 253
KINDS: Final = (DEPLOYMENT, DAEMON_SET)


def app(kind: Resource, name: str, image: str = "web:1") -> Manifest:
    """A workload whose pods read a ConfigMap."""
    manifest = daemon_set(image, name) if kind == DAEMON_SET else deployment(image, name)
    manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": CONFIG}}]
    return manifest


def canary_of(target: str, *, name: str, kind: Resource = DEPLOYMENT, **spec: Any) -> Manifest:
    manifest = canary(name, kind=kind.kind)
    manifest["spec"] |= {"targetRef": {"apiVersion": kind.api_version, "kind": kind.kind, "name": target}, **spec}
    return manifest


async def deploy(cluster: MemoryCluster, kind: Resource, target: str, *, name: str) -> None:
    cluster.target = kind
    config = {"metadata": {"name": CONFIG, "namespace": NAMESPACE}, "data": {"colour": "blue"}}
    await cluster.client.create(CONFIG_MAP, config)
    await cluster.client.create(kind, app(kind, target))
    await cluster.client.create(CANARY, canary_of(target, name=name, kind=kind))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_the_longest_names_go_all_the_way(kind: Resource) -> None:
    """workloads:SEL-04, GEN-01, api:GAP-41, engine:EVT-02: of target, label, Services, configs, and of the Canary itself."""
    name = "n" * OBJECT
    async with memory_cluster() as cluster, running_controller(cluster):
        await deploy(cluster, kind, LONGEST, name=name)
        await cluster.until_phase("Initialized", name=name)
        await cluster.patch(kind, LONGEST, {"spec": {"template": app(kind, LONGEST, "web:2")["spec"]["template"]}})
        await cluster.until_phase("Succeeded", name=name)
        primary = await cluster.get(kind, f"{LONGEST}-primary")
        assert primary["spec"]["selector"]["matchLabels"] == {"app": f"{LONGEST}-primary"}
        assert (await cluster.get(CONFIG_MAP, f"{CONFIG}-primary"))["data"] == {"colour": "blue"}
        names = {one["metadata"]["name"] for one in await cluster.client.find(SERVICE, NAMESPACE)}
        assert names == {LONGEST, f"{LONGEST}-primary", f"{LONGEST}-canary"}
        for resource in (EVENT, CONTROLLER_REVISION):
            lengths = [len(one["metadata"]["name"]) for one in await cluster.client.find(resource, NAMESPACE)]
            assert lengths
            assert max(lengths) <= OBJECT


@pytest.mark.parametrize("kind", [*KINDS, SERVICE], ids=lambda kind: kind.kind)
async def test_a_target_with_one_character_more_is_refused_by_the_server(kind: Resource) -> None:
    """api:GAP-41: our definition says so before anything is stored."""
    target = f"{LONGEST}t"
    manifest = service_canary(target) if kind == SERVICE else canary_of(target, name="web", kind=kind)
    async with memory_cluster() as cluster:
        with pytest.raises(Exception, match=r"at most 55 characters, so that -primary can be added"):
            await cluster.client.create(CANARY, manifest)


async def test_an_apex_name_with_one_character_more_is_refused_by_the_server() -> None:
    """api:GAP-41."""
    manifest = canary_of("web", name="web", service={**canary()["spec"]["service"], "name": f"{LONGEST}t"})
    async with memory_cluster() as cluster:
        with pytest.raises(Exception, match=r"spec\.service\.name.*at most 55"):
            await cluster.client.create(CANARY, manifest)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_a_label_without_room_is_told(kind: Resource) -> None:
    """workloads:SEL-04: the value of the label, not the name, becomes the primary's."""
    async with memory_cluster() as cluster, running_controller(cluster):
        manifest = daemon_set() if kind == DAEMON_SET else deployment()
        labels = {"app": f"{LONGEST}t"}
        manifest["spec"]["selector"], manifest["spec"]["template"]["metadata"]["labels"] = {"matchLabels": labels}, labels
        cluster.target = kind
        await cluster.client.create(kind, manifest)
        await cluster.client.create(CANARY, canary_of("web", name="web", kind=kind))
        await told(cluster, "ReferencesResolved", [f"{kind.kind} test/web", "at most 55 leave room for '-primary'"])


async def test_a_config_without_room_is_told() -> None:
    """workloads:CFG-08: its copy could not be named."""
    async with memory_cluster() as cluster, running_controller(cluster):
        manifest, name = deployment(), f"{CONFIG}c"
        manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": name}}]
        await cluster.client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": {}})
        await cluster.client.create(DEPLOYMENT, manifest)
        await cluster.client.create(CANARY, canary())
        await told(cluster, "ReferencesResolved", [name, "at most 245 leave room for '-primary'"])


async def test_the_longest_service_goes_all_the_way() -> None:
    """workloads:SEL-04, GEN-01, api:GAP-41."""
    async with memory_cluster() as cluster, running_controller(cluster):
        await cluster.client.create(SERVICE, service(LONGEST))
        await cluster.client.create(CANARY, service_canary(LONGEST))
        await cluster.until_phase("Initialized", name=LONGEST)
        assert len((await cluster.get(SERVICE, f"{LONGEST}-primary"))["metadata"]["name"]) == 63
