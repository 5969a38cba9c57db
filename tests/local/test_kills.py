"""The controller is killed (SIGKILL) again and again under real traffic: it costs time, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from flagger_py.local.samples import APP
from flagger_py.objects.errors import NotFound
from flagger_py.objects.resource import CANARY, Manifest, Ref
from tests.local.site import LIMIT, POLL, Site, site
from tests.local.stage import on_stage

Moment = Callable[[Manifest], bool]


@asynccontextmanager
async def site_without_election(folder: Path) -> AsyncIterator[Site]:
    """A new process works at once, instead of when the Lease of the killed one has run out."""
    async with site(folder, flags={"enable-leader-election": "false"}) as found:
        yield found


def phase(name: str) -> Moment:
    return lambda status: status.get("phase") == name


def weight(percent: int) -> Moment:
    return lambda status: status.get("phase") == "Progressing" and status.get("canaryWeight") == percent


def is_promotion_intended(status: Manifest) -> bool:
    return bool((status.get("rollout") or {}).get("promoting"))


def is_end_decided(status: Manifest) -> bool:
    return bool((status.get("rollout") or {}).get("outcome")) or status.get("phase") == "Failed"


GOOD: Mapping[str, Moment] = {
    "while it initialises": phase("Initializing"),
    "before the first weight": weight(0),
    "at the first weight": weight(25),
    "at the last weight": weight(50),
    "when the promotion is intended": is_promotion_intended,
    "while the canary drains": phase("Finalising"),
}
BAD: Mapping[str, Moment] = {
    "at the first weight again": weight(25),
    "after a failed check": lambda status: bool(status.get("failedChecks")) or is_end_decided(status),
    "when the rollback is decided": is_end_decided,
}


async def kill_at(site: Site, namespace: str, moments: Mapping[str, Moment]) -> None:
    """Kill the controller when each moment has come, and go on once the next process is there."""
    for name, has_come in moments.items():
        async with asyncio.timeout(LIMIT):
            while not has_come(await _status(site, namespace)):  # noqa: ASYNC110 (the moment is what another process writes)
                await asyncio.sleep(POLL)
            starts = site.controllers.starts
            site.kill_controller()
            while site.controllers.starts == starts:  # noqa: ASYNC110 (likewise)
                await asyncio.sleep(POLL)
        assert site.controllers.starts > starts, name


async def _status(site: Site, namespace: str) -> Manifest:
    try:
        canary = await site.cluster.client.get(Ref(CANARY, namespace, APP))
    except NotFound:
        return {}
    return canary.get("status") or {}


@on_stage(site_without_election)
async def test_kills_at_every_stage_lose_no_request_and_change_no_outcome(site: Site) -> None:
    """engine:HAZ-09: the good version is promoted and the bad one rolled back, each once, in spite of nine kills."""
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill_at(site, "killed", GOOD), name="kills")
        async with site.app("killed") as app:
            await app.release("2")
            await app.until_phase("Progressing")
            assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
            await killing
            assert app.weights.weights == [0, 25, 50, 0]
            app.weights.assert_measured("2", app.load.tally.window(120).answers)
            assert await app.primary_version() == "2"
            app.assert_only_failures_of()

            await app.change_analysis(threshold=2)
            killing = group.create_task(kill_at(site, "killed", BAD), name="more kills")
            await app.release("3", FAULT_ERROR_PERCENT="50")
            await app.until_phase("Progressing")
            assert await app.until_phase("Succeeded", "Failed") == "Failed"
            await killing
            await app.until_weight(0)
            assert await app.primary_version() == "2"
            app.assert_only_failures_of("3")
    assert site.controllers.starts == 1 + len(GOOD) + len(BAD)


@on_stage(site_without_election)
async def test_a_rollout_beside_it_ends_as_it_should(site: Site) -> None:
    """The same kills, whenever they come for it."""
    async with site.app("beside", "istio") as app:
        for version in ("2", "3"):
            await app.release(version)
            await app.until_phase("Progressing")
            assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
            assert await app.primary_version() == version
        app.assert_only_failures_of()
        await site.assert_no_gateway_failure()
