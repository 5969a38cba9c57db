"""What Flagger 1.44 left behind: read as it is, continued without a write, and equal to what we write but for named deviations.

The recordings are reduced to the Canary and its routing objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Ref
from flagger_py.rollout.traffic import ALL_PRIMARY, Affinity, Pending, Routes, Traffic
from flagger_py.routers.base import RouterSettings
from flagger_py.routers.kubernetes import KubernetesRouter
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import router_of

FOLDER = Path(__file__).parents[2] / "fixtures" / "takeover"

SETTLED = dict.fromkeys(("initialized", "finalising", "succeeded", "failed"), ALL_PRIMARY)
WEIGHTED = SETTLED | {"progressing": Routes(80, 20), "failing": Routes(80, 20), "promoting": Routes(60, 40)}
AB_TEST = SETTLED | dict.fromkeys(("progressing", "failing", "promoting"), Routes(0, 100))
BLUE_GREEN = SETTLED | {"progressing": ALL_PRIMARY, "failing": ALL_PRIMARY, "promoting": Routes(0, 100)}
MIRRORED = WEIGHTED | {"mirroring": ALL_PRIMARY, "failing": Routes(100, 0, mirrored=True)}

RECORDED: dict[str, dict[str, Routes]] = {
    "contour-cookie": AB_TEST,
    "contour-weighted": WEIGHTED,
    "gateway-affinity": WEIGHTED,
    "gateway-header": AB_TEST,
    "gateway-rich": {"initialized": ALL_PRIMARY},
    "gateway-weighted": WEIGHTED,
    "istio-affinity": WEIGHTED,
    "istio-bluegreen": BLUE_GREEN,
    "istio-header": AB_TEST,
    "istio-mirror": MIRRORED,
    "istio-tcp": WEIGHTED,
    "istio-weighted": WEIGHTED,
}
"""The traffic in each phase."""

DEVIATIONS: dict[str, dict[str, str]] = {
    "gateway-affinity": {"spec.rules[0].matches[0].headers[0].value": "SA-14"},
    "gateway-rich": {"metadata.labels.app": "MD-05", "spec.rules[0].filters[3].cors.allowOrigins": "GW-11"},
    "istio-affinity": {"spec.http[0].match[0].headers.Cookie.regex": "SA-14", "spec.http[1].match[0].headers.Cookie.regex": "SA-14"},
    "istio-header": {"spec.http[1].route[0].weight": "IST-18"},
}
"""Where our objects differ from the recorded ones, and the rule that says so."""

REPAIRED = {"GW-11"}
"""Deviations that are written at once, because Flagger lost what the user asked for; all others wait for the next real change."""

SERVER_FIELDS = ("creationTimestamp", "generation", "resourceVersion", "uid")


@dataclass
class Recording:
    """One phase of one scenario."""

    scenario: str
    phase: str

    def __post_init__(self) -> None:
        found = documents(self.scenario, self.phase)
        self.canary = Canary.model_validate(next(document for document in found if document["kind"] == "Canary"))
        self.provider = self.canary.spec.provider
        kinds = {watched.resource.kind: watched.resource for watched in router_of(self.provider).resources(self.provider)}
        self.objects = MemoryObjects((kinds[document["kind"]], document) for document in found if document["kind"] in kinds)
        self.router = router_of(self.provider, self.objects)

    @property
    def traffic(self) -> Traffic:
        """What was asked for in this phase: the recorded weights, and the cookies of the status."""
        status = self.canary.status
        cookies = Affinity(
            canary=status.session_affinity_cookie,
            previous=status.previous_session_affinity_cookie,
            primary=status.primary_session_affinity_cookie,
        )
        return Traffic(RECORDED[self.scenario][self.phase], cookies)


RECORDINGS = [pytest.param(scenario, phase, id=f"{scenario}-{phase}") for scenario, phases in RECORDED.items() for phase in phases]


@pytest.mark.parametrize(("scenario", "phase"), RECORDINGS)
async def test_the_recorded_traffic_is_read(scenario: str, phase: str) -> None:
    """routers:CTR-22, IST-16, GW-16, CON-11."""
    recording = Recording(scenario, phase)
    assert await recording.router.get_routes(recording.canary) == RECORDED[scenario][phase]


@pytest.mark.parametrize(("scenario", "phase"), RECORDINGS)
async def test_unchanged_traffic_writes_nothing(scenario: str, phase: str) -> None:
    """routers:CTR-22: but for what Flagger lost."""
    recording = Recording(scenario, phase)
    await recording.router.set_routes(recording.canary, recording.traffic)
    repairs = REPAIRED & set(DEVIATIONS.get(scenario, {}).values())
    assert bool(recording.objects.writes) == bool(repairs)
    assert await recording.router.get_routes(recording.canary) == RECORDED[scenario][phase]


@pytest.mark.parametrize(("scenario", "phase"), RECORDINGS)
def test_what_we_write_equals_what_flagger_wrote(scenario: str, phase: str) -> None:
    """routers:GW-01, IST-01, CON-01, CTR-16 and the rules of the deviations."""
    recording = Recording(scenario, phase)
    rendered = recording.router.render(recording.canary, recording.traffic, {})
    differences = {path for ref, manifest in rendered.items() for path in differing(manifest, recorded(recording, ref))}
    assert differences <= DEVIATIONS.get(scenario, {}).keys()


def test_every_deviation_is_seen() -> None:
    """The table holds nothing that is not true."""
    for scenario, deviations in DEVIATIONS.items():
        seen: set[str] = set()
        for phase in RECORDED[scenario]:
            recording = Recording(scenario, phase)
            for ref, manifest in recording.router.render(recording.canary, recording.traffic, {}).items():
                seen |= set(differing(manifest, recorded(recording, ref)))
        assert seen == deviations.keys()


@pytest.mark.parametrize("scenario", RECORDED)
async def test_before_the_first_route_there_is_nothing_to_read(scenario: str) -> None:
    recording = Recording(scenario, "initializing")
    assert isinstance(await recording.router.get_routes(recording.canary), Pending)


@pytest.mark.parametrize(("scenario", "phase"), RECORDINGS)
async def test_each_phase_can_be_rolled_back_and_continued(scenario: str, phase: str) -> None:
    """routers:CTR-22."""
    recording = Recording(scenario, phase)
    for routes in (Routes(50, 50), ALL_PRIMARY):
        await recording.router.set_routes(recording.canary, Traffic(routes, recording.traffic.affinity))
        assert await recording.router.get_routes(recording.canary) == routes


@pytest.mark.parametrize("phase", BLUE_GREEN)
async def test_with_plain_services_everything_is_on_the_primary(phase: str) -> None:
    """routers:NOP-01."""
    canary = Canary.model_validate(documents("kubernetes-bluegreen", phase)[0])
    router = KubernetesRouter(MemoryObjects(), RouterSettings("kubernetes"))
    assert await router.get_routes(canary) == ALL_PRIMARY


def documents(scenario: str, phase: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / scenario / f"{phase}.yaml").read_text()))


def recorded(recording: Recording, ref: Ref) -> dict[str, Any]:
    """The recorded object without what the server adds."""
    stored = recording.objects.stored[ref]
    metadata = {key: value for key, value in stored["metadata"].items() if key not in SERVER_FIELDS}
    return {key: value for key, value in stored.items() if key != "status"} | {"metadata": metadata}


def differing(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths of all values that are not the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differing(one.get(key, ...), other.get(key, ...), f"{path}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (item, counterpart) in enumerate(zip(one, other, strict=True)):
            yield from differing(item, counterpart, f"{path}[{index}]")
    elif one != other:
        yield path
