"""Canaries, and their definition, are taken away from under a running controller, and come back."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import crds
from tests.e2e.app import app
from tests.e2e.before import deploy_before, revertible
from tests.e2e.kubectl import kubectl
from tests.e2e.world import sample, world


@pytest.mark.timeout(240)
async def test_without_the_definition_the_apps_serve_and_the_controller_waits_for_it(run_folder: Path) -> None:
    """E2E-70: `revertOnDeletion` gives each app back before the definition goes; with it, new Canaries are looked after."""
    async with world(run_folder, "uninstallation", replicas=1) as cluster:
        chosen = replace(sample(), interval="3s")
        await deploy_before(cluster.client, chosen)
        async with app(cluster.client, chosen, rate=20, adapt=revertible) as running:
            kubeconfig = str(cluster.stack.plane.kubeconfig())
            await kubectl("--kubeconfig", kubeconfig, "delete", "crd", "canaries.flagger.app", "--timeout=60s")
            await asyncio.sleep(3)
            assert await running.replicas("web") == chosen.replicas
            running.check_no_failures()
        assert "canaries.flagger.app" in cluster.controller_log()
        await asyncio.to_thread(crds.install, cluster.stack.plane.binaries["kubectl"], cluster.stack.plane.kubeconfig(), crds.ours())
        again = replace(chosen, namespace="again")
        await kubectl("--kubeconfig", kubeconfig, "create", "namespace", "again")
        async with app(cluster.client, again, rate=20) as running:
            await running.release("2")
            await running.until_phase("Succeeded")
            running.check_no_failures()
