"""Leadership: who works when, on virtual time (engine:ENG-07, design §6)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flagger_py.kube.client import WRITE_TIMEOUT, Client
from flagger_py.kube.lease import LEASE_NAME, Election, Terms
from flagger_py.kube.retry import RetryPolicy
from flagger_py.kube.transport import Request, Response, Stream, Transport
from flagger_py.objects.errors import Fenced, Unreachable
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, LEASE, Manifest, Ref
from tests.unit.kube.scripted import CUT, Answer, ScriptedServer, manifest, status

pytestmark = pytest.mark.looptime(start=1000)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


class HangingServer(ScriptedServer):
    """While `hangs`, no request is answered until its time-out, and none has an effect."""

    hangs = False

    async def request(self, request: Request) -> Response:
        if self.hangs:
            await asyncio.sleep(request.timeout)
            raise Unreachable("no answer")
        return await super().request(request)


@pytest.fixture
def server() -> HangingServer:
    return HangingServer(LEASE, CANARY)


def candidate(server: Transport, identity: str = "ours") -> Election:
    client = Client(server, retries=RetryPolicy(failed_reads=0), jitter=lambda: 0.5)
    return Election(client, "flagger-system", identity, now=lambda: NOW)


def lease_in(server: ScriptedServer) -> Manifest:
    return server._collections[LEASE.path()].objects["flagger-system", LEASE_NAME]


def hold_as_other(server: ScriptedServer, *, seconds: int = 60, holder: str = "flagger", mark: str = "a") -> None:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": mark, "leaseTransitions": 3}
    server.put(LEASE, manifest(LEASE_NAME, "flagger-system", spec=spec))


class Work:
    """Notes when it runs, by loop time."""

    def __init__(self) -> None:
        self.started: list[float] = []
        self.ended: list[float] = []

    async def __call__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.started.append(clock())
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(clock())


class Link:
    """One replica's way to the server, with faults of its own."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self.fault = ""

    async def request(self, request: Request) -> Response:
        if self.fault == "hang":
            await asyncio.sleep(request.timeout)
            raise Unreachable("no answer")
        if self.fault == "lag":
            await asyncio.sleep(request.timeout / 2)
        response = await self._server.request(request)
        if self.fault == "cut":
            raise CUT
        return response

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        if self.fault:
            raise CUT
        return self._server.stream(request)


async def never_both(elections: dict[str, Election], works: dict[str, Work]) -> None:
    while True:
        assert sum(election.may_write() for election in elections.values()) <= 1
        assert sum(len(work.started) - len(work.ended) for work in works.values()) <= 1
        await asyncio.sleep(0.5)


@asynccontextmanager
async def running(election: Election, work: Work) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(election.lead(work))
        try:
            yield task
        finally:
            task.cancel()


def clock() -> float:
    return asyncio.get_running_loop().time()


async def test_a_free_lease_is_taken_at_once_renewed_every_two_seconds_and_released(server: HangingServer) -> None:
    work, started = Work(), clock()
    async with running(candidate(server), work):
        await asyncio.sleep(20.5)
        spec = lease_in(server)["spec"]
        assert server.count("PATCH") == 10
        assert server.count("GET") == 1
    assert work.started == [started]
    assert spec == {
        "holderIdentity": "ours",
        "leaseDurationSeconds": 12,
        "acquireTime": "2026-01-02T03:04:05.000678Z",
        "renewTime": "2026-01-02T03:04:05.000678Z",
        "leaseTransitions": 0,
    }
    assert lease_in(server)["spec"]["holderIdentity"] == ""
    assert lease_in(server)["spec"]["leaseDurationSeconds"] == 1


async def test_a_dead_holders_own_duration_is_waited_for_from_when_it_was_seen(server: HangingServer) -> None:
    hold_as_other(server, seconds=60)
    work, started = Work(), clock()
    async with running(candidate(server), work):
        await asyncio.sleep(100)
    assert work.started == [pytest.approx(started + 60, abs=0.01)]
    assert lease_in(server)["spec"]["leaseTransitions"] == 4


async def test_each_renewal_of_the_holder_begins_its_duration_anew(server: HangingServer) -> None:
    hold_as_other(server, seconds=15)
    work = Work()
    async with running(candidate(server), work):
        for mark in range(20):
            await asyncio.sleep(5)
            hold_as_other(server, seconds=15, mark=str(mark))
        last = clock()
        await asyncio.sleep(30)
    assert work.started == [pytest.approx(last + 15, abs=0.01)]


async def test_a_released_lease_is_taken_the_moment_it_is_seen(server: HangingServer) -> None:
    hold_as_other(server)
    work = Work()
    async with running(candidate(server), work):
        await asyncio.sleep(7)
        hold_as_other(server, holder="", seconds=1)
        await asyncio.sleep(0.01)
        assert work.started


async def test_without_the_right_to_watch_the_lease_is_polled_and_taken_in_time(server: HangingServer) -> None:
    server.fail(status(403, "Forbidden", "cannot watch leases"), times=100, watch=True)
    hold_as_other(server, seconds=15)
    work, started = Work(), clock()
    async with running(candidate(server), work):
        await asyncio.sleep(30)
    assert work.started == [pytest.approx(started + 15, abs=0.01)]
    assert server.count("GET", watch=False) < 12


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(status(403, "Forbidden", "no"), id="refused"),
        pytest.param(status(500, "InternalError", "no"), id="server error"),
        pytest.param(Response(401, b"no"), id="credentials expired"),
        pytest.param(CUT, id="connection lost"),
    ],
)
async def test_a_lease_that_cannot_be_renewed_ends_the_work_eight_seconds_after_the_last_renewal(
    server: HangingServer, answer: Answer
) -> None:
    work, started = Work(), clock()
    async with running(candidate(server), work):
        await asyncio.sleep(4.5)
        server.fail(answer, times=12)
        await asyncio.sleep(60)
        assert work.ended == [pytest.approx(started + 4 + 8)]
        assert len(work.started) == 2


async def test_a_server_that_hangs_ends_the_work_in_time_and_is_led_again_when_it_is_back(server: HangingServer) -> None:
    work, started = Work(), clock()
    async with running(candidate(server), work):
        await asyncio.sleep(4.5)
        server.hangs = True
        await asyncio.sleep(60)
        assert work.ended == [pytest.approx(started + 4 + 8)]
        server.hangs = False
        await asyncio.sleep(20)
        assert len(work.started) == 2


async def test_one_failed_renewal_is_made_up_for(server: HangingServer) -> None:
    work = Work()
    async with running(candidate(server), work):
        await asyncio.sleep(1)
        server.fail(CUT, method="PATCH")
        await asyncio.sleep(60)
        assert work.ended == []


async def test_a_stolen_lease_ends_the_work_at_the_next_renewal(server: HangingServer) -> None:
    work, started = Work(), clock()
    async with running(candidate(server), work):
        await asyncio.sleep(4.5)
        hold_as_other(server)
        await asyncio.sleep(3)
        assert work.ended == [pytest.approx(started + 6)]
        assert lease_in(server)["spec"]["holderIdentity"] == "flagger"


async def test_a_lease_that_is_deleted_under_the_leader_is_made_again(server: HangingServer) -> None:
    work = Work()
    async with running(candidate(server), work):
        await asyncio.sleep(4.5)
        server.remove(LEASE, "flagger-system", LEASE_NAME)
        await asyncio.sleep(20)
        assert work.ended == []
        assert lease_in(server)["spec"]["holderIdentity"] == "ours"


async def test_somebody_elses_label_on_the_lease_costs_no_leadership(server: HangingServer) -> None:
    work = Work()
    async with running(candidate(server), work):
        await asyncio.sleep(4.5)
        server.put(LEASE, {**lease_in(server), "metadata": {**lease_in(server)["metadata"], "labels": {"touched": "yes"}}})
        await asyncio.sleep(20)
        assert work.ended == []


async def test_an_error_of_the_work_releases_the_lease_and_is_raised(server: HangingServer) -> None:
    async def work() -> None:
        await asyncio.sleep(3)
        raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        await candidate(server).lead(work)
    assert caught.group_contains(RuntimeError, match="a bug")
    assert lease_in(server)["spec"]["holderIdentity"] == ""


async def test_work_that_is_done_ends_the_leadership(server: HangingServer) -> None:
    async def work() -> None:
        await asyncio.sleep(3)

    election = candidate(server)
    await election.lead(work)
    assert not election.is_leader
    assert lease_in(server)["spec"]["holderIdentity"] == ""


async def test_the_next_replica_begins_only_after_the_last_has_ended_its_work(server: HangingServer) -> None:
    first, second = Work(), Work()
    async with running(candidate(server, "first"), first) as leader:
        await asyncio.sleep(1)
        async with running(candidate(server, "second"), second):
            await asyncio.sleep(60)
            assert second.started == []
            leader.cancel()
            await asyncio.sleep(0.5)
            assert second.started == [pytest.approx(first.ended[0], abs=0.1)]


async def test_no_write_starts_that_could_outlive_the_lease(server: HangingServer) -> None:
    server.put(CANARY, manifest("podinfo"))
    election = candidate(server)
    client = Client(server).fenced(election.may_write)
    write = client.patch(Ref(CANARY, "test", "podinfo"), MergePatch({"spec": {"a": 1}}))
    with pytest.raises(Fenced, match="does not hold the lease"):
        await write
    times: list[float] = []

    async def work() -> None:
        started = clock()
        while clock() < started + 30:
            times.append(clock()) if election.may_write() else None
            await asyncio.sleep(0.25)

    async def cut() -> None:
        await asyncio.sleep(10.5)
        server.hangs = True

    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        group.create_task(cut())
        task = group.create_task(election.lead(work))
        await asyncio.sleep(20)
        task.cancel()
    assert times[-1] <= 1000 + 10 + 12 - WRITE_TIMEOUT


@given(st.lists(st.tuples(st.sampled_from(["first", "second"]), st.sampled_from(["hang", "cut", "lag"]), st.floats(0.1, 30)), max_size=8))
@settings(max_examples=25, deadline=None)
def test_two_replicas_never_work_at_once_whatever_the_network_does(faults: list[tuple[str, str, float]]) -> None:
    """A write may be applied although its answer is lost; reads and writes may hang or be slow."""

    async def scenario() -> None:
        server = ScriptedServer(LEASE)
        links = {name: Link(server) for name in ("first", "second")}
        elections = {name: candidate(link, name) for name, link in links.items()}
        works = {name: Work() for name in links}
        async with running(elections["first"], works["first"]), running(elections["second"], works["second"]), asyncio.TaskGroup() as group:
            watch = group.create_task(never_both(elections, works))
            for name, fault, seconds in faults:
                links[name].fault = fault
                await asyncio.sleep(seconds)
                links[name].fault = ""
                await asyncio.sleep(1)
            await asyncio.sleep(60)
            watch.cancel()
        assert works["first"].started or works["second"].started

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(scenario())


def test_terms_that_leave_no_time_for_a_write_are_refused() -> None:
    with pytest.raises(ValueError, match="renew deadline"):
        Terms(duration=12, renew_deadline=9)
