"""The tutorials, typed in as their pages say: each command has to succeed, and the cluster has to be as the page tells."""

import asyncio
import os
from typing import Final

import pytest

from flagger_py.kube.client import Client
from flagger_py.objects.resource import CANARY, DEPLOYMENT, EVENT, Ref
from tests.e2e.pages import TOP, Page

CONTOUR: Final = Page.read(TOP / "docs/tutorials/gatewayapi-contour.md")
ENDINGS: Final = {"Promotion": "promotion", "Rollback": "rollback", "A/B test": "abtest"}
"""Sections with a namespace of their own."""


@pytest.mark.timeout(400)
async def test_gateway_api_on_contour(client: Client) -> None:
    """E2E-02, E2E-04, E2E-05, E2E-06, E2E-53: promotion, rollback and A/B test side by side, load by the load tester."""
    assert list(CONTOUR.sections) == ["Prepare", *ENDINGS, "Clean up"]
    environment = await CONTOUR.type_in("Prepare", dict(os.environ))
    async with asyncio.TaskGroup() as group:
        for section in ENDINGS:
            group.create_task(CONTOUR.type_in(section, environment), name=section)
    found = {namespace: await _ending(client, namespace) for namespace in ENDINGS.values()}
    assert found == {"promotion": ("Succeeded", "6.9.1"), "rollback": ("Failed", "6.9.0"), "abtest": ("Succeeded", "6.9.1")}
    assert await _events(client, "promotion", "Advance") == [
        f"Advance web.promotion canary weight {weight}" for weight in range(10, 60, 10)
    ]
    assert await _events(client, "rollback", "Rolling back") == ["Rolling back web.rollback failed checks threshold reached 2"]
    assert not await _events(client, "promotion", "Halt")
    await CONTOUR.type_in("Clean up", environment)


async def _ending(client: Client, namespace: str) -> tuple[str, str]:
    """The Canary's phase and the version that the primary runs."""
    canary = await client.get(Ref(CANARY, namespace, "web"))
    primary = await client.get(Ref(DEPLOYMENT, namespace, "web-primary"))
    image = str(primary["spec"]["template"]["spec"]["containers"][0]["image"])
    return canary["status"]["phase"], image.rpartition(":")[2]


async def _events(client: Client, namespace: str, beginning: str) -> list[str]:
    """Messages of the Canary's events that begin so, oldest first."""
    found = await client.find(EVENT, namespace)
    ours = [event for event in found if event["involvedObject"]["kind"] == "Canary" and event["message"].startswith(beginning)]
    return [event["message"] for event in sorted(ours, key=lambda event: int(event["metadata"]["resourceVersion"]))]
