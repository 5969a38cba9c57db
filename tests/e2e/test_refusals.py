"""The controller is refused by the cluster in the middle of a rollout, and is let in again."""

import asyncio
from pathlib import Path

import pytest

from flagger_py.objects.resource import Manifest, Ref, Resource
from tests.e2e.controlplane import ControlPlane
from tests.e2e.world import AWAY, in_the_middle

BINDING = Ref(Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False), "", "flagger")


@pytest.mark.timeout(180)
async def test_a_token_that_is_no_longer_accepted_is_replaced(run_folder: Path) -> None:
    """As one that has expired: the kubelet writes a new one, the controller reads the file again after a 401."""
    async with in_the_middle(run_folder, "token", keeps_rights=False) as (cluster, _):
        await replace_signing_key(cluster.stack.plane)
        assert cluster.stack.nodes is not None
        await asyncio.sleep(3)
        await cluster.stack.nodes.sandboxes.refresh()
    assert cluster.refused_calls() != []


async def replace_signing_key(plane: ControlPlane) -> None:
    """Every token of a service account is worthless from now on."""
    await plane.api_server.stop()
    await plane.controller_manager.stop()
    await asyncio.to_thread(plane.write_signing_key)
    await plane.start_api_server()
    await plane.controller_manager.start()


@pytest.mark.timeout(180)
async def test_rights_are_taken_away_and_given_back(run_folder: Path) -> None:
    async with in_the_middle(run_folder, "rights", keeps_rights=False) as (cluster, running):
        binding: Manifest = await cluster.client.get(BINDING)
        await cluster.client.delete(BINDING)
        await asyncio.sleep(AWAY)
        assert any(call.code == 403 for call in cluster.calls())
        kept = {key: binding["metadata"][key] for key in ("name", "labels")}
        await cluster.client.create(BINDING.resource, {**binding, "metadata": kept})
        assert (await running.look())["phase"] != "Failed"
    assert "orbidden" in cluster.controller_log()
