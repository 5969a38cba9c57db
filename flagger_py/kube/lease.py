"""Leadership by a Lease: one replica works at a time, and stops before another can begin (engine:ENG-07, design §6).

Time at the leader, counted from when its last successful renewal was *sent*:

    0 s   renew every 2 s ...   8 s: work is cancelled, no write starts any more   12 s: others may take over
                                └────── a write that started just before ends within its time-out of 4 s ──────┘

A follower counts from when it *saw* the last change, by its own clock, for as long as the holder itself promised
(`leaseDurationSeconds`: 60 s for Flagger), so clocks need not agree.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from flagger_py.kube.client import WRITE_TIMEOUT, Client, WatchOptions
from flagger_py.objects.errors import AlreadyExists, ApiError, Conflict, NotFound
from flagger_py.objects.patch import MergePatch, pinned
from flagger_py.objects.resource import LEASE, Manifest, Ref

log = structlog.get_logger()

LEASE_NAME: Final = "flagger-leader-election"
"""The same as Flagger's, so that the two exclude each other."""
WATCH_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds. `renew_deadline` + the time-out of a write must not exceed `duration`."""

    duration: float = 12
    """How long others wait after the last renewal that they saw."""
    renew_deadline: float = 8
    """How long the leader goes on without a successful renewal."""
    retry: float = 2
    """Between two renewals, and between two attempts after an error."""

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.renew_deadline <= self.duration - WRITE_TIMEOUT:
            raise ValueError(f"lease terms must keep 0 < retry < renew deadline <= duration - {WRITE_TIMEOUT:g} s, got {self}")


class LeaseLost(Exception):
    """Another replica leads, or the lease could not be renewed in time."""


@dataclass(frozen=True, slots=True)
class _Observed:
    """The Lease as last seen, and when (loop time) this version of it was first seen."""

    manifest: Manifest
    since: float

    @property
    def version(self) -> str:
        return str(self.manifest["metadata"].get("resourceVersion", ""))

    @property
    def holder(self) -> str:
        return str(_spec(self.manifest).get("holderIdentity") or "")

    @property
    def free_at(self) -> float:
        """Loop time from which it may be taken."""
        return self.since + float(_spec(self.manifest).get("leaseDurationSeconds") or 0) if self.holder else self.since


@dataclass(slots=True)
class Election:
    """One replica's part in the election. `client` must be one without a rate limit or a fence of its own.

    `now` is the wall clock; it is only written into the Lease, for people.
    """

    client: Client
    namespace: str
    identity: str
    name: str = LEASE_NAME
    terms: Terms = field(default_factory=Terms)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _observed: _Observed | None = None
    _valid_until: float = float("-inf")
    """Loop time up to which no other replica can lead."""

    @property
    def is_leader(self) -> bool:
        """Whether this replica leads at this moment."""
        return asyncio.get_running_loop().time() < self._valid_until

    def may_write(self) -> bool:
        """Whether a write that starts now ends, by its time-out at the latest, before another replica can lead: `Client.fenced`."""
        return asyncio.get_running_loop().time() + WRITE_TIMEOUT <= self._valid_until

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Campaign, run `work` while this replica leads, campaign again when the lease is lost; returns when `work` returns.

        Losing the lease cancels `work` at once. Cancellation, and an error of `work` (in an `ExceptionGroup`), go on after
        the lease has been released; it is only ever released after `work` has ended.
        """
        while True:
            await self._campaign()
            log.info("leadership_acquired", identity=self.identity)
            try:
                if await self._serve(work):
                    return
            finally:
                await self._release()

    async def _serve(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Work and renewal, which end together. True where the work is done, False where the lease was lost."""
        is_done = False
        try:
            async with asyncio.TaskGroup() as group:
                renewal = group.create_task(self._keep(), name="lease renewal")
                await group.create_task(_run(work), name="leader's work")
                is_done = renewal.cancel()
        except* LeaseLost as lost:
            self._valid_until = float("-inf")
            log.warning("leadership_lost", identity=self.identity, reason="; ".join(str(each) for each in lost.exceptions))
        return is_done

    async def _keep(self) -> None:
        """Renew until that fails. Raises `LeaseLost` at the renew deadline at the latest."""
        while True:
            await asyncio.sleep(self.terms.retry)
            deadline = self._valid_until - (self.terms.duration - self.terms.renew_deadline)
            try:
                async with asyncio.timeout_at(deadline):
                    await self._renew()
            except TimeoutError as error:
                raise LeaseLost(f"not renewed within {self.terms.renew_deadline:g} s") from error

    async def _renew(self) -> None:
        """One successful renewal, however many attempts it takes."""
        while True:
            try:
                if not await self._try_to_hold():
                    raise LeaseLost(f"it is held by {self._observed.holder if self._observed else 'nobody'}")
            except ApiError as error:
                log.warning("lease_not_renewed", error=str(error))
                await asyncio.sleep(self.terms.retry / 4)  # there is time for few attempts only: each may take 4 s
            else:
                return

    async def _campaign(self) -> None:
        """Returns when this replica holds the lease."""
        while True:
            try:
                if await self._try_to_hold():
                    return
                await self._wait_until_free()
            except ApiError as error:
                log.warning("lease_not_acquired", error=str(error))
                await asyncio.sleep(self.terms.retry)

    async def _try_to_hold(self) -> bool:
        """Take or renew the lease by compare-and-swap. False where it belongs to someone else."""
        found = self._observed if self._observed and self._observed.holder == self.identity else await self._look()
        while True:
            sent_at = asyncio.get_running_loop().time()
            if found and found.holder != self.identity and sent_at < found.free_at:
                return False
            try:
                self._observe(await self._write(found))
            except (Conflict, AlreadyExists, NotFound):
                found = await self._look()
            else:
                self._valid_until = sent_at + self.terms.duration
                return True

    async def _look(self) -> _Observed | None:
        try:
            return self._observe(await self.client.get(self._ref))
        except NotFound:
            self._observed = None
            return None

    async def _write(self, found: _Observed | None) -> Manifest:
        stamp = self._stamp()
        spec = {"holderIdentity": self.identity, "leaseDurationSeconds": int(self.terms.duration), "renewTime": stamp}
        if found is None:
            metadata = {"name": self.name, "namespace": self.namespace}
            return await self.client.create(LEASE, {"metadata": metadata, "spec": {**spec, "acquireTime": stamp, "leaseTransitions": 0}})
        if found.holder != self.identity:
            spec |= {"acquireTime": stamp, "leaseTransitions": int(_spec(found.manifest).get("leaseTransitions") or 0) + 1}
        return await self.client.patch(self._ref, pinned(MergePatch({"spec": spec}), found.manifest))

    async def _wait_until_free(self) -> None:
        """Until the lease is released, deleted or runs out; where it cannot be watched, until it is time to look again."""
        if (observed := self._observed) is None:
            return
        try:
            async with asyncio.timeout_at(observed.free_at) as limit:
                try:
                    await self._follow(limit)
                except ApiError as error:
                    log.info("lease_not_watched", error=str(error))
                await asyncio.sleep(self.terms.retry)
        except TimeoutError:
            return

    async def _follow(self, limit: asyncio.Timeout) -> None:
        """Move the limit with each renewal that is seen; when the lease may be free, make it now."""
        async with self.client.watch(self._watch_options()) as events:
            async for event in events:
                if event.type in {"ADDED", "MODIFIED"}:
                    limit.reschedule(self._observe(event.object).free_at)
                elif event.type in {"DELETED", "ERROR"}:
                    limit.reschedule(asyncio.get_running_loop().time())

    async def _release(self) -> None:
        """Let others begin at once. An error is only logged: the lease then runs out by itself."""
        observed, self._valid_until, self._observed = self._observed, float("-inf"), None
        if observed is None or observed.holder != self.identity:
            return
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._stamp()}
        try:
            await self.client.patch(self._ref, pinned(MergePatch({"spec": spec}), observed.manifest))
        except ApiError as error:
            log.warning("lease_not_released", error=str(error))
        else:
            log.info("leadership_released", identity=self.identity)

    def _observe(self, manifest: Manifest) -> _Observed:
        """Remember the lease. Any new version counts as a sign of life of its holder, whatever its `renewTime` says."""
        seen = _Observed(manifest, asyncio.get_running_loop().time())
        if self._observed is None or self._observed.version != seen.version:
            self._observed = seen
        return self._observed

    def _watch_options(self) -> WatchOptions:
        version = self._observed.version if self._observed else ""
        return WatchOptions(LEASE, self.namespace, version, WATCH_SECONDS, field_selector=f"metadata.name={self.name}")

    @property
    def _ref(self) -> Ref:
        return Ref(LEASE, self.namespace, self.name)

    def _stamp(self) -> str:
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _spec(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.get("spec") or {}
