"""Alerts of whole rollouts, as their receivers get them: the real controller against the embedded API server, on virtual time."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.objects.resource import ALERT_PROVIDER, CANARY, DEPLOYMENT, SECRET
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, deployment, memory_cluster, running_controller
from tests.memory.people import messages

pytestmark = pytest.mark.looptime

RECEIVER = "alerts.example"


@dataclass
class Inbox:
    """A receiver of generic alerts that keeps what it takes. `status` is what it answers."""

    status: int = 200
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    tokens: set[str] = field(default_factory=set)
    other: Callable[[HttpRequest], HttpResponse | None] = lambda _: None

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        if urlsplit(request.url).hostname != RECEIVER:
            return self.other(request)
        if self.status == 200:
            self.taken.append(orjson.loads(request.body or b""))
            self.tokens.add(str(request.headers.get("Authorization", "")))
        else:
            self.refused += 1
        return HttpResponse(self.status, "", {}, b"")

    @property
    def messages(self) -> list[tuple[str, str]]:
        return [(alert["severity"], alert["message"]) for alert in self.taken]


async def install(cluster: MemoryCluster, inbox: Inbox, severity: str = "info", **analysis: Any) -> None:
    """The app, its Canary, and an AlertProvider whose address is in a Secret."""
    cluster.web.answer = inbox.answer
    data = {key: b64encode(value.encode()).decode() for key, value in {"address": f"https://{RECEIVER}/KEY", "token": "first"}.items()}
    spec = {"type": "generic", "secretRef": {"name": "inbox"}}
    await cluster.client.create(
        SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "inbox", "namespace": NAMESPACE}, "data": data}
    )
    await cluster.client.create(
        ALERT_PROVIDER,
        {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "inbox", "namespace": NAMESPACE}, "spec": spec},
    )
    alerts = [{"name": "on-call", "severity": severity, "providerRef": {"name": "inbox"}}]
    await cluster.client.create(DEPLOYMENT, deployment())
    await cluster.client.create(CANARY, canary(alerts=alerts, **analysis))


async def until_empty(cluster: MemoryCluster) -> None:
    """Wait until nothing is due any more."""
    await cluster.until(lambda status: not (status.get("rollout") or {}).get("outbox"))


INITIALISED = ("info", "New Deployment detected, initialization completed.")
STARTED = ("info", "New revision detected, progressing canary analysis.")
PROMOTED = ("info", "Canary analysis completed successfully, promotion finished.")
ROLLED_BACK = ("error", "Canary analysis failed, rolling back: failed checks threshold reached 2: success rate 50.00% < 99%")


async def test_a_promotion_and_a_rollback_are_told_once_each() -> None:
    inbox = Inbox()
    async with memory_cluster() as cluster:
        await install(cluster, inbox)
        async with running_controller(cluster, cluster_name="prod"):
            await cluster.until_phase("Initialized")
            await cluster.release("web:2")
            await cluster.until_phase("Succeeded")
            cluster.web.success_rate = 50
            await cluster.release("web:3")
            await cluster.until_phase("Failed")
            await until_empty(cluster)
    assert inbox.messages == [INITIALISED, STARTED, PROMOTED, STARTED, ROLLED_BACK]
    assert [alert["phase"] for alert in inbox.taken] == ["Initialized", "Progressing", "Succeeded", "Progressing", "Failed"]
    assert inbox.taken[1]["fields"] == {
        "Cluster": "prod",
        "Target": "Deployment/web.test",
        "Failed checks threshold": "2",
        "Progress deadline": "60s",
        "Traffic routing": "Weight step: 20 max: 40",
    }
    assert len({alert["id"] for alert in inbox.taken}) == len(inbox.taken)


@pytest.mark.parametrize("is_muted", [False, True])
async def test_a_closed_gate_is_told_once_unless_it_is_muted(is_muted: bool) -> None:
    """engine:GATE-02, engine:HOOK-09"""
    inbox = Inbox(other=lambda request: HttpResponse(403, "", {}, b"not yet") if "gate" in request.url else None)
    hook = {"name": "owner", "type": "confirm-promotion", "url": "http://gate.example/", "muteAlert": is_muted}
    async with memory_cluster() as cluster:
        await install(cluster, inbox, "warn", webhooks=[hook])
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            await cluster.release("web:2")
            await cluster.until_phase("WaitingPromotion")
            checked = len(cluster.web.requests)
            await cluster.until(lambda _: sum("gate" in request.url for request in cluster.web.requests[checked:]) > 3)
        told = await messages(cluster)
    warning = ("warn", "Canary is waiting for approval of the promotion: gate owner is closed.")
    assert inbox.messages == ([] if is_muted else [warning])
    assert "Warning Halt web.test advancement waiting for promotion approval owner" in told


async def test_a_restart_between_decision_and_delivery_loses_nothing() -> None:
    """engine:HAZ-27; the next process reads the rotated Secret"""
    inbox = Inbox(status=503)
    async with memory_cluster() as cluster:
        await install(cluster, inbox, "error")
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            cluster.web.success_rate = 50
            await cluster.release("web:2")
            status = await cluster.until_phase("Failed")
        assert [entry["severity"] for entry in status["rollout"]["outbox"]] == ["error"]
        assert inbox.refused > 0
        assert inbox.messages == []
        inbox.status = 200
        await cluster.patch(SECRET, "inbox", {"data": {"token": b64encode(b"second").decode()}})
        async with running_controller(cluster):
            await until_empty(cluster)
    assert inbox.messages == [ROLLED_BACK]
    assert inbox.tokens == {"Bearer second"}


async def test_a_receiver_that_is_down_delays_no_rollback_and_is_told_of() -> None:
    """engine:HAZ-39, metrics:ALR-05"""
    inbox = Inbox(status=503)
    async with memory_cluster() as cluster:
        await install(cluster, inbox)
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
            cluster.web.success_rate = 50
            await cluster.release("web:2")
            await cluster.until_phase("Progressing", seconds=2)
            await cluster.until_phase("Failed", seconds=30)
            assert await cluster.weights() == (100, 0)
            inbox.status = 200
            await until_empty(cluster)
        told = await messages(cluster)
    assert sorted(inbox.messages) == sorted([INITIALISED, STARTED, ROLLED_BACK])
    assert f"Warning Alert on-call is waiting to be sent: AlertProvider test/inbox: {RECEIVER}: HTTP 503" in told
    assert not [text for text in told if "KEY" in text]


async def test_nobody_is_told_by_default_and_the_global_notifier_where_the_flags_say_so() -> None:
    """metrics:ALR-03, metrics:ALR-G-01"""
    async with memory_cluster() as cluster:
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(CANARY, canary())
        async with running_controller(cluster):
            await cluster.until_phase("Initialized")
        assert not [request for request in cluster.web.requests if request.method == "POST"]
        async with running_controller(cluster, slack_url=f"https://{RECEIVER}/KEY", slack_channel="releases"):
            await cluster.release("web:2")
            await cluster.until_phase("Succeeded")
            await until_empty(cluster)
    bodies = [orjson.loads(request.body or b"") for request in cluster.web.requests if RECEIVER in request.url]
    assert [body["channel"] for body in bodies] == ["releases", "releases"]
    assert [body["attachments"][0]["text"] for body in bodies] == [STARTED[1], PROMOTED[1]]
