"""Whole rollouts through real Contour and Envoy, judged by a real Prometheus, weights counted on the answers."""

import asyncio

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.samples import APP, Sample
from tests.e2e.app import PATIENCE, PROMETHEUS, App, app

PROVIDERS = ("contour", "gatewayapi:v1", "gatewayapi:v1beta1")


def sample(provider: str, namespace: str) -> Sample:
    """Steps of 20 % to 40 %, five seconds each."""
    return Sample(provider, PROMETHEUS, namespace, interval="5s", window="5s", step_weight=20, max_weight=40, threshold=PATIENCE)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_good_version_is_promoted_and_a_bad_one_rolled_back(client: Client, namespace: str, provider: str) -> None:
    """E2E-02, E2E-03, E2E-05, E2E-06, E2E-68."""
    async with app(client, sample(provider, namespace)) as running:
        await _promoted(running)
        await _rolled_back(running)


async def _promoted(running: App) -> None:
    await running.release("2")
    await running.until_phase("Succeeded")
    assert {20, 40} <= running.check_weights("2").keys()
    assert await running.image(f"{APP}-primary") == "2"
    assert await running.replicas(APP) == 0
    running.check_no_failures()
    assert running.phases[-5:] == ["Initialized", "Progressing", "Promoting", "Finalising", "Succeeded"]


async def _rolled_back(running: App) -> None:
    await running.release("3", FAULT_ERROR_PERCENT="30")
    status = await running.until_phase("Failed")
    assert status["canaryWeight"] == 0
    assert await running.image(f"{APP}-primary") == "2"
    assert await running.replicas(APP) == 0
    assert {answer.version for answer in running.answers() if answer.is_failure} == {"3"}
    since = asyncio.get_running_loop().time()
    await asyncio.sleep(3)  # traffic after the end: nothing of the bad version is left
    assert {(answer.version, answer.status) for answer in running.answers(since + 1)} == {("2", 200)}
