"""How the real Envoy is given its configuration, and what is told when it refuses it or ends."""

import os
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from flagger_py.local.cluster import LocalCluster
from flagger_py.local.envoy.translation import HTTP_ROUTE
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import SERVICE, Ref
from tests.local.deployed import (
    TEST,
    client,
    deploy_gateway,
    deploy_two_versions,
    load,
    running,
    service,
    set_rules,
    split,
    until,
    version_of,
)

pytestmark = pytest.mark.local


def open_files(pid: int) -> list[str]:
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files of another process are read from /proc")
async def test_forty_backends_take_no_inotify_instance(tmp_path: Path) -> None:
    """A user has 128 on most machines, shared by IDEs and everything else that watches files."""
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(100, 0))
        async with load(cluster, 100) as generator:
            names = [f"backend-{number}" for number in range(40)]
            await cluster.apply([(SERVICE, service(name)) for name in names])
            idle = [{"name": name, "port": 80, "weight": 0} for name in names]
            rules = [{"backendRefs": [*split(50, 50)["backendRefs"], *idle[start::4]]} for start in range(4)]
            await set_rules(cluster, *rules)
            clusters = await cluster.gateway.process.admin("/clusters")
            assert all(f"{TEST}/{name}/80::added_via_api::true" in clusters for name in names)
            assert not [name for name in open_files(cluster.gateway.process.pid) if "inotify" in name]
        assert generator.tally.failures() == 0


async def test_a_refused_configuration_is_told_in_envoys_words_and_mended(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(100, 0))
        with capture_logs() as logs:
            match = {"headers": [{"type": "RegularExpression", "name": "x", "value": "(?=x)"}]}
            rules = [{**split(0, 100), "matches": [match]}]
            await cluster.client.patch(Ref(HTTP_ROUTE, TEST, "web"), MergePatch({"spec": {"rules": rules}}))

            async def claim() -> bool:
                return any(entry["event"] == "envoy_not_programmed" for entry in logs)

            await until(claim)
        (told,) = [entry["error"] for entry in logs if entry["event"] == "envoy_not_programmed"]
        assert told == "Envoy has not taken its routes http-80: invalid perl operator: (?="
        async with client(cluster) as session:
            assert await version_of(session) == "1"
            await set_rules(cluster, split(0, 100))
            assert await version_of(session) == "2"


async def test_an_envoy_that_ends_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.gateway.process.ready()
        with capture_logs() as logs:
            os.kill(cluster.gateway.process.pid, signal.SIGABRT)
            await until_restarted(cluster)
        (ended,) = [entry for entry in logs if entry["event"] == "envoy_ended"]
        assert ended["code"] == -signal.SIGABRT
        assert ended["reasons"][0].startswith("Caught Aborted")


async def until_restarted(cluster: LocalCluster) -> None:
    async def claim() -> bool:
        return cluster.gateway.process.restarts == 1

    await until(claim)
