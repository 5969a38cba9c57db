"""The scenarios of spec/operations.md §16 on a real cluster, for the providers that run here: Contour, Gateway API, plain Services."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.samples import APP, Sample
from flagger_py.local.traffic import LoadGenerator
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONFIG_MAP, DEPLOYMENT, Manifest, Ref
from tests.e2e.app import PATIENCE, PROMETHEUS, Change, app, load, settings
from tests.e2e.hooks import hooks
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(150)
INSIDER: Mapping[str, str] = {"x-canary": "insider"}
MATCH = [{"headers": {"x-canary": {"exact": "insider"}}}]


def sample(provider: str, namespace: str, **analysis: Any) -> Sample:
    """Quick steps of 20 % to 40 %."""
    return Sample(
        provider, PROMETHEUS, namespace, interval="3s", window="5s", step_weight=20, max_weight=40, threshold=PATIENCE, analysis=analysis
    )


def iterations(count: int, **more: Any) -> Change:
    """Iterations in place of weights, without metrics: some of these versions meet no requests before they are promoted."""

    def change(manifest: Manifest) -> None:
        if manifest["metadata"]["name"] == APP and "analysis" in manifest["spec"]:
            analysis = manifest["spec"]["analysis"]
            for field in ("stepWeight", "maxWeight", "metrics"):
                del analysis[field]
            analysis |= {"iterations": count, **more}

    return change


@pytest.mark.parametrize("provider", ["contour", "gatewayapi:v1"])
async def test_a_header_leads_to_the_new_version_and_nothing_else_does(client: Client, namespace: str, provider: str) -> None:
    """E2E-04, E2E-08: A/B test."""
    chosen = sample(provider, namespace)
    async with app(client, chosen, adapt=iterations(3, match=MATCH)) as running, load(_insiders(chosen)) as insiders:
        await running.release("2")
        await running.until_phase("Progressing")
        await until(lambda: _meet_only(insiders, "2"), seconds=20)
        assert set(running.load.tally.window(2).versions()) == {"1"}
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def _meet_only(generator: LoadGenerator, version: str) -> bool:
    return set(generator.tally.window(1).versions()) == {version}


def _insiders(chosen: Sample) -> LoadGenerator:
    return LoadGenerator(settings(chosen, 20, headers=INSIDER))


async def test_blue_green_shows_the_new_version_only_when_all_iterations_have_passed(client: Client, namespace: str) -> None:
    """E2E-07."""
    async with app(client, sample("gatewayapi:v1", namespace), adapt=iterations(3)) as running:
        await running.release("2")
        await running.until_phase("Progressing")
        await asyncio.sleep(4)
        assert set(running.load.tally.window(3).versions()) == {"1"}
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def test_without_analysis_a_version_is_promoted_at_once(client: Client, namespace: str) -> None:
    """E2E-19."""
    async with app(client, sample("gatewayapi:v1", namespace)) as running:
        await running.change({"skipAnalysis": True})
        await running.release("2")
        await running.until_phase("Succeeded")
        assert {moment.weight for moment in running.moments} <= {0, 100}
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def test_an_image_that_does_not_exist_fails_and_leaves_the_primary_alone(client: Client, namespace: str) -> None:
    """E2E-20."""
    async with app(client, sample("gatewayapi:v1", namespace)) as running:
        await running.change({"skipAnalysis": True, "progressDeadlineSeconds": 8})
        await running.release("missing")
        await running.until_phase("Failed")
        assert await running.image(f"{APP}-primary") == "1"
        assert {answer.version for answer in running.answers()} == {"1"}
        running.check_no_failures()


async def test_step_weights_end_at_the_last_one_before_the_maximum(client: Client, namespace: str) -> None:
    """E2E-34."""

    def change(manifest: Manifest) -> None:
        if "analysis" in manifest["spec"]:
            del manifest["spec"]["analysis"]["stepWeight"]
            manifest["spec"]["analysis"] |= {"stepWeights": [10, 30, 60], "maxWeight": 50}

    async with app(client, sample("gatewayapi:v1", namespace), adapt=change) as running:
        await running.release("2")
        await running.until_phase("Succeeded")
        assert {10, 30} <= {moment.weight for moment in running.moments}
        assert await running.image(f"{APP}-primary") == "2"
        running.check_no_failures()


async def test_after_a_rollback_a_revert_rests_and_the_same_or_a_changed_version_is_tried_again(client: Client, namespace: str) -> None:
    """E2E-38, E2E-39, E2E-40, E2E-41."""
    async with app(client, sample("gatewayapi:v1", namespace)) as running:
        await running.release("2", FAULT_ERROR_PERCENT="50")
        await running.until_phase("Failed")
        await running.release("1")
        await asyncio.sleep(5)
        assert (await running.look())["phase"] == "Failed"
        await running.release("2", FAULT_ERROR_PERCENT="50")
        await running.until_phase("Progressing")
        await running.until_phase("Failed")
        await running.release("2")
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"


async def test_a_suspended_rollout_waits(client: Client, namespace: str) -> None:
    """E2E-50."""
    async with app(client, sample("gatewayapi:v1", namespace)) as running:
        await running.release("2")
        await running.until_phase("Progressing")
        await running.change({"suspend": True})
        await asyncio.sleep(2)
        before = (await running.look())["canaryWeight"]
        await asyncio.sleep(7)
        assert (await running.look())["canaryWeight"] == before
        await running.change({"suspend": False})
        await running.until_phase("Succeeded")
        running.check_no_failures()


async def test_gates_hold_until_they_open(client: Client, namespace: str) -> None:
    """E2E-53, E2E-12, E2E-16, E2E-43."""
    async with hooks(confirm_rollout=403, confirm_promotion=403, confirm_traffic_increase=403) as server:
        kinds = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout")
        webhooks = [server.webhook(kind) for kind in kinds]
        async with app(client, sample("gatewayapi:v1", namespace, webhooks=webhooks)) as running:
            await running.release("2")
            await running.until_phase("Waiting")
            server.codes["confirm-rollout"] = 200
            await running.until_phase("Progressing")
            await asyncio.sleep(5)
            assert (await running.look())["canaryWeight"] <= 20
            server.codes["confirm-traffic-increase"] = 200
            await running.until_phase("WaitingPromotion")
            server.codes["confirm-promotion"] = 200
            await running.until_phase("Succeeded")
            running.check_no_failures()
            await server.until_called("post-rollout")
        assert server.payloads("post-rollout")[0]["phase"] == "Succeeded"
        payload = server.payloads("rollout")[0]
        assert (payload["name"], payload["namespace"], payload["phase"]) == (APP, namespace, "Progressing")


async def test_a_rollback_hook_ends_a_rollout(client: Client, namespace: str) -> None:
    """E2E-53."""
    async with hooks(rollback=403) as server, app(client, sample("contour", namespace, webhooks=[server.webhook("rollback")])) as running:
        await running.release("2")
        await running.until_phase("Progressing")
        await asyncio.sleep(4)
        server.codes["rollback"] = 200
        await running.until_phase("Failed")
        assert await running.image(f"{APP}-primary") == "1"
        running.check_no_failures()


async def test_each_event_is_posted(client: Client, namespace: str) -> None:
    """E2E-55."""
    async with hooks() as server, app(client, sample("gatewayapi:v1", namespace, webhooks=[server.webhook("event")])) as running:
        await running.release("2")
        await running.until_phase("Succeeded")
        await server.until_called("event", "Promotion completed")
        told = [payload["metadata"]["eventMessage"] for payload in server.payloads("event")]
        assert {message for message in await running.events() if "Advance" in message or "Promotion" in message} <= set(told)


async def test_a_changed_config_map_is_a_new_revision(client: Client, namespace: str) -> None:
    """E2E-56."""
    config = {"metadata": {"name": "settings", "namespace": namespace}, "data": {"A": "1"}}
    await client.create(CONFIG_MAP, config)

    def change(manifest: Manifest) -> None:
        if "template" in manifest["spec"]:
            manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]

    async with app(client, sample("gatewayapi:v1", namespace), adapt=change) as running:
        await client.patch(Ref(CONFIG_MAP, namespace, "settings"), MergePatch({"data": {"A": "2"}}))
        await running.until_phase("Progressing")
        await running.until_phase("Succeeded")
        copied = await client.get(Ref(CONFIG_MAP, namespace, "settings-primary"))
        assert copied["data"] == {"A": "2"}
        running.check_no_failures()


async def test_a_new_version_in_the_middle_begins_anew(client: Client, namespace: str) -> None:
    """E2E-57."""
    async with app(client, sample("gatewayapi:v1", namespace)) as running:
        await running.release("2")
        await running.until_first_check()
        await running.release("3")
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "3"
        running.check_no_failures()


async def test_a_canary_that_makes_no_sense_hurts_no_other(client: Client, namespace: str) -> None:
    """E2E-61, E2E-32: one on a missing Deployment, one with an unknown provider."""
    async with app(client, sample("gatewayapi:v1", namespace)) as running:
        good = await client.get(Ref(CANARY, namespace, APP))
        for name, provider in (("absent", "gatewayapi:v1"), ("odd", "odd")):
            spec = {**good["spec"], "provider": provider, "targetRef": {**good["spec"]["targetRef"], "name": name}}
            await client.create(CANARY, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
        await running.release("2")
        await running.until_phase("Succeeded")
        odd = (await client.get(Ref(CANARY, namespace, "odd")))["status"]
        assert "odd" in next(condition["message"] for condition in odd["conditions"] if condition["type"] == "Valid")
        running.check_no_failures()


async def test_plain_services_promote_after_their_iterations(client: Client, namespace: str) -> None:
    """E2E-26: blue/green without a gateway."""
    chosen = sample("gatewayapi:v1", namespace)

    def change(manifest: Manifest) -> None:
        iterations(2)(manifest)
        if "analysis" in manifest["spec"]:
            manifest["spec"]["provider"] = "kubernetes"
            del manifest["spec"]["service"]["gatewayRefs"]

    async with app(client, chosen, rate=0, adapt=change) as running:
        await running.release("2")
        await running.until_phase("Succeeded")
        assert await running.image(f"{APP}-primary") == "2"
        primary = await client.get(Ref(DEPLOYMENT, namespace, f"{APP}-primary"))
        assert primary["metadata"]["ownerReferences"][0]["kind"] == "Canary"
