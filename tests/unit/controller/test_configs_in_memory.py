"""ConfigMaps and Secrets as a part of the version, in every place where pods name them: the real controller, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import pytest

from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SECRET, Manifest, Ref, Resource
from flagger_py.workloads.marks import restarted_for
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, daemon_set, deployment, memory_cluster, running_controller, wanted_pods
from tests.memory.people import messages, told, until_cleared
from tests.memory.recordings import image_of, weights_seen

pytestmark = pytest.mark.looptime

OLD, NEW = {"colour": "Ymx1ZQ=="}, {"colour": "Z3JlZW4="}
"""Base64, which is also a text: good for both kinds."""


class Place(NamedTuple):
    """Where a pod names a config: what is added to its spec, and how its name is found there again."""

    resource: Resource
    pod: Callable[[str], Manifest]
    named: Callable[[Manifest], str]


def _container(field: str, *, init: bool = False) -> Callable[[Any], Manifest]:
    containers = "initContainers" if init else "containers"
    return lambda source: {containers: [{"name": "init" if init else "web", "image": "web:1", field: [source]}]}


def _in_container(field: str, *, init: bool = False) -> Callable[[Manifest], Any]:
    containers = "initContainers" if init else "containers"
    return lambda spec: spec[containers][0][field][0]


def _env(resource: Resource, *, init: bool = False) -> Place:
    key = "configMapKeyRef" if resource == CONFIG_MAP else "secretKeyRef"
    pod, found = _container("env", init=init), _in_container("env", init=init)
    return Place(
        resource,
        lambda name: pod({"name": "COLOUR", "valueFrom": {key: {"name": name, "key": "colour"}}}),
        lambda spec: found(spec)["valueFrom"][key]["name"],
    )


def _env_from(resource: Resource, *, init: bool = False) -> Place:
    key = "configMapRef" if resource == CONFIG_MAP else "secretRef"
    pod, found = _container("envFrom", init=init), _in_container("envFrom", init=init)
    return Place(resource, lambda name: pod({key: {"name": name}}), lambda spec: found(spec)[key]["name"])


def _volume(resource: Resource) -> Place:
    kind, field = ("configMap", "name") if resource == CONFIG_MAP else ("secret", "secretName")
    return Place(
        resource, lambda name: {"volumes": [{"name": "v", kind: {field: name}}]}, lambda spec: str(spec["volumes"][0][kind][field])
    )


def _projected(resource: Resource) -> Place:
    kind = "configMap" if resource == CONFIG_MAP else "secret"
    return Place(
        resource,
        lambda name: {"volumes": [{"name": "v", "projected": {"sources": [{kind: {"name": name}}]}}]},
        lambda spec: str(spec["volumes"][0]["projected"]["sources"][0][kind]["name"]),
    )


PLACES: Final[Mapping[str, Place]] = {
    f"{resource.kind} in {place}": make(resource)
    for resource in (CONFIG_MAP, SECRET)
    for place, make in {
        "env": _env,
        "envFrom": _env_from,
        "the env of an init container": lambda one: _env(one, init=True),
        "the envFrom of an init container": lambda one: _env_from(one, init=True),
        "a volume": _volume,
        "a projected volume": _projected,
    }.items()
}
ENV_FROM: Final = PLACES["ConfigMap in envFrom"]


def config(resource: Resource, data: Mapping[str, str], name: str = "settings", **parts: Any) -> Manifest:
    return {"metadata": {"name": name, "namespace": NAMESPACE, **parts.pop("metadata", {})}, "data": dict(data), **parts}


@asynccontextmanager
async def initialised(
    place: Place = ENV_FROM, *configs: Manifest, target: Resource = DEPLOYMENT, names: str = "settings"
) -> AsyncIterator[MemoryCluster]:
    """An app whose pods name a config in this place, and these configs; its Canary is initialised."""
    async with memory_cluster() as cluster:
        cluster.target = target
        for manifest in configs or (config(place.resource, OLD),):
            await cluster.client.create(place.resource, manifest)
        await cluster.client.create(target, with_pod(target, place.pod(names)))
        await cluster.client.create(CANARY, canary(kind=target.kind))
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            yield cluster


def with_pod(target: Resource, pod: Manifest) -> Manifest:
    manifest = deployment() if target == DEPLOYMENT else daemon_set()
    manifest["spec"]["template"]["spec"] |= pod
    return manifest


async def release(cluster: MemoryCluster, image: str) -> None:
    """Set another image on a target whose pods name a config in `envFrom`."""
    container = {**ENV_FROM.pod("settings")["containers"][0], "image": image}
    await cluster.patch(cluster.target, "web", {"spec": {"template": {"spec": {"containers": [container]}}}})


async def pod_spec(cluster: MemoryCluster, name: str) -> Manifest:
    found: Manifest = (await cluster.get(cluster.target, name))["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_a_changed_config_alone_is_rolled_out_and_reaches_the_primary_as_a_copy(place: Place) -> None:
    """workloads:CFG-01, CFG-08, CFG-10, CFG-11, engine:REV-04: users keep the old one until the new one is promoted."""
    async with initialised(place) as cluster:
        assert place.named(await pod_spec(cluster, "web-primary")) == "settings-primary"
        assert place.named(await pod_spec(cluster, "web")) == "settings"
        await cluster.patch(place.resource, "settings", {"data": NEW})
        await cluster.until(lambda status: status.get("canaryWeight") == 40)
        assert (await cluster.get(place.resource, "settings-primary"))["data"] == OLD
        await cluster.until_phase("Succeeded")
        assert (await cluster.get(place.resource, "settings-primary"))["data"] == NEW
        assert place.named(await pod_spec(cluster, "web-primary")) == "settings-primary"


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_one_that_fails_its_checks_never_reaches_the_primary(place: Place) -> None:
    """workloads:CFG-08"""
    async with initialised(place) as cluster:
        cluster.web.success_rate = 50
        await cluster.patch(place.resource, "settings", {"data": NEW})
        await cluster.until_phase("Failed")
        assert (await cluster.get(place.resource, "settings-primary"))["data"] == OLD


@pytest.mark.parametrize("target", [DEPLOYMENT, DAEMON_SET], ids=lambda one: one.kind)
async def test_one_that_changes_in_the_middle_of_a_run_starts_pods_and_run_anew(target: Resource) -> None:
    """workloads:CHG-06: pods read their environment once. Their mark is no new revision, and goes with them."""
    async with initialised(target=target) as cluster, weights_seen(cluster, "gatewayapi:v1") as seen:
        await release(cluster, "web:2")
        await cluster.until(lambda status: status.get("canaryWeight") == 40)
        template = (await cluster.get(target, "web"))["spec"]["template"]
        assert restarted_for(template) == ""
        run = (await cluster.status())["rollout"]["run"]
        await cluster.patch(CONFIG_MAP, "settings", {"data": NEW})
        await cluster.until(lambda status: status["rollout"]["run"] != run)
        await cluster.until(lambda status: status.get("canaryWeight") == 20)
        marked = (await cluster.get(target, "web"))["spec"]["template"]
        assert restarted_for(marked).startswith((await cluster.status())["rollout"]["run"])
        await cluster.until_phase("Succeeded")
        assert seen == [(100, 0), (80, 20), (60, 40), (100, 0), (80, 20), (60, 40), (100, 0)]
        for name in ("web", "web-primary"):
            assert restarted_for((await cluster.get(target, name))["spec"]["template"]) == ""
        assert wanted_pods(await cluster.get(target, "web")) == 0
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == NEW
        assert (await cluster.status()).get("rollout", {}).get("restartPods") is None


async def test_an_optional_one_may_be_absent_and_counts_when_it_appears() -> None:
    """workloads:CFG-03, CFG-04"""
    place = Place(CONFIG_MAP, lambda name: _container("envFrom")({"configMapRef": {"name": name, "optional": True}}), ENV_FROM.named)
    async with initialised(place, config(CONFIG_MAP, OLD, "another"), names="settings") as cluster:
        assert place.named(await pod_spec(cluster, "web-primary")) == "settings", "there is nothing to copy"
        await cluster.client.create(CONFIG_MAP, config(CONFIG_MAP, NEW))
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Succeeded")
        assert place.named(await pod_spec(cluster, "web-primary")) == "settings-primary"
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == NEW
        await cluster.client.delete(Ref(CONFIG_MAP, NAMESPACE, "settings"))
        await cluster.until_phase("Progressing")


async def test_one_that_must_be_there_holds_everything_until_it_is() -> None:
    """workloads:CFG-04"""
    async with memory_cluster() as cluster, running_controller(cluster):
        await cluster.client.create(DEPLOYMENT, with_pod(DEPLOYMENT, ENV_FROM.pod("settings")))
        await cluster.client.create(CANARY, canary())
        await told(cluster, "ReferencesResolved", ["ConfigMap test/settings does not exist, but Deployment test/web refers to it"])
        await cluster.client.create(CONFIG_MAP, config(CONFIG_MAP, OLD))
        await until_cleared(cluster, "ReferencesResolved")
        await cluster.until_phase("Initialized")


@pytest.mark.parametrize("resource", [CONFIG_MAP, SECRET], ids=lambda one: one.kind)
async def test_an_immutable_one_of_a_new_name_is_rolled_out_and_the_old_copy_collected(resource: Resource) -> None:
    """workloads:CFG-09: as Kustomize and Helm name them. The copy is not immutable."""
    place = PLACES[f"{resource.kind} in a volume"]
    first, second = (config(resource, data, f"settings-{index}", immutable=True) for index, data in enumerate((OLD, NEW)))
    async with initialised(place, first, names="settings-0") as cluster:
        assert "immutable" not in await cluster.get(resource, "settings-0-primary")
        await cluster.client.create(resource, second)
        await cluster.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": place.pod("settings-1")}}})
        await cluster.until_phase("Progressing")
        assert (await cluster.get(resource, "settings-0-primary"))["data"] == OLD, "the primary's pods need it"
        await cluster.until_phase("Succeeded")
        await asyncio.sleep(10)
        assert (await cluster.get(resource, "settings-1-primary"))["data"] == NEW
        with pytest.raises(NotFound):
            await cluster.get(resource, "settings-0-primary")
        assert (await cluster.get(resource, "settings-0"))["data"] == OLD, "the user's own is left alone"


async def test_one_that_opted_out_is_neither_copied_nor_rolled_out() -> None:
    """workloads:CFG-05: taking the annotation away is a change."""
    opted_out = config(CONFIG_MAP, OLD, metadata={"annotations": {"flagger.app/config-tracking": "disabled"}})
    async with initialised(ENV_FROM, opted_out) as cluster:
        assert ENV_FROM.named(await pod_spec(cluster, "web-primary")) == "settings"
        await cluster.patch(CONFIG_MAP, "settings", {"data": NEW})
        await asyncio.sleep(60)
        assert (await cluster.status())["phase"] == "Initialized"
        with pytest.raises(NotFound):
            await cluster.get(CONFIG_MAP, "settings-primary")
        await cluster.patch(CONFIG_MAP, "settings", {"metadata": {"annotations": {"flagger.app/config-tracking": None}}})
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Succeeded")
        assert ENV_FROM.named(await pod_spec(cluster, "web-primary")) == "settings-primary"


async def test_without_tracking_nothing_is_copied() -> None:
    """workloads:CFG-14, S4"""
    async with memory_cluster() as cluster, running_controller(cluster, enable_config_tracking=False):
        await cluster.client.create(CONFIG_MAP, config(CONFIG_MAP, OLD))
        await cluster.client.create(DEPLOYMENT, with_pod(DEPLOYMENT, ENV_FROM.pod("settings")))
        await cluster.client.create(CANARY, canary())
        await cluster.until_phase("Initialized")
        await cluster.patch(CONFIG_MAP, "settings", {"data": NEW})
        await asyncio.sleep(60)
        assert (await cluster.status())["phase"] == "Initialized"
        assert ENV_FROM.named(await pod_spec(cluster, "web-primary")) == "settings"


async def test_a_change_while_the_primary_is_promoted_gets_its_own_run() -> None:
    """workloads:CHG-07, CFG-08: what was analysed is what is promoted."""
    async with initialised() as cluster:
        cluster.ready_after = 5
        await release(cluster, "web:2")
        await cluster.until_phase("Promoting")
        await cluster.patch(CONFIG_MAP, "settings", {"data": NEW})
        await cluster.until_phase("Finalising")
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == OLD
        await cluster.until_phase("Progressing")
        await cluster.until_phase("Succeeded")
        assert (await cluster.get(CONFIG_MAP, "settings-primary"))["data"] == NEW
        assert image_of(await cluster.get(DEPLOYMENT, "web-primary")) == "web:2"
        assert not [text for text in await messages(cluster) if "Rolling back" in text]
