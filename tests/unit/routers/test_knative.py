"""The traffic of a Knative Service between two of its Revisions."""

from typing import Any

import pytest

from flagger_py.api.canary import Canary
from flagger_py.objects.knative import KNATIVE_SERVICE, PRIMARY_REVISION
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import Pending, Routes
from flagger_py.rollout.views import Awaited, Back, Owed
from flagger_py.routers.base import RouterError, UnreadableRoutes
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import router_of, weights

FIRST, SECOND = "web-00001", "web-00002"
WEB = Ref(KNATIVE_SERVICE, "shop", "web")
CANARY = Canary.model_validate(
    {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {
            "provider": "knative",
            "targetRef": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"},
            "analysis": {"interval": "15s", "threshold": 2, "stepWeight": 10},
        },
    }
)
READY = {"type": "RoutesReady", "status": "True"}


def latest(percent: int | None, **more: Any) -> Manifest:
    return {"latestRevision": True, **({} if percent is None else {"percent": percent}), **more}


def named(revision: str, percent: int, **more: Any) -> Manifest:
    return {"revisionName": revision, "percent": percent, **more}


def service(*traffic: Manifest, primary: str = FIRST, status: list[Manifest] | None = None, **reported: Any) -> Manifest:
    """A Knative Service whose status says what its spec does, if nothing else is said."""
    annotations = {PRIMARY_REVISION: primary} if primary else {}
    resolved = [{"revisionName": SECOND, **entry} for entry in traffic] if status is None else status
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
        "spec": {"template": {"spec": {}}, "traffic": list(traffic)},
        "status": {"observedGeneration": 1, "traffic": resolved, "conditions": [READY], **reported},
    }


def objects_of(manifest: Manifest) -> MemoryObjects:
    return MemoryObjects([(KNATIVE_SERVICE, manifest)])


def take_over(objects: MemoryObjects) -> None:
    """What Knative does after a change."""
    stored = objects.stored[WEB]
    status = {**stored["status"], "observedGeneration": stored["metadata"]["generation"]}
    status["traffic"] = [{"revisionName": SECOND, **entry} for entry in stored["spec"]["traffic"]]
    objects.stored[WEB] = {**stored, "status": status}


@pytest.mark.parametrize("step", [0, 10, 50, 100])
async def test_the_weights_that_are_set_are_read_once_knative_has_taken_them_over(step: int) -> None:
    """routers:KNA-02, KNA-03, CTR-03."""
    objects = objects_of(service(latest(100)))
    router = router_of("knative", objects)
    await router.set_routes(CANARY, weights(step))
    assert objects.stored[WEB]["spec"]["traffic"] == [latest(step), named(FIRST, 100 - step)]
    assert objects.stored[WEB]["spec"]["template"] == {"spec": {}}
    assert await router.get_routes(CANARY) == Pending(f"{WEB}: generation 2 is not observed yet", Routes(100 - step, step))
    take_over(objects)
    assert await router.get_routes(CANARY) == Routes(100 - step, step)


async def test_what_is_there_already_is_not_written() -> None:
    """routers:CTR-22: Flagger's form is ours."""
    objects = objects_of(service(latest(0), named(FIRST, 100)))
    await router_of("knative", objects).set_routes(CANARY, weights(0))
    assert objects.writes == []


def webhook(manifest: Manifest) -> None:
    """Knative's own, as it changes each object that is written."""
    for entry in manifest["spec"]["traffic"]:
        entry.setdefault("latestRevision", "revisionName" not in entry)
        entry.setdefault("percent", 0)


async def test_what_knatives_webhook_fills_in_is_no_drift() -> None:
    """routers:KNA-02: it says `latestRevision: false` of each Revision that is named."""
    objects = objects_of(service({"percent": 100, "tag": "newest"}))
    objects.on_write = webhook
    router = router_of("knative", objects)
    for step in (0, 20, 20):
        await router.set_routes(CANARY, weights(step))
    assert len(objects.writes) == 2
    stored = objects.stored[WEB]["spec"]["traffic"]
    assert stored == [latest(20, tag="newest"), named(FIRST, 80, latestRevision=False)]
    take_over(objects)
    assert await router.get_routes(CANARY) == Routes(80, 20)
    await router.finalize(CANARY)
    take_over(objects)
    assert await router.restoration(CANARY) == Back()


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(service(latest(20), named(FIRST, 80)), Routes(80, 20), id="as it is"),
        pytest.param(
            service(latest(0), named(SECOND, 100), primary=SECOND), Routes(100, 0), id="routers:KNA-03, workloads:KN-07 one revision twice"
        ),
        pytest.param(service(latest(None), named(FIRST, 100)), Routes(100, 0), id="a percentage that is not said"),
        pytest.param(
            service(latest(0), named(FIRST, 100), status=[named(FIRST, 100)]), Routes(100, 0), id="an entry of 0 that is not reported"
        ),
        pytest.param(
            service(latest(20), named(FIRST, 80), status=[{**named(FIRST, 80), "latestRevision": None}, latest(20)]),
            Routes(80, 20),
            id="routers:KNA-03 latestRevision is null",
        ),
    ],
)
async def test_traffic_is_read_from_what_knative_reports(manifest: Manifest, expected: Routes) -> None:
    assert await router_of("knative", objects_of(manifest)).get_routes(CANARY) == expected


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(service(latest(100), primary=""), "does not split its traffic yet", id="no primary chosen"),
        pytest.param(service(latest(100)), "does not split its traffic yet", id="not split"),
        pytest.param(service(latest(20), named(FIRST, 80), status=[latest(100)]), "has not taken over the traffic yet", id="lagging"),
        pytest.param(
            service(
                latest(0), named(FIRST, 100), conditions=[{**READY, "status": "False", "reason": "RevisionMissing", "message": "gone"}]
            ),
            "RevisionMissing: gone",
            id="refused",
        ),
    ],
)
async def test_what_is_not_so_yet_is_pending_with_the_reason(manifest: Manifest, reason: str) -> None:
    """routers:KNA-03: no error, because it will be so."""
    found = await router_of("knative", objects_of(manifest)).get_routes(CANARY)
    assert isinstance(found, Pending)
    assert reason in found.reason


async def test_weights_that_do_not_sum_to_100_are_an_error() -> None:
    """routers:CTR-02."""
    with pytest.raises(UnreadableRoutes, match=r"Service shop/web: spec\.traffic: weights 30 \(primary\) and 30 \(canary\)"):
        await router_of("knative", objects_of(service(latest(30), named(FIRST, 30), named("other", 40)))).get_routes(CANARY)


async def test_tags_keep_their_revisions_and_lose_their_share() -> None:
    """routers:KNA-02: the addresses of tags are the user's."""
    objects = objects_of(
        service(latest(60, tag="newest"), named(FIRST, 30, tag="stable"), named("web-00000", 10, tag="old"), named("x", 0))
    )
    await router_of("knative", objects).set_routes(CANARY, weights(20))
    assert objects.stored[WEB]["spec"]["traffic"] == [
        latest(20, tag="newest"),
        named(FIRST, 80, tag="stable"),
        named("web-00000", 0, tag="old"),
    ]


async def test_without_a_chosen_primary_nothing_is_split() -> None:
    """routers:KNA-02."""
    objects = objects_of(service(latest(100), primary=""))
    with pytest.raises(RouterError, match=rf"Service shop/web: metadata\.annotations\[{PRIMARY_REVISION}\]: must name the Revision"):
        await router_of("knative", objects).set_routes(CANARY, weights(0))


async def test_a_service_that_does_not_exist_is_never_made() -> None:
    """workloads:KN-02."""
    objects = MemoryObjects()
    await router_of("knative", objects).set_routes(CANARY, weights(0))
    assert objects.stored == {}
    assert isinstance(await router_of("knative", objects).get_routes(CANARY), Pending)


async def test_given_back_all_traffic_follows_the_latest_revision() -> None:
    """workloads:KN-08, routers:KNA-05: in one write, with the annotation."""
    objects = objects_of(service(latest(20, tag="newest"), named(FIRST, 80), named("web-00000", 0, tag="old")))
    router = router_of("knative", objects)
    assert isinstance(await router.restoration(CANARY), Owed)
    await router.prepare_finalize(CANARY)
    assert objects.writes == []
    await router.finalize(CANARY)
    assert objects.stored[WEB]["spec"]["traffic"] == [latest(100, tag="newest"), named("web-00000", 0, tag="old")]
    assert "annotations" not in objects.stored[WEB]["metadata"]
    assert len(objects.writes) == 1
    assert isinstance(await router.restoration(CANARY), Awaited)
    take_over(objects)
    assert await router.restoration(CANARY) == Back()


async def test_traffic_that_was_never_split_is_the_users() -> None:
    """workloads:KN-08."""
    objects = objects_of(service(named("web-00000", 100), primary=""))
    await router_of("knative", objects).finalize(CANARY)
    assert objects.writes == []
